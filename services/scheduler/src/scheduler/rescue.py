"""What dead workers held: it waits for another worker, or ends, and the record says that they fell silent."""

from __future__ import annotations

from datetime import datetime

import asyncpg
import structlog

from common.clock import utc_now
from common.database import outbox
from common.database.pool import ConnectionPool, DbSession
from common.events import (
    EventRecord,
    NotificationFailed,
    RecordingProcessingRequested,
    RunCancelled,
    RunFailed,
    to_record,
)
from common.models import RunStatus, Trigger
from common.runs import COUNT
from common.work.leases import DELIVERIES, RECORDINGS, RUNS, SILENT
from scheduler.due_events import due_event
from scheduler.lease import Lease, Term

log = structlog.get_logger()

BATCH = 500

_LOST_RUNS = f"""
WITH lost AS ({RUNS.lost})
UPDATE automation_run r
   SET status = CASE WHEN r.cancel_requested THEN 'cancelled'
                     WHEN r.attempt - r.uncounted < r.max_attempts THEN 'queued' ELSE 'failed' END,
       completed_at = CASE WHEN r.cancel_requested OR r.attempt - r.uncounted >= r.max_attempts
                           THEN clock_timestamp() END,
       error_code = CASE WHEN r.replaced_by IS NOT NULL THEN 'replaced'
                         WHEN r.cancel_requested THEN 'cancelled'
                         WHEN r.attempt - r.uncounted >= r.max_attempts THEN 'executor_lost' END,
       error_message = CASE WHEN r.replaced_by IS NOT NULL
                            THEN 'replaced by the run for '
                                 || to_char(r.replaced_by AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
                                 || ' UTC; its executor was lost'
                            WHEN r.cancel_requested THEN 'cancelled on request; its executor was lost'
                            WHEN r.attempt - r.uncounted >= r.max_attempts
                            THEN 'the executor fell silent during the last attempt' END,
       worker = NULL, lease_expires_at = NULL, available_at = clock_timestamp()
  FROM lost WHERE r.id = lost.id
RETURNING r.id, r.tenant_id, r.automation_id, r.lane, r.trigger, r.scheduled_for, r.status, r.attempt,
          r.trace_id, r.traceparent, lost.was_with
"""
_END_RUN_ATTEMPTS = """
UPDATE run_attempt t SET ended_at = clock_timestamp(), outcome = 'lost', error_code = 'executor_lost',
       error_message = $3
  FROM unnest($1::uuid[], $2::int[]) AS lost (run_id, number)
 WHERE t.run_id = lost.run_id AND t.number = lost.number AND t.ended_at IS NULL
"""
# Another worker goes on at the file that was not done; it is told at once.
_LOST_RECORDINGS = f"""
WITH lost AS ({RECORDINGS.lost})
UPDATE recording r
   SET worker = NULL, lease_expires_at = NULL, available_at = clock_timestamp(), updated_at = now(),
       error_code = 'executor_lost', error_message = $2
  FROM lost WHERE r.id = lost.id
RETURNING r.id, r.tenant_id, r.source_id, r.template_id, r.automation_id, r.attempt, r.trace_id,
          r.traceparent, lost.was_with
"""
# The next attempt carries the same idempotency key, because the receiver may have the message.
_LOST_DELIVERIES = f"""
WITH lost AS ({DELIVERIES.lost}),
released AS (
    UPDATE delivery r SET status = 'retrying', worker = NULL, lease_expires_at = NULL,
           next_attempt_at = clock_timestamp()
      FROM lost WHERE r.id = lost.id
    RETURNING r.*, lost.was_with
),
attempts AS (
    UPDATE delivery_attempt t SET ended_at = clock_timestamp(), outcome = 'unknown', error_message = $2
      FROM released WHERE t.delivery_id = released.id AND t.number = released.attempt
)
SELECT id, destination_id, tenant_id, run_id, attempt, trace_id, traceparent, next_attempt_at, was_with
  FROM released
"""
UNSURE = f"{SILENT}: the message may have been delivered"


class Rescue:
    """The leader's duty to what dead workers held: runs, recordings and deliveries."""

    def __init__(self, pool: ConnectionPool, lease: Lease) -> None:
        self._pool = pool
        self._lease = lease

    async def rescue_batch(self, term: Term) -> int:
        """Let what was lost wait for another worker, or end it; returns how many rows were handled."""
        async with self._pool.acquire() as db, db.transaction():
            now = utc_now()
            runs = await db.fetch(_LOST_RUNS, BATCH)
            if runs:
                await self._settle_runs(db, runs)
            recordings = await db.fetch(_LOST_RECORDINGS, BATCH, SILENT)
            deliveries = await db.fetch(_LOST_DELIVERIES, BATCH, UNSURE)
            records = [_lost_event(row, now) for row in runs]
            records += [_recording_event(row, now) for row in recordings]
            records += [_delivery_event(row, now) for row in deliveries]
            if records:
                await outbox.write(db, records)
                await self._lease.fence(db, term)
        for kind, rows in (("run", runs), ("recording", recordings), ("delivery", deliveries)):
            for row in rows:
                log.warning(
                    "worker lost",
                    kind=kind,
                    id=str(row["id"]),
                    tenant_id=str(row["tenant_id"]),
                    trace_id=row["trace_id"],
                    worker=row["was_with"],
                    attempt=row["attempt"],
                )
        return len(records)

    async def _settle_runs(self, db: DbSession, lost: list[asyncpg.Record]) -> None:
        await db.execute(
            _END_RUN_ATTEMPTS, [row["id"] for row in lost], [row["attempt"] for row in lost], SILENT
        )
        ended = [
            row for row in lost if row["status"] != RunStatus.QUEUED and row["trigger"] != Trigger.DRY_RUN
        ]
        if ended:
            await db.execute(COUNT, [row["automation_id"] for row in ended], [row["status"] for row in ended])


def _recording_event(row: asyncpg.Record, now: datetime) -> EventRecord:
    event = RecordingProcessingRequested(
        recording_id=row["id"],
        source_id=row["source_id"],
        tenant_id=row["tenant_id"],
        trace_id=row["trace_id"],
        template_id=row["template_id"],
        automation_id=row["automation_id"],
    )
    return to_record(event, source="scheduler", time=now, traceparent=row["traceparent"])


def _delivery_event(row: asyncpg.Record, now: datetime) -> EventRecord:
    event = NotificationFailed(
        delivery_id=row["id"],
        destination_id=row["destination_id"],
        tenant_id=row["tenant_id"],
        run_id=row["run_id"],
        attempt=row["attempt"],
        trace_id=row["trace_id"],
        error_message=UNSURE,
        retry_at=row["next_attempt_at"],
    )
    return to_record(event, source="scheduler", time=now, traceparent=row["traceparent"])


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
