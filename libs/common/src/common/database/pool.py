"""PostgreSQL: an asyncpg pool for the services' set-based SQL, a SQLAlchemy engine for the API's rows."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import Pool

from common.database.address import connect_arguments
from common.database.session import SERVER_SETTINGS, Session

DbSession: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""A session with PostgreSQL, named `db` where it is passed on: a *connection* is a team's account."""
ConnectionPool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 30.0

# What a service can meet when the database restarts, fails over or sheds load: worth another try.
TRANSIENT_DATABASE_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg says when the server hangs up just before the next statement
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InsufficientResourcesError,  # too many connections, no memory, a full disk
    asyncpg.ReadOnlySQLTransactionError,  # for a moment after a fail-over
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    ConnectionError,
    OSError,
    asyncio.TimeoutError,
)


async def _set_codecs(db: asyncpg.Connection[asyncpg.Record]) -> None:
    for name in ("json", "jsonb"):
        await db.set_type_codec(
            name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog", format="text"
        )


async def create_pool(
    database_url: str,
    *,
    application_name: str,
    size: int = 10,
    idle_in_transaction_seconds: float = 30.0,
    command_timeout: float = COMMAND_TIMEOUT,
) -> ConnectionPool:
    """A pool whose connections speak jsonb as Python objects.

    `idle_in_transaction_seconds` bounds how long a stalled process may hold row locks others wait for, and
    `command_timeout` how long a command may take; a server that is silent then is given up a second later.
    """
    return await asyncpg.create_pool(
        **connect_arguments(database_url),
        # None are kept open for their own sake: asyncpg would log each failure to do so, with its traceback.
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT,
        command_timeout=command_timeout,
        connection_class=Session,
        init=_set_codecs,
        server_settings={
            **SERVER_SETTINGS,
            "application_name": application_name,
            "timezone": "UTC",
            "idle_in_transaction_session_timeout": str(int(idle_in_transaction_seconds * 1000)),
        },
    )


async def connect(
    database_url: str, *, application_name: str, command_timeout: float = COMMAND_TIMEOUT
) -> asyncpg.Connection[asyncpg.Record]:
    """One connection outside any pool, for LISTEN and for tools."""
    db = await asyncpg.connect(
        **connect_arguments(database_url),
        timeout=CONNECT_TIMEOUT,
        command_timeout=command_timeout,
        connection_class=Session,
        server_settings={**SERVER_SETTINGS, "application_name": application_name, "timezone": "UTC"},
    )
    try:
        await _set_codecs(db)
    except BaseException:
        db.terminate()
        raise
    return db


def create_engine(
    database_url: str,
    *,
    application_name: str,
    size: int = 10,
    poolclass: type[Pool] | None = None,
    command_timeout: float | None = COMMAND_TIMEOUT,
) -> AsyncEngine:
    """A SQLAlchemy engine over asyncpg for the same database; `command_timeout` is in seconds."""

    async def connected() -> asyncpg.Connection[asyncpg.Record]:
        # Not by SQLAlchemy's own reading of the address, which knows none of libpq's parameters.
        return await asyncpg.connect(
            **connect_arguments(database_url),
            timeout=CONNECT_TIMEOUT,
            command_timeout=command_timeout,
            connection_class=Session,
            server_settings={**SERVER_SETTINGS, "application_name": application_name, "timezone": "UTC"},
        )

    options: dict[str, Any] = (
        {"poolclass": poolclass} if poolclass else {"pool_size": size, "max_overflow": 0}
    )
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connected,
        pool_pre_ping=poolclass is None,
        **options,
    )


async def driver_connection(session: AsyncSession) -> DbSession:
    """asyncpg's own connection behind a session, in the session's transaction, for statements shared with the
    services that have no session. It must not be used after the session's commit.

    Documents travel as text and are cast in SQL: this connection and those of `create_pool` encode jsonb
    differently, and decode it alike.
    """
    # SQLAlchemy begins the transaction with the first statement, which must not come after one of ours.
    await session.execute(text("SELECT 1"))
    raw = await (await session.connection()).get_raw_connection()
    db: DbSession | None = raw.driver_connection
    if db is None:
        raise RuntimeError("the session has no connection")
    return db


async def database_time(pool: ConnectionPool) -> datetime:
    """The time by the database's clock."""
    now: datetime = await pool.fetchval("SELECT clock_timestamp()")
    return now


async def current_revision(db: DbSession) -> str | None:
    """The database's revision; None when it was never migrated."""
    if await db.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await db.fetchval("SELECT version_num FROM alembic_version")
    return revision
