"""Running past slots after all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.slots import read_schedule
from api.backfills.schemas import BackfillOut, BackfillProgress, BackfillRequest
from api.context import announce, current_trace
from api.problems import unacceptable
from api.rows import Lock, owned
from api.security import Principal
from api.slots.service import history_kept_since
from common.automation_policy import AutomationPolicy
from common.errors import Conflict, FieldError
from common.events import RunCancelled
from common.ids import new_id
from common.models import Automation, AutomationRun, Backfill, BackfillStatus, Lane, RunStatus, Trigger
from common.scheduling import slots_between
from common.scheduling.timetable import Timetable

MAX_SLOTS = 1_000
"""Slots one backfill covers; more are asked for in several."""
CANCELLED = "backfill_cancelled"
_TICK = datetime.resolution


async def create(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    wanted: BackfillRequest,
    *,
    now: datetime,
) -> Backfill:
    """Queue a run for each slot of the range that has none; the leader lets them go one at a time.

    Raises NotFound, Conflict, or Unprocessable when the range holds no slot that can be made up for.
    """
    if wanted.last < wanted.first:
        raise unacceptable([FieldError("/to", "lies before from")])
    automation = await owned(session, Automation, principal.tenant_id, automation_id, lock=Lock.EDIT)
    slots = _slots(automation, wanted, now)
    if not slots:
        raise unacceptable([FieldError("/from", "no slot that was due lies in this range")])
    kept_since = await history_kept_since(session)
    if kept_since and any(automation.created_at <= slot < kept_since for slot in slots):
        detail = (
            f"runs from before {kept_since:%Y-%m-%d %H:%M} UTC have been cleaned up, "
            "so that it is not known which slots had none"
        )
        raise unacceptable([FieldError("/from", detail)])
    backfill = Backfill(
        tenant_id=automation.tenant_id,
        automation_id=automation.id,
        first_slot=slots[0],
        last_slot=slots[-1],
        created_at=now,
    )
    session.add(backfill)
    await session.flush()
    trace = current_trace()
    common = {
        "tenant_id": automation.tenant_id,
        "automation_id": automation.id,
        "backfill_id": backfill.id,
        "trigger": Trigger.BACKFILL,
        "status": RunStatus.WAITING,
        "lane": Lane.LOW,
        "max_attempts": AutomationPolicy.read(automation.policy).retry.max_attempts,
        "trace_id": trace.trace_id,
        "traceparent": trace.traceparent,
        "available_at": now,
        "created_at": now,
    }
    queued = await session.execute(
        insert(AutomationRun)
        .values([{**common, "id": new_id(), "scheduled_for": slot} for slot in slots])
        .on_conflict_do_nothing(index_elements=["automation_id", "scheduled_for"])
        .returning(col(AutomationRun.id))
    )
    backfill.runs = len(queued.all())
    if not backfill.runs:
        raise Conflict("Every slot of this range has its run already.")
    await session.flush()
    return backfill


def _slots(automation: Automation, wanted: BackfillRequest, now: datetime) -> list[datetime]:
    """The slots of the range that the scheduler has decided about already, without the excluded ones."""
    schedule, faults = read_schedule(automation.schedule_config)
    if schedule is None:
        raise Conflict(f"The schedule cannot be read: {faults[0].detail}")
    first, decided = wanted.first.astimezone(UTC), min(wanted.last.astimezone(UTC), now)
    undecided = automation.next_slot or automation.next_run
    if undecided is not None:
        decided = min(decided, undecided - _TICK)
    timetable = Timetable(schedule, automation_id=automation.id, default_anchor=automation.created_at)
    ranges = [found for found in timetable.ranges(first, decided) if found.excluded is None]
    count = sum(found.count for found in ranges)
    if count > MAX_SLOTS:
        detail = f"{count:,} slots lie in this range; ask for at most {MAX_SLOTS:,} at a time"
        raise unacceptable([FieldError("/to", detail)])
    anchor = automation.created_at
    return [
        slot
        for found in ranges
        for slot in slots_between(schedule, found.first, found.last, limit=count, default_anchor=anchor)
    ]


async def shown(session: AsyncSession, backfills: Sequence[Backfill]) -> list[BackfillOut]:
    """Backfills as clients see them, with how far each is."""
    counted = await session.execute(
        select(col(AutomationRun.backfill_id), col(AutomationRun.status), func.count())
        .where(col(AutomationRun.backfill_id).in_([backfill.id for backfill in backfills]))
        .group_by(col(AutomationRun.backfill_id), col(AutomationRun.status))
    )
    progress: dict[UUID | None, dict[str, int]] = defaultdict(dict)
    for backfill_id, status, count in counted:
        progress[backfill_id][status] = count
    return [
        BackfillOut(**backfill.model_dump(), progress=BackfillProgress.model_validate(progress[backfill.id]))
        for backfill in backfills
    ]


async def cancel(session: AsyncSession, tenant_id: UUID, backfill_id: UUID, *, now: datetime) -> Backfill:
    """End a backfill: what waits is cancelled, what runs is asked to stop. Doing it twice changes nothing.

    Raises NotFound, or Conflict when it has ended by itself.
    """
    backfill = await owned(session, Backfill, tenant_id, backfill_id, lock=Lock.WHOLE)
    if backfill.status == BackfillStatus.CANCELLED:
        return backfill
    if backfill.status != BackfillStatus.ACTIVE:
        raise Conflict("The backfill has already completed.")
    cancelled = await session.execute(
        update(AutomationRun)
        .where(
            col(AutomationRun.backfill_id) == backfill_id,
            col(AutomationRun.status).in_((RunStatus.WAITING, RunStatus.QUEUED, RunStatus.RETRYING)),
        )
        .values(status=RunStatus.CANCELLED, cancel_requested=True, completed_at=now)
        .returning(col(AutomationRun.id), col(AutomationRun.attempt), col(AutomationRun.trace_id))
        .execution_options(synchronize_session=False)
    )
    events = [
        RunCancelled(
            run_id=row.id,
            automation_id=backfill.automation_id,
            tenant_id=tenant_id,
            attempt=row.attempt,
            trace_id=row.trace_id,
            reason=CANCELLED,
        )
        for row in cancelled
    ]
    await session.execute(
        update(AutomationRun)
        .where(col(AutomationRun.backfill_id) == backfill_id, col(AutomationRun.status) == RunStatus.RUNNING)
        .values(cancel_requested=True)
        .execution_options(synchronize_session=False)
    )
    backfill.status = BackfillStatus.CANCELLED
    backfill.ended_at = now
    await announce(session, *events, at=now)
    return backfill
