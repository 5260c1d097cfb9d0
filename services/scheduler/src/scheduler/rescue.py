"""Runs that would otherwise wait for ever: their executor fell silent, or the time for a retry has come."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
import structlog

from common.database import outbox
from common.database.pool import ConnectionPool, DbSession
from common.events import EventRecord, RunCancelled, RunFailed, to_record
from common.models import RunStatus, Trigger
from scheduler.due_events import due_event
from scheduler.lease import Lease, Term

log = structlog.get_logger()

BATCH = 500

# The loser of a race here is the executor whose heartbeat comes too late: its lease has expired, and
# every write of its attempt is conditional on `worker` and `attempt`, which this statement takes away.
_LOST = """
WITH lost AS (
    SELECT id, worker AS was_with FROM automation_run
     WHERE status = 'running' AND lease_expires_at < clock_timestamp()
     ORDER BY lease_expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE automation_run r
   SET status = CASE WHEN r.cancel_requested THEN 'cancelled'
                     WHEN r.attempt < r.max_attempts THEN 'queued' ELSE 'failed' END,
       completed_at = CASE WHEN r.cancel_requested OR r.attempt >= r.max_attempts THEN clock_timestamp() END,
       error_code = CASE WHEN r.replaced_by IS NOT NULL THEN 'replaced'
                         WHEN r.cancel_requested THEN 'cancelled'
                         WHEN r.attempt >= r.max_attempts THEN 'executor_lost' END,
       error_message = CASE WHEN r.replaced_by IS NOT NULL
                            THEN 'replaced by the run for '
                                 || to_char(r.replaced_by AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
                                 || ' UTC; its executor was lost'
                            WHEN r.cancel_requested THEN 'cancelled on request; its executor was lost'
                            WHEN r.attempt >= r.max_attempts
                            THEN 'the executor fell silent during the last attempt' END,
       worker = NULL, lease_expires_at = NULL, available_at = clock_timestamp()
  FROM lost WHERE r.id = lost.id
RETURNING r.id, r.tenant_id, r.automation_id, r.lane, r.trigger, r.scheduled_for, r.status, r.attempt,
          r.trace_id, r.traceparent, lost.was_with
"""
_END_ATTEMPTS = """
UPDATE run_attempt t SET ended_at = clock_timestamp(), outcome = 'lost', error_code = 'executor_lost',
       error_message = 'the executor fell silent; how far it came is not known'
  FROM unnest($1::uuid[], $2::int[]) AS lost (run_id, number)
 WHERE t.run_id = lost.run_id AND t.number = lost.number AND t.ended_at IS NULL
"""
# Locked in one order, as the executors do that count their own results.
_COUNT_ERRORS = """
UPDATE automation a SET error_count = a.error_count + failed.n, run_count = a.run_count + failed.n,
       failure_streak = a.failure_streak + failed.n
  FROM (SELECT a.id, failed.n
          FROM (SELECT id, count(*) AS n FROM unnest($1::uuid[]) AS f (id) GROUP BY id) AS failed
          JOIN automation a USING (id) ORDER BY a.id FOR NO KEY UPDATE OF a) AS failed
 WHERE a.id = failed.id
"""
_RETRY = """
WITH due AS (
    SELECT id FROM automation_run
     WHERE status = 'retrying' AND available_at <= clock_timestamp()
     ORDER BY available_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE automation_run r SET status = 'queued' FROM due WHERE r.id = due.id
RETURNING r.id, r.tenant_id, r.automation_id, r.lane, r.trigger, r.scheduled_for, r.traceparent
"""


class Rescue:
    """The leader's duty to runs that lost their way."""

    def __init__(self, pool: ConnectionPool, lease: Lease) -> None:
        self._pool = pool
        self._lease = lease

    async def rescue_batch(self, term: Term) -> int:
        """Requeue lost runs and due retries; returns how many rows were handled."""
        async with self._pool.acquire() as db, db.transaction():
            now = datetime.now(UTC)
            lost = await db.fetch(_LOST, BATCH)
            if lost:
                await self._settle_lost(db, lost)
            retried = await db.fetch(_RETRY, BATCH)
            records = [_lost_event(row, now) for row in lost] + [due_event(row, now) for row in retried]
            if records:
                await outbox.write(db, records)
                await self._lease.fence(db, term)
        for row in lost:
            log.warning(
                "executor lost",
                run_id=str(row["id"]),
                automation_id=str(row["automation_id"]),
                tenant_id=str(row["tenant_id"]),
                trace_id=row["trace_id"],
                worker=row["was_with"],
                status=row["status"],
            )
        return len(lost) + len(retried)

    async def _settle_lost(self, db: DbSession, lost: list[asyncpg.Record]) -> None:
        await db.execute(_END_ATTEMPTS, [row["id"] for row in lost], [row["attempt"] for row in lost])
        failed = [
            row["automation_id"]
            for row in lost
            if row["status"] == RunStatus.FAILED and row["trigger"] != Trigger.DRY_RUN
        ]
        if failed:
            await db.execute(_COUNT_ERRORS, failed)


def _lost_event(row: asyncpg.Record, now: datetime) -> EventRecord:
    if row["status"] == RunStatus.QUEUED:
        return due_event(row, now)
    common = {
        "run_id": row["id"],
        "automation_id": row["automation_id"],
        "tenant_id": row["tenant_id"],
        "attempt": row["attempt"],
        "trace_id": row["trace_id"],
    }
    if row["status"] == RunStatus.CANCELLED:
        event: RunCancelled | RunFailed = RunCancelled(**common, reason="requested; its executor was lost")
    else:
        event = RunFailed(
            **common,
            error_code="executor_lost",
            error_message="the executor fell silent during the last attempt",
            retry_at=None,
        )
    return to_record(event, source="scheduler", time=now, traceparent=row["traceparent"])
