"""What an owner does with an automation: pause it, resume it, run it now."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.schemas import RunRequest
from api.automations.service import changed, edited, find, place, record_skip
from api.automations.slots import PAUSED, first_slot, passed_over
from api.context import announce, current_trace
from api.problems import unacceptable
from api.security import Principal
from common.errors import Conflict, FieldError
from common.events import AutomationDue, Event
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
from common.policies import AutomationPolicy
from common.scheduling.policy import CatchUp

_LIMIT = "max_concurrent_runs"


async def pause(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    *,
    until: datetime | None,
    now: datetime,
) -> Automation:
    """Stop dispatching it until it is resumed, or until `until`. Doing it twice changes nothing.

    Raises NotFound, Conflict or Unprocessable.
    """
    if until is not None and until <= now:
        raise unacceptable([FieldError("/until", "lies in the past")])
    automation = await find(session, principal.tenant_id, automation_id, lock=True)
    paused = automation.status == AutomationStatus.PAUSED
    if paused and automation.paused_until == until:
        return automation
    if not paused and automation.status != AutomationStatus.ACTIVE:
        raise Conflict(f"The automation's status is {automation.status}; only an active one can be paused.")
    if not paused:
        automation.status = AutomationStatus.PAUSED
        automation.paused_at = now
    automation.paused_until = until
    edited(automation, now)
    await announce(session, changed(automation, "paused"), at=now)
    return automation


async def resume(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    *,
    catch_up: CatchUp,
    now: datetime,
) -> Automation:
    """Dispatch it again, from the next slot after now. Doing it twice changes nothing.

    With `catch_up` "none" the slots that passed meanwhile are recorded as skipped; else the scheduler is left
    to decide about them. Raises NotFound, or Conflict when there is no slot left.
    """
    automation = await find(session, principal.tenant_id, automation_id, lock=True)
    if automation.status == AutomationStatus.ACTIVE:
        return automation
    slot, faults = first_slot(automation, automation.schedule_config, now)
    missed = passed_over(automation, now)
    decide_later = catch_up != "none" and missed is not None
    if faults and not decide_later:
        raise Conflict(f"The schedule {faults[0].detail}; give the automation another schedule first.")
    events: list[Event] = []
    if decide_later:
        automation.catch_up_on_resume = catch_up
    elif missed is not None:
        events.append(record_skip(session, automation, missed, PAUSED))
        place(automation, slot)
    # Else nothing has passed: the place in the schedule stays, also where the clock was set back meanwhile.
    automation.status = AutomationStatus.ACTIVE
    automation.status_reason = None
    automation.paused_at = None
    automation.paused_until = None
    automation.failure_streak = 0
    edited(automation, now)
    await announce(session, *events, changed(automation, "resumed"), at=now)
    return automation


async def run_now(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    wanted: RunRequest,
    *,
    now: datetime,
) -> AutomationRun:
    """Queue a run for no slot, ahead of scheduled ones. It belongs to the request's trace.

    Where the team's plan limits how many run at once, the run waits for the leader to let it go.
    """
    automation = await find(session, principal.tenant_id, automation_id, lock=True)
    limited = await _is_limited(session, principal.tenant_id)
    trace = current_trace()
    run = AutomationRun(
        tenant_id=automation.tenant_id,
        automation_id=automation.id,
        trigger=Trigger.DRY_RUN if wanted.dry_run else Trigger.MANUAL,
        scheduled_for=None,
        as_of=wanted.as_of,
        status=RunStatus.WAITING if limited else RunStatus.QUEUED,
        lane=Lane.HIGH,
        max_attempts=AutomationPolicy.read(automation.policy).retry.max_attempts,
        trace_id=trace.trace_id,
        traceparent=trace.traceparent,
        available_at=now,
        created_at=now,
    )
    automation.last_run = now
    session.add(run)
    due = AutomationDue(
        run_id=run.id,
        automation_id=automation.id,
        tenant_id=automation.tenant_id,
        lane=Lane.HIGH,
        trigger=Trigger(run.trigger),
        scheduled_for=None,
    )
    if not limited:
        await announce(session, due, at=now)
    else:
        await session.flush()
    return run


async def _is_limited(session: AsyncSession, tenant_id: UUID) -> bool:
    row = (
        await session.execute(
            select(col(Tenant.quota), col(Plan.max_concurrent_runs))
            .join(Plan, col(Plan.name) == col(Tenant.plan))
            .where(col(Tenant.id) == tenant_id)
        )
    ).one()
    return row.quota.get(_LIMIT, row.max_concurrent_runs) is not None
