"""When was a key last used? Noted in memory by requests, written by a background task.

A key's row is written at most once a minute however many requests it makes, and no request waits for it.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from common.process.loops import end_if_cancelled

log = structlog.get_logger()

RESOLUTION = timedelta(minutes=1)
FLUSH_SECONDS = 5.0

_WRITE = text(
    """
    UPDATE api_key SET last_used_at = used.at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:instants AS timestamptz[])) AS used (id, at)
    WHERE api_key.id = used.id AND (last_used_at IS NULL OR last_used_at < used.at)
    """
)


class KeyUsage:
    """The uses not yet written."""

    def __init__(self) -> None:
        self._noted: dict[UUID, datetime] = {}

    def note(self, key_id: UUID, last_used_at: datetime | None, now: datetime) -> None:
        """A request came with this key; `last_used_at` is what its row says."""
        if last_used_at is None or now - last_used_at >= RESOLUTION:
            self._noted[key_id] = now

    async def flush(self, engine: AsyncEngine) -> None:
        """Write what was noted, in one statement."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        async with engine.begin() as connection:
            await connection.execute(_WRITE, {"ids": list(noted), "instants": list(noted.values())})

    async def run(self, engine: AsyncEngine) -> None:
        """Flush every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush(engine)
            except (SQLAlchemyError, OSError) as error:
                end_if_cancelled()
                log.warning("key usage not written", error=type(error).__name__)
