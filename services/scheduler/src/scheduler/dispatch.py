"""Turning due slots into runs.

One transaction a batch: lock what is due, decide about every slot up to now, insert the runs, their events
and the reasons for slots without a run, move `next_run` on, check the term. The work is set-based: it grows
with what is due, never with what exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog

from common import outbox, telemetry
from common.database import Connection, ConnectionPool
from common.events import AutomationChanged, EventRecord, RunSkipped, to_record
from common.ids import new_id
from common.models import AutomationStatus, Trigger
from common.schedule import ScheduleError, SchedulePolicy, decide_due, parse_schedule
from scheduler.lease import Lease, Term
from scheduler.rescue import due_event

log = structlog.get_logger()

# `busy`: the overlap policy needs to know, and asking here keeps it one query for the whole batch.
_DUE = """
SELECT a.id, a.tenant_id, a.name, a.type, a.schedule_config, a.priority, a.next_run, a.created_at, a.version,
       clock_timestamp() AS now,
       EXISTS (SELECT FROM automation_run r
                WHERE r.automation_id = a.id AND r.status IN ('queued', 'running', 'retrying')) AS busy
  FROM automation a
 WHERE a.status = 'active' AND a.next_run <= clock_timestamp()
 ORDER BY a.next_run
 LIMIT $1
   FOR UPDATE OF a SKIP LOCKED
"""
# A conflict means that the slot already has its run, for example after a restored backup: one slot, one run.
_INSERT_RUNS = """
INSERT INTO automation_run (id, tenant_id, automation_id, trigger, scheduled_for, lane, trace_id, traceparent)
SELECT id, tenant_id, automation_id, 'schedule', scheduled_for, lane, trace_id, traceparent
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
       AS r (id, tenant_id, automation_id, scheduled_for, lane, trace_id, traceparent)
ON CONFLICT (automation_id, scheduled_for) DO NOTHING
RETURNING id, tenant_id, automation_id, lane, trigger, scheduled_for, traceparent
"""
_INSERT_SKIPS = """
INSERT INTO slot_skip (id, automation_id, first_slot, last_slot, slots, reason, detail)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::int[], $6::text[],
                     $7::text[])
"""
_ADVANCE = """
UPDATE automation a
   SET next_run = p.next_run, status = p.status, status_reason = p.status_reason,
       last_run = coalesce(p.last_run, a.last_run)
  FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::timestamptz[])
       AS p (id, next_run, status, status_reason, last_run)
 WHERE a.id = p.id
"""
_NEXT = """
SELECT extract(epoch FROM min(next_run) - clock_timestamp())::float8
  FROM automation WHERE status = 'active' AND next_run IS NOT NULL
"""

OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class Skip:
    """Consecutive slots that get no run."""

    first: datetime
    last: datetime
    slots: int
    reason: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one due automation."""

    slots: Sequence[datetime]
    skips: Sequence[Skip]
    next_run: datetime | None
    status: AutomationStatus = AutomationStatus.ACTIVE
    status_reason: str | None = None


@dataclass(slots=True)
class Plan:
    """What one batch will write."""

    runs: list[tuple[UUID, UUID, UUID, datetime, str, str, str]] = field(default_factory=list)
    skips: list[tuple[UUID, Skip]] = field(default_factory=list)
    advances: list[tuple[UUID, Decision]] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)


def decide(
    schedule_config: dict[str, object],
    *,
    next_run: datetime,
    now: datetime,
    created_at: datetime,
    busy: bool,
) -> Decision:
    """What becomes of an automation whose `next_run` has come. Pure.

    A `next_run` that is not one of the schedule's own slots was put there on purpose (an operator's UPDATE)
    and is honoured as a slot. A schedule that cannot be read any more stops the automation and says why,
    instead of holding up its neighbours.
    """
    try:
        schedule = parse_schedule(schedule_config)
    except ScheduleError as error:
        return Decision((), (), None, AutomationStatus.ERROR, f"schedule_config: {error}"[:500])
    due = decide_due(schedule, SchedulePolicy(), next_run, now, default_anchor=created_at)
    slots = tuple(slot.nominal for slot in due.runs) or (next_run,)
    skips = [Skip(s.first, s.last, s.count, str(s.reason)) for s in due.skipped]
    if busy:
        skips.append(Skip(slots[0], slots[-1], len(slots), OVERLAP, "the previous run had not finished"))
        slots = ()
    if due.next_run is None:
        return Decision(slots, skips, None, AutomationStatus.STOPPED, "the schedule has no further slot")
    return Decision(slots, skips, due.next_run)


class Dispatcher:
    """The leader's first duty."""

    def __init__(self, pool: ConnectionPool, lease: Lease, *, batch_size: int) -> None:
        self._pool = pool
        self._lease = lease
        self._batch_size = batch_size

    async def seconds_to_next(self) -> float | None:
        """Seconds until the earliest `next_run` by the database's clock; None when nothing is scheduled."""
        seconds: float | None = await self._pool.fetchval(_NEXT)
        return seconds

    async def dispatch_batch(self, term: Term) -> bool:
        """Dispatch up to one batch; True when there may be more. Raises StaleTerm when the reign is over."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_DUE, self._batch_size)
            if not rows:
                return False
            log.info(f"Found {len(rows)} automation(s) due for execution", count=len(rows), term=term.number)
            plan = _plan(rows)
            inserted = await self._write(connection, plan, rows[0]["now"])
            await self._lease.fence(connection, term)
            committed_at: datetime = await connection.fetchval("SELECT clock_timestamp()")
        for row in inserted:
            telemetry.SLOT_TO_DISPATCH.observe(
                max(0.0, (committed_at - row["scheduled_for"]).total_seconds())
            )
        return len(rows) == self._batch_size

    async def _write(self, connection: Connection, plan: Plan, now: datetime) -> list[asyncpg.Record]:
        inserted: list[asyncpg.Record] = []
        if plan.runs:
            inserted = await connection.fetch(_INSERT_RUNS, *map(list, zip(*plan.runs, strict=True)))
        if plan.skips:
            await connection.execute(
                _INSERT_SKIPS,
                [new_id() for _ in plan.skips],
                [automation_id for automation_id, _ in plan.skips],
                [skip.first for _, skip in plan.skips],
                [skip.last for _, skip in plan.skips],
                [skip.slots for _, skip in plan.skips],
                [skip.reason for _, skip in plan.skips],
                [skip.detail for _, skip in plan.skips],
            )
        await connection.execute(
            _ADVANCE,
            [automation_id for automation_id, _ in plan.advances],
            [decision.next_run for _, decision in plan.advances],
            [str(decision.status) for _, decision in plan.advances],
            [decision.status_reason for _, decision in plan.advances],
            [now if decision.slots else None for _, decision in plan.advances],
        )
        await outbox.write(connection, [*(due_event(row, now) for row in inserted), *plan.events])
        return inserted


def _plan(rows: Sequence[asyncpg.Record]) -> Plan:
    plan = Plan()
    for row in rows:
        now: datetime = row["now"]
        decision = decide(
            row["schedule_config"],
            next_run=row["next_run"],
            now=now,
            created_at=row["created_at"],
            busy=row["busy"],
        )
        plan.advances.append((row["id"], decision))
        for slot in decision.slots:
            run_id = new_id()
            span = telemetry.tracer().start_span(
                "dispatch automation",
                context=telemetry.context_of(None),
                attributes={
                    "carillon.tenant.id": str(row["tenant_id"]),
                    "carillon.automation.id": str(row["id"]),
                    "carillon.run.id": str(run_id),
                    "carillon.run.slot": slot.isoformat(),
                    "carillon.run.trigger": str(Trigger.SCHEDULE),
                },
            )
            span.end()
            plan.runs.append(
                (
                    run_id,
                    row["tenant_id"],
                    row["id"],
                    slot,
                    row["priority"],
                    telemetry.trace_id_of(span),
                    telemetry.traceparent_of(span),
                )
            )
        for skip in decision.skips:
            plan.skips.append((row["id"], skip))
            plan.events.append(
                to_record(
                    RunSkipped(
                        automation_id=row["id"],
                        tenant_id=row["tenant_id"],
                        first_slot=skip.first,
                        last_slot=skip.last,
                        slots=skip.slots,
                        reason=skip.reason,
                    ),
                    source="scheduler",
                    time=now,
                )
            )
        if decision.status is not AutomationStatus.ACTIVE:
            plan.events.append(
                to_record(
                    AutomationChanged(
                        automation_id=row["id"],
                        tenant_id=row["tenant_id"],
                        change=str(decision.status),
                        status=str(decision.status),
                        version=row["version"],
                        next_run=None,
                    ),
                    source="scheduler",
                    time=now,
                )
            )
    return plan
