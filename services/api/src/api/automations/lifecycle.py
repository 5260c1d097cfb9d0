"""What an owner does with an automation: pause it, resume it, run it now."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.schemas import RunRequest
from api.automations.service import changed, edited, place, record_end
from api.automations.slots import first_slot
from api.context import announce, current_trace
from api.manual_runs.slots import past_slot
from api.problems import unacceptable
from api.quotas.service import require_room
from api.rows import Lock, owned
from api.security import Principal
from common.automation_policy import AutomationPolicy
from common.errors import Conflict, FieldError
from common.events import AutomationDue
from common.models import (
    Automation,
    AutomationRun,
    AutomationStatus,
    Lane,
    Plan,
    RunStatus,
    Tenant,
    Trigger,
)
from common.scheduling import CatchUp

_LIMIT = "max_concurrent_runs"


async def pause(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    *,
    until: datetime | None,
    catch_up: CatchUp | None = None,
    now: datetime,
) -> Automation:
    """Stop dispatching it until it is resumed, or until `until`. Doing it twice changes nothing.

    `catch_up` is for the slots that pass meanwhile. Raises NotFound, Conflict or Unprocessable.
    """
    if until is not None and until <= now:
        raise unacceptable([FieldError("/until", "lies in the past")])
    automation = await owned(session, Automation, principal.tenant_id, automation_id, lock=Lock.EDIT)
    paused = automation.status == AutomationStatus.PAUSED
    waits = automation.paused_for_connection_id is not None
    if paused and not waits and (automation.paused_until, automation.catch_up_on_resume) == (until, catch_up):
        return automation
    if not paused and automation.status != AutomationStatus.ACTIVE:
        raise Conflict(f"The automation's status is {automation.status}; only an active one can be paused.")
    if not paused:
        automation.status = AutomationStatus.PAUSED
        automation.paused_at = now
    if waits:
        # A person's word: it stays paused when the account it waited for is connected again.
        automation.paused_for_connection_id = None
        automation.status_reason = None
    automation.paused_until = until
    automation.catch_up_on_resume = catch_up
    edited(automation, now)
    await announce(session, changed(automation, "paused"), at=now)
    return automation


async def resume(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    *,
    catch_up: CatchUp | None,
    now: datetime,
) -> Automation:
    """Dispatch it again, whether it was paused or stopped by an error. Doing it twice changes nothing.

    About the slots that passed meanwhile the scheduler decides by `catch_up`, else by what was chosen when
    it was paused, else it records them as skipped. Raises NotFound, QuotaExceeded, or Conflict when there is
    no slot left.
    """
    automation = await owned(session, Automation, principal.tenant_id, automation_id, lock=Lock.EDIT)
    if automation.status == AutomationStatus.ACTIVE:
        return automation
    choice = catch_up or automation.catch_up_on_resume or "none"
    slot, faults = first_slot(automation, automation.schedule_config, now)
    passed = automation.next_run is not None and automation.next_run <= now
    if faults and not (passed and choice != "none"):
        raise Conflict(f"The schedule {faults[0].detail}; give the automation another schedule first.")
    await require_room(session, automation, now=now)
    automation.catch_up_on_resume = choice if passed else None
    if automation.next_run is None:
        await record_end(session, automation, now)
        place(automation, slot)
    # Else its place in the schedule stays: what has passed is due, and the scheduler decides about it.
    automation.status = AutomationStatus.ACTIVE
    automation.status_reason = None
    automation.paused_at = None
    automation.paused_until = None
    automation.paused_for_connection_id = None
    automation.failure_streak = 0
    edited(automation, now)
    await announce(session, changed(automation, "resumed"), at=now)
    return automation


async def run_now(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    wanted: RunRequest,
    *,
    now: datetime,
) -> AutomationRun:
    """Queue a run ahead of scheduled ones. It belongs to the request's trace.

    The run of a slot that has none yet is that slot's run; a dry run never is. Where the team's plan limits
    how many run at once, the run waits for the leader to let it go. Raises NotFound or Unprocessable.
    """
    automation = await owned(session, Automation, principal.tenant_id, automation_id, lock=Lock.EDIT)
    slot = None if wanted.slot is None else past_slot(automation, wanted.slot, now)
    takes_slot = slot is not None and not wanted.dry_run and not await _has_run(session, automation, slot)
    retry = AutomationPolicy.read(automation.policy).retry
    limited = await _is_limited(session, principal.tenant_id)
    trace = current_trace()
    run = AutomationRun(
        tenant_id=automation.tenant_id,
        automation_id=automation.id,
        trigger=Trigger.DRY_RUN if wanted.dry_run else Trigger.MANUAL,
        scheduled_for=slot if takes_slot else None,
        as_of=None if takes_slot else slot or wanted.as_of,
        status=RunStatus.WAITING if limited else RunStatus.QUEUED,
        lane=Lane.HIGH,
        max_attempts=1 if wanted.dry_run else retry.max_attempts,
        trace_id=trace.trace_id,
        traceparent=trace.traceparent,
        available_at=now,
        created_at=now,
    )
    if not wanted.dry_run:
        automation.last_run = now
    session.add(run)
    due = AutomationDue(
        run_id=run.id,
        automation_id=automation.id,
        tenant_id=automation.tenant_id,
        lane=Lane.HIGH,
        trigger=Trigger(run.trigger),
        scheduled_for=run.scheduled_for,
    )
    if not limited:
        await announce(session, due, at=now)
    else:
        await session.flush()
    return run


async def _has_run(session: AsyncSession, automation: Automation, slot: datetime) -> bool:
    # The automation's row is locked, and whoever makes runs for slots locks it first.
    query = select(col(AutomationRun.id)).where(
        col(AutomationRun.automation_id) == automation.id, col(AutomationRun.scheduled_for) == slot
    )
    return (await session.execute(query)).one_or_none() is not None


async def _is_limited(session: AsyncSession, tenant_id: UUID) -> bool:
    row = (
        await session.execute(
            select(col(Tenant.quota), col(Plan.max_concurrent_runs))
            .join(Plan, col(Plan.name) == col(Tenant.plan))
            .where(col(Tenant.id) == tenant_id)
        )
    ).one()
    return row.quota.get(_LIMIT, row.max_concurrent_runs) is not None
