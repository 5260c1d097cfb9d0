"""Recording what became of runs: many at a time, state and events in one transaction.

Every row is guarded by worker and attempt: a result that comes after the run was taken away is rejected,
and with it the deliveries and events it would have caused.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg
import structlog

from common.clock import utc_now
from common.database import outbox
from common.database.pool import ConnectionPool, DbSession
from common.events import EventRecord, NotificationRequested, to_record
from common.ids import new_id
from common.messages import Message
from common.models import RunStatus
from common.runs import COUNT
from common.work.leases import Attempt
from executor.aftermath.application import AftermathWriter
from executor.runs.results import UNCOUNTED, Completion, run_event

log = structlog.get_logger()

ERROR_LENGTH = 2_000

# A run with a request to cancel it gets no other attempt, however this one ended. Where a later slot asked,
# the record says which.
_SETTLE = """
UPDATE automation_run r
   SET status = CASE WHEN d.status = 'retrying' AND r.cancel_requested THEN 'cancelled' ELSE d.status END,
       result = d.result,
       error_code = CASE WHEN d.status IN ('cancelled', 'retrying') AND r.replaced_by IS NOT NULL
                         THEN 'replaced' ELSE d.error_code END,
       error_message = CASE WHEN d.status IN ('cancelled', 'retrying') AND r.replaced_by IS NOT NULL
                            THEN 'replaced by the run for '
                                 || to_char(r.replaced_by AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
                                 || ' UTC'
                            ELSE d.error_message END,
       logs = r.logs || d.logs::jsonb, worker = NULL, lease_expires_at = NULL,
       uncounted = r.uncounted + d.uncounted,
       completed_at = CASE WHEN d.status <> 'retrying' OR r.cancel_requested THEN clock_timestamp() END,
       available_at = CASE WHEN d.status = 'retrying'
                           THEN clock_timestamp() + make_interval(secs => d.delay) ELSE r.available_at END
  FROM unnest($2::uuid[], $3::int[], $4::text[], $5::jsonb[], $6::text[], $7::text[], $8::text[],
              $9::float8[], $10::int[])
       AS d (id, attempt, status, result, error_code, error_message, logs, delay, uncounted)
 WHERE r.id = d.id AND r.worker = $1 AND r.attempt = d.attempt AND r.status = 'running'
RETURNING r.id, r.attempt, r.status, r.error_code, r.error_message, r.completed_at, r.available_at
"""
_END_ATTEMPTS = """
UPDATE run_attempt t
   SET ended_at = clock_timestamp(), outcome = d.outcome, error_code = d.error_code,
       error_message = d.error_message
  FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[])
       AS d (id, number, outcome, error_code, error_message)
 WHERE t.run_id = d.id AND t.number = d.number
"""
# The leader ends an attempt as well, once its worker has fallen silent: then with an outcome of its own.
_CONFIRM = """
SELECT t.run_id, t.number
  FROM unnest($2::uuid[], $3::int[], $4::text[]) AS d (id, number, outcome)
  JOIN run_attempt t ON t.run_id = d.id AND t.number = d.number
 WHERE t.worker = $1 AND t.outcome = d.outcome
"""
# What a handler remembers is written with the run that says so, or not at all.
_REMEMBER = """
INSERT INTO automation_state (automation_id, state)
SELECT * FROM unnest($1::uuid[], $2::jsonb[])
ON CONFLICT (automation_id) DO UPDATE SET state = excluded.state, updated_at = now()
"""
# A destination may have been deleted while the run was going on; its runs are recorded all the same.
_DELIVER = """
WITH kept AS (SELECT id FROM destination WHERE id = ANY($4::uuid[]) ORDER BY id FOR KEY SHARE)
INSERT INTO delivery (id, tenant_id, run_id, destination_id, message, trace_id, traceparent)
SELECT d.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::jsonb[], $6::text[], $7::text[])
                AS d (id, tenant_id, run_id, destination_id, message, trace_id, traceparent)
  JOIN kept ON kept.id = d.destination_id
RETURNING id
"""


class Completions:
    """Writes groups of completions for one worker, and what follows from the errors in them."""

    def __init__(self, pool: ConnectionPool, aftermath: AftermathWriter, *, worker: str) -> None:
        self._pool = pool
        self._aftermath = aftermath
        self._worker = worker

    async def write(self, group: Sequence[Completion]) -> list[bool]:
        """Commit a group; False for those that came too late."""
        async with self._pool.acquire() as db, db.transaction():
            accepted = await self._write(db, group)
        return [completion.attempt in accepted for completion in group]

    async def confirm(self, group: Sequence[Completion]) -> list[bool]:
        """Which attempts this worker has ended with these outcomes."""
        rows = await self._pool.fetch(
            _CONFIRM,
            self._worker,
            [c.run.id for c in group],
            [c.run.attempt for c in group],
            [c.outcome for c in group],
        )
        ended = {(row["run_id"], row["number"]) for row in rows}
        return [completion.attempt in ended for completion in group]

    async def _write(self, db: DbSession, group: Sequence[Completion]) -> set[Attempt]:
        # Sorted by id so that two transactions over the same runs lock them in the same order.
        group = await self._retry_outdated(db, sorted(group, key=lambda completion: completion.run.id))
        settled = {
            (row["id"], row["attempt"]): row
            for row in await db.fetch(
                _SETTLE,
                self._worker,
                [c.run.id for c in group],
                [c.run.attempt for c in group],
                [c.status.value for c in group],
                [c.result for c in group],
                [c.error_code for c in group],
                [c.error_message and c.error_message[:ERROR_LENGTH] for c in group],
                # As text: a list of lists would reach PostgreSQL as one array of two dimensions, and the
                # lines of one run would end up with another.
                [json.dumps(list(c.logs)) for c in group],
                [c.retry_after.total_seconds() for c in group],
                [int(c.outcome in UNCOUNTED) for c in group],
            )
        }
        accepted = [
            replace(
                c,
                status=RunStatus(settled[c.attempt]["status"]),
                error_code=settled[c.attempt]["error_code"],
                error_message=settled[c.attempt]["error_message"],
            )
            for c in group
            if c.attempt in settled
        ]
        if not accepted:
            return set()
        await db.execute(
            _END_ATTEMPTS,
            [c.run.id for c in accepted],
            [c.run.attempt for c in accepted],
            [c.outcome for c in accepted],
            [c.error_code for c in accepted],
            [c.error_message and c.error_message[:ERROR_LENGTH] for c in accepted],
        )
        finished = [c for c in accepted if c.status is not RunStatus.RETRYING and not c.run.dry_run]
        # Before any automation is locked here, so that all are locked in one order.
        followed = await self._aftermath.apply(
            db,
            [fault for c in accepted for fault in c.faults],
            well=_used_well(accepted),
            counted=[c.run.automation_id for c in finished],
            now=utc_now(),
        )
        if finished:
            await db.execute(
                COUNT,
                [c.run.automation_id for c in finished],
                [c.status.value for c in finished],
            )
        # Two runs of one automation in a group: the later one's memory holds, and a row is written once.
        remembered = {
            c.run.automation_id: dict(c.state)
            for c in accepted
            if c.state is not None and c.status is RunStatus.COMPLETED and not c.run.dry_run
        }
        if remembered:
            ordered = sorted(remembered)
            await db.execute(_REMEMBER, ordered, [remembered[key] for key in ordered])
        deliveries = [
            _Delivery(new_id(), c.run.destination_id, c, message)
            for c in accepted
            if c.run.destination_id is not None
            for message in c.messages
        ]
        if deliveries:
            inserted = await db.fetch(
                _DELIVER,
                [d.id for d in deliveries],
                [d.completion.run.tenant_id for d in deliveries],
                [d.completion.run.id for d in deliveries],
                [d.destination_id for d in deliveries],
                [d.message.model_dump(mode="json") for d in deliveries],
                [d.completion.run.trace_id for d in deliveries],
                [d.completion.traceparent for d in deliveries],
            )
            kept = {row["id"] for row in inserted}
            deliveries = [d for d in deliveries if d.id in kept]
        await outbox.write(db, [*_events(accepted, deliveries, settled), *followed])
        return set(settled)

    async def _retry_outdated(self, db: DbSession, group: Sequence[Completion]) -> Sequence[Completion]:
        """Give those another attempt that failed for a token which has been replaced meanwhile."""
        hopeful = [c for c in group if c.retry_if_outdated is not None]
        if not hopeful:
            return group
        newer = await self._aftermath.outdated(db, [fault for c in hopeful for fault in c.faults])
        return [
            replace(c, status=RunStatus.RETRYING, retry_after=c.retry_if_outdated, faults=())
            if c.retry_if_outdated is not None and {fault.connection_id for fault in c.faults} & newer
            else c
            for c in group
        ]


def _used_well(completions: Sequence[Completion]) -> set[UUID]:
    """Connections that had a problem and were used by a run that met none."""
    return {
        connection_id
        for c in completions
        if c.status is RunStatus.COMPLETED and not c.run.dry_run
        for connection_id in c.run.troubled
        if c.run.credentials[connection_id].is_used
    }


@dataclass(frozen=True, slots=True)
class _Delivery:
    id: UUID
    destination_id: UUID
    completion: Completion
    message: Message


def _events(
    accepted: Sequence[Completion],
    deliveries: Sequence[_Delivery],
    settled: Mapping[Attempt, asyncpg.Record],
) -> list[EventRecord]:
    now = utc_now()
    caused: dict[UUID, list[UUID]] = defaultdict(list)
    records: list[EventRecord] = []
    for delivery in deliveries:
        run = delivery.completion.run
        caused[run.id].append(delivery.id)
        requested = NotificationRequested(
            delivery_id=delivery.id,
            destination_id=delivery.destination_id,
            tenant_id=run.tenant_id,
            run_id=run.id,
        )
        records.append(
            to_record(requested, source="executor", time=now, traceparent=delivery.completion.traceparent)
        )
    for completion in accepted:
        row = settled[completion.attempt]
        event = run_event(
            completion,
            completed_at=row["completed_at"],
            retry_at=row["available_at"],
            deliveries=tuple(caused[completion.run.id]),
        )
        records.append(to_record(event, source="executor", time=now, traceparent=completion.traceparent))
    return records
