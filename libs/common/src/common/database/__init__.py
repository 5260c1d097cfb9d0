"""PostgreSQL: sessions and transactions, the outbox, and the migrations."""
