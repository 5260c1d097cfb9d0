"""The end of a request's transaction: where the answer to COMMIT is lost, what became of it is read back.

The connection can end after PostgreSQL has committed and before we know. A 503 would then be a guess, and
a client that tries again would do the same thing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from api.clients import step_aside
from api.problems import Unavailable

log = structlog.get_logger()

READING_BACK_SECONDS = 5.0
_PAUSE = 0.2
_XID = text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)")
_STATUS = text("SELECT pg_xact_status(CAST(CAST(:xid AS text) AS xid8))")
_FAULTS = (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


async def commit(session: AsyncSession, engine: AsyncEngine) -> None:
    """Commit, and give back the connection and the turn of the request's key, whatever it waits for next.

    Raises what PostgreSQL refuses it for, and Unavailable when it cannot be read back.
    """
    try:
        await _commit(session, engine)
    finally:
        step_aside()


async def _commit(session: AsyncSession, engine: AsyncEngine) -> None:
    await session.flush()
    xid: str | None = await session.scalar(_XID)
    try:
        await session.commit()
    except _FAULTS as error:
        if xid is None:
            return  # it has changed nothing, so that there is nothing to lose
        status = await _status(engine, xid)
        if status == "aborted":
            raise
        if status != "committed":
            raise Unavailable(
                "The database went away just then, and whether the change was made is not known yet. "
                "Look, or send it again with the same Idempotency-Key."
            ) from error
        log.warning("commit read back", status=status, error=type(error).__name__)


@asynccontextmanager
async def transaction(
    sessions: async_sessionmaker[AsyncSession], engine: AsyncEngine
) -> AsyncIterator[AsyncSession]:
    """A transaction of its own, committed like a request's at the end of the block."""
    async with sessions() as session:
        yield session
        await commit(session, engine)


async def _status(engine: AsyncEngine, xid: str) -> str | None:
    """`committed` or `aborted`; None when the database does not say so in time."""
    deadline = asyncio.get_running_loop().time() + READING_BACK_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        try:
            async with asyncio.timeout_at(deadline), engine.connect() as db:
                status: str | None = await db.scalar(_STATUS, {"xid": xid})
        except _FAULTS:
            status = None
        if status in ("committed", "aborted"):
            return status
        await asyncio.sleep(_PAUSE)
    return None
