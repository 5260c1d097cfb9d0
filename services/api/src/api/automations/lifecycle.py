"""What an owner does with an automation: pause it, resume it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.automations.service import changed_event, count_edit, record_end, record_skip, set_next_slot
from api.automations.slots import first_slot, read_schedule
from api.context import announce
from api.problems import unacceptable
from api.quotas.service import require_room
from api.rows import Lock, owned
from api.security import Principal
from common.errors import Conflict, FieldError
from common.models import (
    Automation,
    AutomationStatus,
)
from common.scheduling import CatchUp, Place, skip_next


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
    count_edit(automation, now)
    await announce(session, changed_event(automation, "paused"), at=now)
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
        set_next_slot(automation, slot)
    # Else its place in the schedule stays: what has passed is due, and the scheduler decides about it.
    automation.status = AutomationStatus.ACTIVE
    automation.status_reason = None
    automation.paused_at = None
    automation.paused_until = None
    automation.paused_for_connection_id = None
    automation.failure_streak = 0
    count_edit(automation, now)
    await announce(session, changed_event(automation, "resumed"), at=now)
    return automation


async def skip_next_run(
    session: AsyncSession, principal: Principal, automation_id: UUID, *, now: datetime
) -> Automation:
    """Leave out the next slot that would run, and record who wanted that. It counts as no run.

    Raises NotFound, or Conflict where no single slot is next.
    """
    automation = await owned(session, Automation, principal.tenant_id, automation_id, lock=Lock.EDIT)
    if automation.status not in (AutomationStatus.ACTIVE, AutomationStatus.PAUSED):
        raise Conflict(f"The automation's status is {automation.status}; it has no next run.")
    schedule, faults = read_schedule(automation.schedule_config)
    if schedule is None:
        raise Conflict(f"The schedule cannot be read: {faults[0].detail}")
    place_now = Place(
        automation.id,
        automation.created_at,
        automation.created_at,
        automation.next_slot or automation.next_run,
    )
    found = skip_next(schedule, place_now, now)
    if found is None:
        raise Conflict("Slots have come due and are not decided yet; ask again when they are.")
    skipped, following = found
    if following is None:
        raise Conflict("It is the schedule's last run; pause or delete the automation instead.")
    wish = f"skipped by {principal.email}"
    events = [
        record_skip(session, automation, one if one.detail else replace(one, detail=wish)) for one in skipped
    ]
    set_next_slot(automation, following)
    count_edit(automation, now)
    await announce(session, *events, changed_event(automation, "updated"), at=now)
    return automation
