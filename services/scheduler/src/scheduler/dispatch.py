"""Turning due slots into runs.

One transaction a batch: lock what is due, decide about every slot up to now, insert the runs, their events
and the reasons for slots without a run, move `next_run` on, check the term. The work is set-based: it grows
with what is due, never with what exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from common import telemetry
from common.database import outbox
from common.database.pool import ConnectionPool, DbSession
from common.events import AutomationChanged, EventRecord, RunCancelled, RunSkipped, to_record
from common.ids import new_id
from common.models import AutomationStatus, RunStatus, Trigger
from scheduler.decisions import Decision, Due, PlannedRun, Skip, Vacancy, decide, decide_resume
from scheduler.due_events import due_event
from scheduler.lease import Lease, Term
from scheduler.limits import TENANT_LIMIT

log = structlog.get_logger()

HORIZON = 10_000
"""How many due automations one batch looks at to choose fairly between teams."""
LATE = timedelta(seconds=5)
"""From here on a slot is late enough to check whether there was no leader."""

# Fair: the first due of every team, then the second of every team, and so on. Backfills and dry runs overlap
# nothing. `taken`: undecided slots that have a run already, because a person started one for them. A row that
# is edited at this moment is locked and skipped: the edit decides about its next slot, and we look again.
_DUE = f"""
WITH due AS (
    SELECT id, tenant_id, next_run FROM automation
     WHERE status = 'active' AND next_run <= clock_timestamp()
     ORDER BY next_run LIMIT $2
),
fair AS (
    SELECT id, next_run, row_number() OVER (PARTITION BY tenant_id ORDER BY next_run) AS turn FROM due
     ORDER BY turn, next_run LIMIT $1
)
SELECT a.id, a.tenant_id, a.name, a.type, a.schedule_config, a.policy, a.priority, a.next_run,
       coalesce(a.next_slot, a.next_run) AS first_slot, a.created_at, a.version, a.fired_count,
       a.catch_up_on_resume, clock_timestamp() AS now, unfinished.active, unfinished.waiting,
       ARRAY(SELECT r.scheduled_for FROM automation_run r
              WHERE r.automation_id = a.id AND r.scheduled_for >= coalesce(a.next_slot, a.next_run)
                AND r.scheduled_for <= clock_timestamp()) AS taken,
       {TENANT_LIMIT} AS tenant_limit
  FROM automation a
  JOIN fair USING (id)
  JOIN tenant t ON t.id = a.tenant_id
  JOIN plan p ON p.name = t.plan
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE r.status <> 'waiting') AS active,
              count(*) FILTER (WHERE r.status = 'waiting') AS waiting
         FROM automation_run r
        WHERE r.automation_id = a.id AND r.status IN ('waiting', 'queued', 'running', 'retrying')
          AND r.trigger NOT IN ('backfill', 'dry_run')
       ) AS unfinished
 WHERE a.status = 'active' AND a.next_run <= clock_timestamp()
 ORDER BY fair.turn, fair.next_run
   FOR UPDATE OF a SKIP LOCKED
"""
_TENANTS_BUSY = """
SELECT tenant_id, count(*) AS n FROM automation_run
 WHERE tenant_id = ANY($1::uuid[]) AND status IN ('queued', 'running', 'retrying') GROUP BY tenant_id
"""
_VACANCIES = """
SELECT vacant_since AS since, acquired_at AS until FROM reign
 WHERE acquired_at >= $1 AND vacant_since IS NOT NULL AND acquired_at - vacant_since >= interval '1 second'
 ORDER BY acquired_at DESC LIMIT 100
"""
# A conflict means that the slot has had its run since `taken` was read: one slot, one run. It is not counted.
_INSERT_RUNS = """
INSERT INTO automation_run (id, tenant_id, automation_id, trigger, scheduled_for, status, expires_at,
                            max_attempts, lane, trace_id, traceparent)
SELECT id, tenant_id, automation_id, 'schedule', scheduled_for, status, expires_at, max_attempts, lane,
       trace_id, traceparent
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::timestamptz[],
              $7::int[], $8::text[], $9::text[], $10::text[])
       AS r (id, tenant_id, automation_id, scheduled_for, status, expires_at, max_attempts, lane, trace_id,
             traceparent)
ON CONFLICT (automation_id, scheduled_for) DO NOTHING
RETURNING id, tenant_id, automation_id, lane, trigger, scheduled_for, status, traceparent
"""
_INSERT_SKIPS = """
INSERT INTO slot_skip (id, automation_id, first_slot, last_slot, slots, reason, detail)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::int[], $6::text[],
                     $7::text[])
"""
_ADVANCE = """
UPDATE automation a
   SET next_slot = p.next_slot, next_run = p.next_run, status = p.status, status_reason = p.status_reason,
       fired_count = a.fired_count + p.fired, catch_up_on_resume = NULL,
       last_run = CASE WHEN p.fired > 0 THEN clock_timestamp() ELSE a.last_run END
  FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::int[])
       AS p (id, next_slot, next_run, status, status_reason, fired)
 WHERE a.id = p.id
"""
# Those that run are asked to stop and do so at their next heartbeat; those that do not are over at once.
_MAKE_ROOM = """
UPDATE automation_run r
   SET cancel_requested = true,
       status = CASE WHEN status = 'running' THEN status ELSE 'cancelled' END,
       replaced_by = n.slot,
       error_code = CASE WHEN status = 'running' THEN error_code ELSE 'replaced' END,
       error_message = CASE WHEN status = 'running' THEN error_message ELSE n.message END,
       completed_at = CASE WHEN status = 'running' THEN NULL ELSE clock_timestamp() END
  FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS n (newer_of, slot, message)
 WHERE r.automation_id = n.newer_of AND status IN ('waiting', 'queued', 'running', 'retrying')
   AND trigger NOT IN ('backfill', 'dry_run')
RETURNING id, tenant_id, automation_id, attempt, trace_id, traceparent, status, n.message
"""
# What to do about slots that passed is only asked where some did: the next one is an ordinary slot.
_RESUME = """
UPDATE automation
   SET status = 'active', status_reason = NULL, paused_at = NULL, paused_until = NULL,
       catch_up_on_resume = CASE WHEN next_run <= clock_timestamp()
                                 THEN coalesce(catch_up_on_resume, 'none') END,
       updated_at = now()
 WHERE id IN (SELECT id FROM automation WHERE status = 'paused' AND paused_until <= clock_timestamp()
               ORDER BY paused_until LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, tenant_id, version, next_run
"""
_NEXT = """
SELECT extract(epoch FROM least(
           (SELECT min(next_run) FROM automation WHERE status = 'active' AND next_run IS NOT NULL),
           (SELECT min(paused_until) FROM automation WHERE status = 'paused' AND paused_until IS NOT NULL)
       ) - clock_timestamp())::float8
"""


@dataclass(slots=True)
class Plan:
    """What one batch will write."""

    runs: list[tuple[object, ...]] = field(default_factory=list)
    skips: list[tuple[UUID, Skip]] = field(default_factory=list)
    advances: list[tuple[UUID, Decision]] = field(default_factory=list)
    make_room: list[tuple[UUID, datetime]] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)


class Dispatcher:
    """The leader's first duty.

    `tenant_window` bounds how many runs of one team may be queued or running at a time, so that another
    team's run never waits behind thousands; the rest wait in PostgreSQL.
    """

    def __init__(
        self, pool: ConnectionPool, lease: Lease, *, batch_size: int, tenant_window: int = 2_000
    ) -> None:
        self._pool = pool
        self._lease = lease
        self._batch_size = batch_size
        self._tenant_window = tenant_window

    async def seconds_to_next(self) -> float | None:
        """Seconds until something is due by the database's clock; None when nothing is scheduled."""
        seconds: float | None = await self._pool.fetchval(_NEXT)
        return seconds

    async def resume_due(self, term: Term) -> bool:
        """Wake automations whose pause has ended; True when there may be more."""
        async with self._pool.acquire() as db, db.transaction():
            rows = await db.fetch(_RESUME, self._batch_size)
            if rows:
                now: datetime = await db.fetchval("SELECT clock_timestamp()")
                await outbox.write(db, [_changed(row, "resumed", "active", now) for row in rows])
                await self._lease.fence(db, term)
        return len(rows) == self._batch_size

    async def dispatch_batch(self, term: Term) -> bool:
        """Dispatch up to one batch; True when there may be more. Raises StaleTerm when the term is over."""
        async with self._pool.acquire() as db, db.transaction():
            rows = await db.fetch(_DUE, self._batch_size, HORIZON)
            if not rows:
                return False
            log.info(f"Found {len(rows)} automation(s) due for execution", count=len(rows), term=term.number)
            room = await self._room(db, rows)
            plan = make_plan(rows, room, await _vacancies(db, rows))
            inserted = await _write(db, plan, rows[0]["now"])
            await self._lease.fence(db, term)
            committed_at: datetime = await db.fetchval("SELECT clock_timestamp()")
        for row in inserted:
            telemetry.SLOT_TO_DISPATCH.observe(
                max(0.0, (committed_at - row["scheduled_for"]).total_seconds())
            )
        return True

    async def _room(self, db: DbSession, rows: Sequence[asyncpg.Record]) -> dict[UUID, int]:
        """How many more runs of each team may be queued now."""
        tenants = {row["tenant_id"]: row["tenant_limit"] for row in rows}
        busy = {row["tenant_id"]: row["n"] for row in await db.fetch(_TENANTS_BUSY, list(tenants))}
        return {
            tenant: min(self._tenant_window, self._tenant_window if limit is None else limit)
            - busy.get(tenant, 0)
            for tenant, limit in tenants.items()
        }


async def _vacancies(db: DbSession, rows: Sequence[asyncpg.Record]) -> list[Vacancy]:
    oldest = min(row["first_slot"] for row in rows)
    if rows[0]["now"] - oldest < LATE:
        return []
    return [Vacancy(row["since"], row["until"]) for row in await db.fetch(_VACANCIES, oldest)]


async def _write(db: DbSession, plan: Plan, now: datetime) -> list[asyncpg.Record]:
    events = list(plan.events)
    if plan.make_room:
        replaced = await db.fetch(
            _MAKE_ROOM,
            [automation_id for automation_id, _ in plan.make_room],
            [slot for _, slot in plan.make_room],
            [f"replaced by the run for {slot:%Y-%m-%d %H:%M:%S} UTC" for _, slot in plan.make_room],
        )
        for row in replaced:
            if row["status"] == RunStatus.CANCELLED:
                events.append(_cancelled(row, now))
    inserted: list[asyncpg.Record] = []
    if plan.runs:
        inserted = await db.fetch(_INSERT_RUNS, *map(list, zip(*plan.runs, strict=True)))
    if plan.skips:
        await db.execute(
            _INSERT_SKIPS,
            [new_id() for _ in plan.skips],
            [automation_id for automation_id, _ in plan.skips],
            [skip.first for _, skip in plan.skips],
            [skip.last for _, skip in plan.skips],
            [skip.slots for _, skip in plan.skips],
            [skip.reason for _, skip in plan.skips],
            [skip.detail for _, skip in plan.skips],
        )
    fired = Counter(row["automation_id"] for row in inserted)
    await db.execute(
        _ADVANCE,
        [automation_id for automation_id, _ in plan.advances],
        [decision.next_slot for _, decision in plan.advances],
        [decision.next_run for _, decision in plan.advances],
        [str(decision.status) for _, decision in plan.advances],
        [decision.status_reason for _, decision in plan.advances],
        [fired[automation_id] for automation_id, _ in plan.advances],
    )
    queued = [due_event(row, now) for row in inserted if row["status"] == RunStatus.QUEUED]
    await outbox.write(db, [*queued, *events])
    return inserted


def make_plan(rows: Sequence[asyncpg.Record], room: dict[UUID, int], vacancies: Sequence[Vacancy]) -> Plan:
    """What to write for these due automations; uses up `room`."""
    plan = Plan()
    for row in rows:
        now: datetime = row["now"]
        due = Due(
            id=row["id"],
            schedule_config=row["schedule_config"],
            policy=row["policy"],
            first_slot=row["first_slot"],
            next_run=row["next_run"],
            created_at=row["created_at"],
            fired_count=row["fired_count"],
            active=row["active"],
            waiting=row["waiting"],
            taken=row["taken"],
        )
        if row["catch_up_on_resume"] is None:
            decision = decide(due, now=now, vacancies=vacancies)
        else:
            decision = decide_resume(due, now=now, catch_up=row["catch_up_on_resume"])
        plan.advances.append((due.id, decision))
        if decision.replaced_by is not None:
            plan.make_room.append((due.id, decision.replaced_by))
        for run in decision.runs:
            status = run.status
            if status is RunStatus.QUEUED:
                if room[row["tenant_id"]] > 0:
                    room[row["tenant_id"]] -= 1
                else:
                    status = RunStatus.WAITING
            plan.runs.append(_run(row, run, status))
        for skip in decision.skips:
            plan.skips.append((due.id, skip))
            plan.events.append(_skipped(row, skip, now))
        if decision.status is not AutomationStatus.ACTIVE:
            plan.events.append(_changed(row, decision.status, decision.status, now, next_run=None))
    return plan


def _run(row: asyncpg.Record, run: PlannedRun, status: RunStatus) -> tuple[object, ...]:
    run_id = new_id()
    span = telemetry.tracer().start_span(
        "dispatch automation",
        context=telemetry.context_of(None),
        attributes={
            "carillon.tenant.id": str(row["tenant_id"]),
            "carillon.automation.id": str(row["id"]),
            "carillon.run.id": str(run_id),
            "carillon.run.slot": run.slot.isoformat(),
            "carillon.run.trigger": str(Trigger.SCHEDULE),
        },
    )
    span.end()
    return (
        run_id,
        row["tenant_id"],
        row["id"],
        run.slot,
        status.value,
        run.expires_at,
        run.max_attempts,
        row["priority"],
        telemetry.trace_id_of(span),
        telemetry.traceparent_of(span),
    )


def _skipped(row: asyncpg.Record, skip: Skip, now: datetime) -> EventRecord:
    event = RunSkipped(
        automation_id=row["id"],
        tenant_id=row["tenant_id"],
        first_slot=skip.first,
        last_slot=skip.last,
        slots=skip.slots,
        reason=skip.reason,
    )
    return to_record(event, source="scheduler", time=now)


def _cancelled(row: asyncpg.Record, now: datetime) -> EventRecord:
    event = RunCancelled(
        run_id=row["id"],
        automation_id=row["automation_id"],
        tenant_id=row["tenant_id"],
        attempt=row["attempt"],
        trace_id=row["trace_id"],
        reason=row["message"],
    )
    return to_record(event, source="scheduler", time=now, traceparent=row["traceparent"])


def _changed(
    row: asyncpg.Record, change: str, status: str, now: datetime, **known: datetime | None
) -> EventRecord:
    event = AutomationChanged(
        automation_id=row["id"],
        tenant_id=row["tenant_id"],
        change=str(change),
        status=str(status),
        version=row["version"],
        next_run=known.get("next_run", row["next_run"]),
    )
    return to_record(event, source="scheduler", time=now)
