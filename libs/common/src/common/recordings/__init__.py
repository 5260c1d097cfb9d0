"""Recordings: parsing what a platform lists, matching them to templates, storing them.

`zoom` and `files` read, `matching` and `selection` decide, all without I/O; `catalog` and `intake` are the
statements. Executors and the API use the same ones: they take an asyncpg connection within a transaction,
which a session of SQLAlchemy's lends by `common.database.pool.driver_connection`.
"""
