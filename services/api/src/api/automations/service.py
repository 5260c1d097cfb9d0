"""Automations: create, find, change, delete. Each function works within the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.references import check_references
from api.automations.schemas import AutomationCreate, AutomationPatch
from api.automations.slots import edit, first_slot, in_words, read_schedule
from api.automations.types import known_types, read_config
from api.context import RECEIVER_HOSTS, announce
from api.pagination import PageRequest
from api.problems import PreconditionFailed, unacceptable
from api.quotas.service import require_interval, require_room
from api.rows import Lock, find_owned, newest_first, owned, owned_page
from api.security import Principal
from api.slots.service import last_recorded
from common.automation_policy import AutomationPolicy
from common.errors import FieldError, Forbidden
from common.events import AutomationChanged, Event, RunSkipped
from common.models import (
    Automation,
    AutomationRun,
    AutomationStatus,
    Destination,
    ScheduleChange,
    SchedulePeriod,
    SlotSkip,
)
from common.scheduling import Handover, SkippedRange, SkipReason, Slot
from common.scheduling.due import skip_slots
from common.scheduling.timetable import Timetable

_NOT_YOURS = "no destination of yours has this id"


async def _check_config(
    session: AsyncSession, tenant_id: UUID, type_name: str, config: Mapping[str, Any]
) -> list[FieldError]:
    hosts = session.info.get(RECEIVER_HOSTS)
    read, faults = read_config(type_name, config, await known_types(session), allowed_hosts=hosts)
    return faults or await check_references(session, tenant_id, read)


async def _check_destination(
    session: AsyncSession, tenant_id: UUID, destination_id: UUID
) -> list[FieldError]:
    found = await find_owned(session, Destination, tenant_id, destination_id, lock=Lock.REFERENCE)
    return [] if found is not None else [FieldError("/destination_id", _NOT_YOURS)]


async def create(
    session: AsyncSession, principal: Principal, wanted: AutomationCreate, *, now: datetime
) -> Automation:
    """Store a new automation and announce it. Raises Forbidden, QuotaExceeded or Unprocessable."""
    if wanted.tenant_id not in (None, principal.tenant_id):
        raise Forbidden("The API key belongs to another team than tenant_id names.")
    automation = Automation(
        **wanted.model_dump(exclude={"tenant_id", "policy"}),
        policy=stored_policy(wanted.policy),
        tenant_id=principal.tenant_id,
        user_id=principal.user_id,
        created_at=now,
        updated_at=now,
    )
    slot, faults = first_slot(automation, wanted.schedule_config, now)
    faults += await _check_config(session, principal.tenant_id, wanted.type, wanted.automation_config)
    faults += await _check_destination(session, principal.tenant_id, wanted.destination_id)
    if faults:
        raise unacceptable(faults)
    await require_room(session, automation, now=now)
    await start(session, automation, slot, now=now)
    await announce(session, changed_event(automation, "created"), at=now)
    return automation


async def start(session: AsyncSession, automation: Automation, slot: Slot | None, *, now: datetime) -> None:
    """Store a new automation and the beginning of its schedule's history."""
    set_next_slot(automation, slot)
    session.add(automation)
    await session.flush()
    session.add(
        SchedulePeriod(
            automation_id=automation.id,
            user_id=automation.user_id,
            schedule_config=automation.schedule_config,
            begins_after=automation.created_at,
            changed_at=now,
        )
    )


async def begin_period(
    session: AsyncSession,
    automation: Automation,
    schedule_config: dict[str, Any],
    *,
    after: datetime,
    user_id: UUID | None,
    now: datetime,
) -> None:
    """Let another schedule hold for the slots later than `after`. The automation still has the old one."""
    ended = await session.execute(
        update(SchedulePeriod)
        .where(col(SchedulePeriod.automation_id) == automation.id, col(SchedulePeriod.ends_at).is_(None))
        .values(ends_at=after)
        .returning(col(SchedulePeriod.id))
    )
    if not ended.all():
        # Stored before schedules had a history.
        session.add(
            SchedulePeriod(
                automation_id=automation.id,
                schedule_config=automation.schedule_config,
                begins_after=automation.created_at,
                ends_at=after,
                changed_at=automation.created_at,
            )
        )
    session.add(
        SchedulePeriod(
            automation_id=automation.id,
            user_id=user_id,
            schedule_config=schedule_config,
            change=ScheduleChange.EDITED,
            begins_after=after,
            changed_at=now,
        )
    )


async def _begun(session: AsyncSession, automation: Automation) -> datetime:
    """The schedule that holds names slots later than this."""
    found = await session.scalar(
        select(col(SchedulePeriod.begins_after)).where(
            col(SchedulePeriod.automation_id) == automation.id, col(SchedulePeriod.ends_at).is_(None)
        )
    )
    return found or automation.created_at


async def _slots_with_runs(session: AsyncSession, automation: Automation, now: datetime) -> list[datetime]:
    """Undecided slots for which a person started a run."""
    undecided = automation.next_slot or automation.next_run
    if undecided is None or undecided > now:
        return []
    slot = col(AutomationRun.scheduled_for)
    found = await session.scalars(
        select(slot).where(col(AutomationRun.automation_id) == automation.id, slot.between(undecided, now))
    )
    return [one for one in found if one is not None]


async def record_end(session: AsyncSession, automation: Automation, now: datetime) -> None:
    """Record what an ended schedule has named since, before another begins or the automation is resumed."""
    if automation.next_slot is not None or automation.next_run is not None:
        return
    schedule, _faults = read_schedule(automation.schedule_config)
    decided = await last_recorded(session, automation.id)
    if schedule is None or decided is None:
        return
    timetable = Timetable(schedule, automation_id=automation.id, default_anchor=automation.created_at)
    for passed in skip_slots(timetable, decided + datetime.resolution, now, SkipReason.ENDED):
        record_skip(session, automation, passed)


async def page(
    session: AsyncSession,
    tenant_id: UUID,
    wanted: PageRequest,
    *,
    status: AutomationStatus | None = None,
    type_name: str | None = None,
    destination_id: UUID | None = None,
    name: str = "",
) -> Sequence[Automation]:
    """The tenant's automations, newest first, and one more than the page shows.

    `name`: only those whose name contains it.
    """
    also = [col(Automation.name).icontains(name, autoescape=True)] if name else []
    return await owned_page(
        session,
        Automation,
        tenant_id,
        wanted,
        *also,
        status=status,
        type=type_name,
        destination_id=destination_id,
    )


async def change(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    patch: AutomationPatch,
    *,
    if_version: int | None,
    now: datetime,
) -> Automation:
    """Replace the fields given. Raises NotFound, PreconditionFailed, QuotaExceeded or Unprocessable."""
    automation = await owned(session, Automation, principal.tenant_id, automation_id, lock=Lock.EDIT)
    if if_version is not None and automation.version != if_version:
        raise PreconditionFailed(
            f"The automation is at version {automation.version} by now; read it again before you change it."
        )
    given = patch.given()
    if "policy" in given:
        given["policy"] = stored_policy(given["policy"])
    if all(getattr(automation, name) == value for name, value in given.items()):
        return automation
    faults: list[FieldError] = []
    events: list[Event] = []
    handover: Handover | None = None
    moved = "schedule_config" in given and given["schedule_config"] != automation.schedule_config
    if moved:
        await record_end(session, automation, now)
        taken = await _slots_with_runs(session, automation, now)
        begun = await _begun(session, automation)
        handover, faults = edit(automation, given["schedule_config"], now, begun=begun, taken=taken)
    if "type" in given or "automation_config" in given:
        type_name = given.get("type", automation.type)
        config = given.get("automation_config", automation.automation_config)
        faults += await _check_config(session, principal.tenant_id, type_name, config)
    if "destination_id" in given:
        faults += await _check_destination(session, principal.tenant_id, given["destination_id"])
    if faults:
        raise unacceptable(faults)
    if handover is not None:
        events += [record_skip(session, automation, dropped) for dropped in handover.dropped]
        await begin_period(
            session,
            automation,
            given["schedule_config"],
            after=handover.boundary,
            user_id=principal.user_id,
            now=now,
        )
    for name, value in given.items():
        setattr(automation, name, value)
    if "type" in given:
        await require_room(session, automation, now=now)
    elif moved:
        await require_interval(session, automation, now=now)
    if handover is not None:
        set_next_slot(automation, handover.next_slot)
    count_edit(automation, now)
    await announce(session, *events, changed_event(automation, "updated"), at=now)
    return automation


async def remove(session: AsyncSession, principal: Principal, automation_id: UUID, *, now: datetime) -> None:
    """Delete it with its history."""
    automation = await owned(session, Automation, principal.tenant_id, automation_id, lock=Lock.EDIT)
    automation.version += 1
    event = changed_event(automation, "deleted")
    await session.execute(delete(Automation).where(col(Automation.id) == automation_id))
    session.expunge(automation)
    await announce(session, event, at=now)


async def skip_page(session: AsyncSession, automation_id: UUID, wanted: PageRequest) -> Sequence[SlotSkip]:
    """The automation's slots that did not become runs, latest first, and one more than the page shows."""
    query = select(SlotSkip).where(col(SlotSkip.automation_id) == automation_id)
    return (await session.scalars(newest_first(query, SlotSkip, wanted, by="last_slot"))).all()


def changed_event(automation: Automation, change: str) -> AutomationChanged:
    """The event that says so."""
    return AutomationChanged(
        automation_id=automation.id,
        tenant_id=automation.tenant_id,
        change=change,
        status="deleted" if change == "deleted" else automation.status,
        version=automation.version,
        next_run=automation.next_run,
    )


def shown(automation: Automation, *, next_after: datetime | None = None) -> dict[str, Any]:
    """Its columns as clients see them. A paused automation keeps its place in the schedule, unshown.

    With `next_after`, the next slot shown is the first one after it, though the scheduler has others to
    decide about before.
    """
    values = automation.model_dump() | {"schedule_text": in_words(automation.schedule_config)}
    if automation.status != AutomationStatus.ACTIVE:
        values["next_run"] = values["next_slot"] = None
    elif next_after is not None and automation.next_run is not None and automation.next_run <= next_after:
        slot, _faults = first_slot(automation, automation.schedule_config, next_after)
        values["next_run"] = slot.fire_at if slot else None
        values["next_slot"] = slot.nominal if slot else None
    return values


def stored_policy(policy: AutomationPolicy) -> dict[str, Any]:
    """A policy as rows keep it: what differs from the defaults."""
    return policy.model_dump(mode="json", exclude_defaults=True)


def set_next_slot(automation: Automation, slot: Slot | None) -> None:
    """Set the slot the scheduler decides about next."""
    automation.next_slot = slot.nominal if slot else None
    automation.next_run = slot.fire_at if slot else None


def count_edit(automation: Automation, now: datetime) -> None:
    """Count an edit."""
    automation.version += 1
    automation.updated_at = now


def record_skip(session: AsyncSession, automation: Automation, passed: SkippedRange) -> RunSkipped:
    """Keep slots that get no run, and why; answers with the event that says so."""
    session.add(
        SlotSkip(
            automation_id=automation.id,
            first_slot=passed.first,
            last_slot=passed.last,
            slots=passed.count,
            reason=passed.reason,
            detail=passed.detail,
        )
    )
    return RunSkipped(
        automation_id=automation.id,
        tenant_id=automation.tenant_id,
        first_slot=passed.first,
        last_slot=passed.last,
        slots=passed.count,
        reason=passed.reason,
    )
