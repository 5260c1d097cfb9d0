"""Counting what is asked of the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncpg.connection import LoggedQuery

from common.database.pool import ConnectionPool, create_pool


@asynccontextmanager
async def counted_pool(database_url: str) -> AsyncIterator[tuple[ConnectionPool, list[str]]]:
    """A pool of one connection, and every statement it has executed."""
    statements: list[str] = []

    def count(query: LoggedQuery) -> None:
        statements.append(query.query)

    pool = await create_pool(database_url, application_name="counted", size=1)
    try:
        async with pool.acquire() as db:
            db.add_query_logger(count)
        yield pool, statements
    finally:
        pool.terminate()
