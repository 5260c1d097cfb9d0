"""What a run has to send, kept in PostgreSQL until all of it is accepted.

Every write is guarded by the run's attempt: one that was taken over prepares nothing and marks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.database.pool import ConnectionPool
from common.errors import CarillonError
from executor.sync.chunks import Chunk

# The row is locked until the commit, so that the run cannot be claimed in between.
_HELD = """
SELECT 1 FROM automation_run
 WHERE id = $1 AND tenant_id = $2 AND attempt = $3 AND status = 'running' FOR SHARE
"""
# What earlier runs of the automation left is of no use: a run that has ended is not resumed.
_DISCARD = """
DELETE FROM sync_batch b
 WHERE b.run_id = $1
    OR (b.automation_id = $2
        AND EXISTS (SELECT FROM automation_run r
                     WHERE r.id = b.run_id AND r.status IN ('completed', 'failed', 'cancelled', 'skipped')))
"""
_PREPARE = """
INSERT INTO sync_batch (run_id, automation_id, facts) VALUES ($1, $2, $3) RETURNING prepared_at
"""
_KEEP = """
INSERT INTO sync_chunk (run_id, sequence, rows, body)
SELECT $1, d.* FROM unnest($2::int[], $3::int[], $4::bytea[]) AS d (sequence, rows, body)
"""
_BATCH = """
SELECT b.facts, b.prepared_at, count(*) AS chunks,
       coalesce(array_agg(c.sequence ORDER BY c.sequence) FILTER (WHERE c.accepted_at IS NULL), '{}') AS left
  FROM sync_batch b JOIN sync_chunk c ON c.run_id = b.run_id
  JOIN automation_run r ON r.id = b.run_id AND r.tenant_id = $2
 WHERE b.run_id = $1 GROUP BY b.run_id
"""
_CHUNK = "SELECT rows, body FROM sync_chunk WHERE run_id = $1 AND sequence = $2"
_ACCEPT = """
UPDATE sync_chunk c SET accepted_at = clock_timestamp(), body = NULL
  FROM automation_run r
 WHERE c.run_id = $1 AND c.sequence = $4
   AND r.id = c.run_id AND r.tenant_id = $2 AND r.attempt = $3 AND r.status = 'running'
"""


class Superseded(CarillonError):
    """Another attempt has this run by now; this one's result will not be recorded."""

    permanent = False


@dataclass(frozen=True, slots=True)
class Batch:
    """What was prepared. `left` are the numbers of the chunks not accepted yet, from 1 to `chunks`."""

    facts: Mapping[str, Any]
    prepared_at: datetime
    chunks: int
    left: Sequence[int]


class Batches:
    """The batch of one attempt."""

    def __init__(
        self, pool: ConnectionPool, *, run_id: UUID, automation_id: UUID, tenant_id: UUID, attempt: int
    ) -> None:
        self._pool = pool
        self._run_id = run_id
        self._automation_id = automation_id
        self._tenant_id = tenant_id
        self._attempt = attempt

    async def find(self) -> Batch | None:
        """What an earlier attempt of the run has prepared."""
        row = await self._pool.fetchrow(_BATCH, self._run_id, self._tenant_id)
        return None if row is None else Batch(row["facts"], row["prepared_at"], row["chunks"], row["left"])

    async def prepare(self, facts: Mapping[str, Any], chunks: Sequence[Chunk]) -> Batch:
        """Keep everything, in the place of what there was. Raises Superseded."""
        async with self._pool.acquire() as db, db.transaction():
            if await db.fetchval(_HELD, self._run_id, self._tenant_id, self._attempt) is None:
                raise Superseded("the run was taken over while its rows were read")
            await db.execute(_DISCARD, self._run_id, self._automation_id)
            prepared_at = await db.fetchval(_PREPARE, self._run_id, self._automation_id, dict(facts))
            await db.execute(
                _KEEP,
                self._run_id,
                list(range(1, len(chunks) + 1)),
                [chunk.rows for chunk in chunks],
                [chunk.body for chunk in chunks],
            )
        return Batch(facts, prepared_at, len(chunks), range(1, len(chunks) + 1))

    async def chunk(self, sequence: int) -> Chunk:
        """One of those that are left."""
        row = await self._pool.fetchrow(_CHUNK, self._run_id, sequence)
        if row is None or row["body"] is None:
            raise Superseded("the chunk was sent by another attempt")
        return Chunk(row["rows"], row["body"])

    async def accepted(self, sequence: int) -> None:
        """The receiver has it. Raises Superseded."""
        done = await self._pool.execute(_ACCEPT, self._run_id, self._tenant_id, self._attempt, sequence)
        if done != "UPDATE 1":
            raise Superseded("the run was taken over while its rows were sent")
