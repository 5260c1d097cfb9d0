"""How a row is claimed, kept, read back and lost: one shape of row for every kind of work.

A row that can be claimed has `worker`, `attempt`, `lease_expires_at` and `stopped_workers`. A claim adds one
to `attempt`; every later write is conditional on `worker` and `attempt`, so that a worker that was replaced
writes nothing. Leases are counted on the database's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from common.database.pool import ConnectionPool

SILENT = "the worker fell silent; how far it came is not known"
"""What the record says of an attempt whose worker's lease ran out."""
MAX_UNCOUNTED = 200
"""Attempts of one item that may be put off or handed back before every further one counts as a failure."""

LONGEST_STATEMENT = 5.0
"""Seconds for a statement that a lease depends on, however long the lease."""

Attempt: TypeAlias = tuple[UUID, int]
"""An item and the number of its attempt.

Not the item alone: after a long pause a process may claim again what it is still working on.
"""


@dataclass(frozen=True, slots=True)
class Claimable:
    """The statements for one table. All SQL here is made of constants; values travel as parameters.

    `held` is the condition of a row that some worker holds, `on_claim` what else a claim sets, and `cancel`
    when a held row is to be cancelled; each names the row `r`.
    """

    table: str
    held: str
    on_claim: str
    cancel: str = "false"

    def claim(self, wanted: str) -> str:
        """Two common table expressions: the rows `wanted` selects, locked, and `claimed`, as they become.

        Parameters: $2 worker, $3 seconds of the lease; the others are those of `wanted`, which must end with
        FOR UPDATE SKIP LOCKED. The loser of a race skips the row while the winner holds its lock, and does
        not find it afterwards, because it is held by then; it goes on with the rest of its batch.
        """
        return f"""wanted AS ({wanted}),
claimed AS (
    UPDATE {self.table} r
       SET worker = $2, attempt = r.attempt + 1,
           lease_expires_at = clock_timestamp() + make_interval(secs => $3), {self.on_claim}
      FROM wanted WHERE r.id = wanted.id
    RETURNING r.*, clock_timestamp() AS claimed_at
)"""

    @property
    def read_back(self) -> str:
        """A common table expression `claimed`: rows that are the worker's by a claim whose answer was lost.

        Parameters: $1 and $4 the ids and attempts it knows of, $2 worker, $3 seconds of the lease, which is
        extended. A row that the leader takes away at this moment is locked by it, and then not the worker's.
        """
        return f"""claimed AS (
    UPDATE {self.table} r
       SET lease_expires_at = clock_timestamp() + make_interval(secs => $3)
     WHERE r.worker = $2 AND {self.held}
       AND NOT EXISTS (SELECT FROM unnest($1::uuid[], $4::int[]) AS known (id, attempt)
                        WHERE known.id = r.id AND known.attempt = r.attempt)
    RETURNING r.*, clock_timestamp() AS claimed_at
)"""

    @property
    def extend(self) -> str:
        """Extend leases. Parameters: $1 worker, $2 seconds, $3 and $4 ids and attempts.

        Rows that are not answered were taken away, or have ended.
        """
        return f"""
UPDATE {self.table} r
   SET lease_expires_at = clock_timestamp() + make_interval(secs => $2)
  FROM unnest($3::uuid[], $4::int[]) AS mine (id, attempt)
 WHERE r.id = mine.id AND r.worker = $1 AND r.attempt = mine.attempt AND {self.held}
RETURNING r.id, r.attempt, {self.cancel} AS cancel
"""

    @property
    def stopped(self) -> str:
        """Count that the row's worker ends because of it, and end its lease. Parameters: id, attempt, worker.

        Changes nothing when another worker has the row by now.
        """
        return f"""
UPDATE {self.table} r
   SET stopped_workers = r.stopped_workers + 1, lease_expires_at = clock_timestamp()
 WHERE r.id = $1 AND r.attempt = $2 AND r.worker = $3 AND {self.held}
"""

    @property
    def lost(self) -> str:
        """Rows whose worker has fallen silent, at most $1, locked.

        The loser of a race here is the worker whose heartbeat or result comes too late: it waits for the
        lock, and then the row is not its own any more.
        """
        return f"""
SELECT r.id, r.worker AS was_with FROM {self.table} r
 WHERE {self.held} AND r.lease_expires_at < clock_timestamp()
 ORDER BY r.lease_expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
"""


RUNS = Claimable(
    "automation_run",
    held="r.status = 'running'",
    on_claim="status = 'running', started_at = coalesce(r.started_at, clock_timestamp())",
    cancel="r.cancel_requested",
)
RECORDINGS = Claimable(
    "recording",
    held="r.worker IS NOT NULL",
    # Starting a recording over sets its attempts to 0: those of before are not counted any more.
    on_claim="""available_at = NULL, updated_at = now(),
           uncounted = CASE WHEN r.attempt = 0 THEN 0 ELSE r.uncounted END,
           stopped_workers = CASE WHEN r.attempt = 0 THEN 0 ELSE r.stopped_workers END,
           artifacts = CASE WHEN r.attempt = 0 THEN r.artifacts - 'retries' ELSE r.artifacts END""",
)
DELIVERIES = Claimable("delivery", held="r.status = 'sending'", on_claim="status = 'sending'")


def patience(lease_seconds: float) -> float:
    """How long a statement may take that a lease depends on."""
    return min(LONGEST_STATEMENT, lease_seconds / 4)


class Leases:
    """One worker's leases on the rows of one table, each `seconds` long."""

    def __init__(self, pool: ConnectionPool, rows: Claimable, *, worker: str, seconds: float) -> None:
        self.seconds = seconds
        self.rows = rows
        self._pool = pool
        self._worker = worker

    async def extend(self, attempts: Sequence[Attempt]) -> Mapping[Attempt, bool]:
        """Extend the leases of these; answers those still the worker's, and whether to cancel each.

        Takes no longer than `patience`, because a silent connection must not outlast a lease.
        """
        async with asyncio.timeout(patience(self.seconds)):
            rows = await self._pool.fetch(
                self.rows.extend,
                self._worker,
                self.seconds,
                [item_id for item_id, _ in attempts],
                [number for _, number in attempts],
            )
        return {(row["id"], row["attempt"]): row["cancel"] for row in rows}
