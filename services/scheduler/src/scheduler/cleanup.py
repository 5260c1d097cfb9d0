"""Deleting what is past its retention: the leader's duty every `CLEANUP_INTERVAL`.

Each kind of row has its own retention. Rows are deleted in bounded batches, each a short transaction within
the leader's term, so that a clean-up blocks no other work and a deposed leader's ends with its batch. The
time of the last pass is kept in the database, so that frequent changes of leader neither skip nor repeat
passes.

The start of the kept history is recorded too (`common.history`), so that a slot without a record is not taken
for one that was missed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from common.database.pool import ConnectionPool
from common.history import KEPT_SINCE
from common.ids import first_id_at
from scheduler.lease import Lease, Term
from scheduler.stored_files import StoredFiles

log = structlog.get_logger()

LAST_PASS = "cleanup_last_pass"  # noqa: S105 - the name of a fact
BATCH = 1_000
PAUSE = 0.05
"""Seconds between two batches, so that clean-up does not slow other work."""

_ENDED = "('completed', 'failed', 'cancelled', 'skipped')"


@dataclass(frozen=True, slots=True)
class Retention:
    """Retention by kind."""

    runs: timedelta
    logs: timedelta
    deliveries: timedelta
    tokens: timedelta
    recordings: timedelta = timedelta(days=90)
    """The files of recordings; their rows stay."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One kind of row to delete.

    `statement` takes the instant before which rows are old, the first id of that instant (ids are in order of
    creation), how many to take, and the id to continue after; it returns the ids it handled.
    """

    name: str
    keep: timedelta
    statement: str


_RUNS = f"""
DELETE FROM automation_run WHERE id = ANY (ARRAY(
    SELECT r.id FROM automation_run r
     WHERE r.id < $2 AND r.id > $4 AND r.created_at < $1 AND r.status IN {_ENDED}
       AND NOT EXISTS (SELECT FROM delivery d WHERE d.run_id = r.id
                          AND d.status IN ('queued', 'sending', 'retrying'))
     ORDER BY r.id LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_LOGS = f"""
UPDATE automation_run SET logs = '[]' WHERE id = ANY (ARRAY(
    SELECT id FROM automation_run
     WHERE id < $2 AND id > $4 AND created_at < $1 AND status IN {_ENDED} AND logs <> '[]'
     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_SKIPS = """
DELETE FROM slot_skip WHERE id = ANY (ARRAY(
    SELECT id FROM slot_skip WHERE id < $2 AND id > $4 AND recorded_at < $1 AND last_slot < $1
     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_DELIVERIES = """
DELETE FROM delivery WHERE id = ANY (ARRAY(
    SELECT id FROM delivery
     WHERE id < $2 AND id > $4 AND created_at < $1 AND status IN ('delivered', 'failed', 'dropped')
     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_RENEWALS = """
DELETE FROM token_refresh WHERE id = ANY (ARRAY(
    SELECT id FROM token_refresh WHERE id < $2 AND id > $4 AND started_at < $1
     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id
"""
# Delete dead tokens, because only a thief could use them. The connection stays, so that it can be
# reconnected.
_TOKENS = """
UPDATE connection SET token_sealed = NULL, refresh_token_sealed = NULL, updated_at = now()
 WHERE id = ANY (ARRAY(
    SELECT id FROM connection
     WHERE status = 'reauth_required' AND reauth_required_at < $1 AND id > $4 AND $2::uuid IS NOT NULL
       AND (token_sealed IS NOT NULL OR refresh_token_sealed IS NOT NULL)
     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_DOWNLOAD_TOKENS = """
UPDATE recording SET download_token_sealed = NULL, download_token_expires_at = NULL WHERE id = ANY (ARRAY(
    SELECT id FROM recording
     WHERE download_token_sealed IS NOT NULL AND download_token_expires_at < $1
       AND id > $4 AND $2::uuid IS NOT NULL
     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_ATTEMPTS_TO_CONNECT = """
DELETE FROM oauth_attempt WHERE id = ANY (ARRAY(
    SELECT id FROM oauth_attempt WHERE expires_at < $1 AND id > $4 AND $2::uuid IS NOT NULL
     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id
"""
_SIGHTINGS = "DELETE FROM usage_sighting WHERE seen_at < $1"
_REIGNS = "DELETE FROM reign WHERE acquired_at < $1 AND term < (SELECT max(term) FROM reign)"
_REMEMBER = """
INSERT INTO fact (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_SINCE_LAST = """
SELECT extract(epoch FROM clock_timestamp() - value::timestamptz)::float8 FROM fact WHERE name = $1
"""


def sweeps(retention: Retention) -> list[Sweep]:
    """What a pass does, in order. Runs take their deliveries along, so deliveries come first."""
    return [
        Sweep("deliveries", retention.deliveries, _DELIVERIES),
        Sweep("runs", retention.runs, _RUNS),
        Sweep("run_logs", retention.logs, _LOGS),
        Sweep("skipped_slots", retention.runs, _SKIPS),
        Sweep("token_renewals", retention.runs, _RENEWALS),
        Sweep("dead_tokens", retention.tokens, _TOKENS),
        Sweep("expired_download_tokens", timedelta(0), _DOWNLOAD_TOKENS),
        Sweep("abandoned_connects", timedelta(0), _ATTEMPTS_TO_CONNECT),
    ]


class Cleanup:
    """The leader's retention duty. `interval` is in seconds.

    Without `stored_files` the files of recordings stay where they are.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        lease: Lease,
        *,
        retention: Retention,
        interval: float,
        stored_files: StoredFiles | None = None,
        batch: int = BATCH,
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._retention = retention
        self._interval = interval
        self._stored_files = stored_files
        self._batch = batch

    async def seconds_to_next(self) -> float:
        """Until the next pass is due; 0 when it is, or when there never was one."""
        elapsed: float | None = await self._pool.fetchval(_SINCE_LAST, LAST_PASS)
        return 0.0 if elapsed is None else max(0.0, self._interval - elapsed)

    async def run(self, term: Term) -> dict[str, int]:
        """One whole pass; returns how many of each kind were deleted. Raises StaleTerm."""
        now: datetime = await self._pool.fetchval("SELECT clock_timestamp()")
        # Before deleting, because a slot whose record is deleted must not be reported as missed.
        await self._within(term, _REMEMBER, KEPT_SINCE, (now - self._retention.runs).isoformat())
        done = {
            sweep.name: await self._sweep(term, sweep, now - sweep.keep) for sweep in sweeps(self._retention)
        }
        if self._stored_files is not None:
            done["recording_files"] = await self._stored_files.forget(term, now - self._retention.recordings)
        done["usage_sightings"] = await self._within(term, _SIGHTINGS, now - timedelta(days=1))
        done["reigns"] = await self._within(term, _REIGNS, now - self._retention.runs)
        await self._within(term, _REMEMBER, LAST_PASS, now.isoformat())
        log.info("cleanup finished", **done)
        return done

    async def _sweep(self, term: Term, sweep: Sweep, before: datetime) -> int:
        after, done = UUID(int=0), 0
        while True:
            async with self._pool.acquire() as db, db.transaction():
                rows = await db.fetch(sweep.statement, before, first_id_at(before), self._batch, after)
                await self._lease.fence(db, term)
            done += len(rows)
            if len(rows) < self._batch:
                return done
            after = max(row["id"] for row in rows)
            await asyncio.sleep(PAUSE)

    async def _within(self, term: Term, statement: str, *arguments: Any) -> int:
        async with self._pool.acquire() as db, db.transaction():
            tag = await db.execute(statement, *arguments)
            await self._lease.fence(db, term)
        return int(tag.rpartition(" ")[2])
