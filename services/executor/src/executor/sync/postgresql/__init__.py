"""A user's PostgreSQL: its address, a guarded connection, the table and what its errors mean."""
