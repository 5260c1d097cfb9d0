"""Deleting the files of recordings whose retention is over: a part of the leader's clean-up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import structlog

from common.database.pool import ConnectionPool
from common.recordings.retention import delete_files, note_deleted, old_recordings
from common.recordings.store import RecordingStore, StoreFault
from scheduler.lease import Lease, Term

log = structlog.get_logger()

BATCH = 100
"""Recordings whose files are deleted before the deletion is recorded."""
PAUSE = 0.05
"""Seconds between two batches, so that clean-up does not slow other work."""


class StoredFiles:
    """The files in one store."""

    def __init__(
        self, pool: ConnectionPool, lease: Lease, store: RecordingStore, *, batch: int = BATCH
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._store = store
        self._batch = batch

    async def forget(self, term: Term, before: datetime) -> int:
        """Delete the files of the recordings that ended before; returns how many.

        A store that does not answer ends the pass: the next one continues. Raises StaleTerm.
        """
        after, done = (datetime.min.replace(tzinfo=UTC), UUID(int=0)), 0
        while True:
            async with self._pool.acquire() as db:
                old = await old_recordings(db, before, after=after, limit=self._batch)
            if not old:
                return done
            try:
                await delete_files(self._store, old)
            except StoreFault as fault:
                log.warning("files of old recordings not deleted", error=fault.detail)
                return done
            async with self._pool.acquire() as db, db.transaction():
                done += await note_deleted(db, old)
                await self._lease.fence(db, term)
            if len(old) < self._batch:
                return done
            after = old[-1].place
            await asyncio.sleep(PAUSE)
