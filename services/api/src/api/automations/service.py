"""Automations: create, find, change, run now. Each function works within the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations.schemas import AutomationCreate, AutomationPatch
from api.automations.slots import EDITED, PAUSED, PassedOver, first_slot, in_words, passed_over
from api.automations.types import check_config, known_types
from api.context import announce, current_trace
from api.pagination import PageRequest
from api.problems import PreconditionFailed, unacceptable
from api.security import Principal
from common.errors import Conflict, FieldError, Forbidden, NotFound
from common.events import AutomationChanged, AutomationDue, Event, RunSkipped
from common.models import (
    Automation,
    AutomationRun,
    AutomationStatus,
    Destination,
    Lane,
    RunStatus,
    SlotSkip,
    Trigger,
)

_NOT_YOURS = "no destination of yours has this id"


async def _check_destination(
    session: AsyncSession, tenant_id: UUID, destination_id: UUID
) -> list[FieldError]:
    # KEY SHARE: it cannot be deleted before our row refers to it.
    found = await session.execute(
        select(col(Destination.id))
        .where(col(Destination.id) == destination_id, col(Destination.tenant_id) == tenant_id)
        .with_for_update(read=True, key_share=True)
    )
    return [] if found.scalar_one_or_none() else [FieldError("/destination_id", _NOT_YOURS)]


async def create(
    session: AsyncSession, principal: Principal, wanted: AutomationCreate, *, now: datetime
) -> Automation:
    """Store a new automation and announce it. Raises Forbidden or Unprocessable."""
    if wanted.tenant_id not in (None, principal.tenant_id):
        raise Forbidden("The API key belongs to another team than tenant_id names.")
    next_run, faults = first_slot(wanted.schedule_config, now=now, created_at=now)
    faults += check_config(wanted.type, wanted.automation_config, await known_types(session))
    faults += await _check_destination(session, principal.tenant_id, wanted.destination_id)
    if faults:
        raise unacceptable(faults)
    automation = Automation(
        **wanted.model_dump(exclude={"tenant_id"}),
        tenant_id=principal.tenant_id,
        user_id=principal.user_id,
        next_run=next_run,
        created_at=now,
        updated_at=now,
    )
    session.add(automation)
    await announce(session, changed(automation, "created"), at=now)
    return automation


async def page(
    session: AsyncSession,
    tenant_id: UUID,
    wanted: PageRequest,
    *,
    status: AutomationStatus | None = None,
    type_name: str | None = None,
    destination_id: UUID | None = None,
) -> Sequence[Automation]:
    """The tenant's automations, newest first, and one more than the page shows."""
    query = select(Automation).where(
        col(Automation.tenant_id) == tenant_id,
        *wanted.condition(col(Automation.created_at), col(Automation.id)),
    )
    if status is not None:
        query = query.where(col(Automation.status) == status)
    if type_name is not None:
        query = query.where(col(Automation.type) == type_name)
    if destination_id is not None:
        query = query.where(col(Automation.destination_id) == destination_id)
    query = query.order_by(col(Automation.created_at).desc(), col(Automation.id).desc())
    return (await session.execute(query.limit(wanted.limit + 1))).scalars().all()


async def find(
    session: AsyncSession, tenant_id: UUID, automation_id: UUID, *, lock: bool = False
) -> Automation:
    """One of the tenant's automations; raises NotFound. `lock` holds off the scheduler and other edits."""
    query = select(Automation).where(
        col(Automation.id) == automation_id, col(Automation.tenant_id) == tenant_id
    )
    if lock:
        query = query.with_for_update(key_share=True)
    automation = (await session.execute(query)).scalar_one_or_none()
    if automation is None:
        raise NotFound("There is no such automation.")
    return automation


async def change(
    session: AsyncSession,
    principal: Principal,
    automation_id: UUID,
    patch: AutomationPatch,
    *,
    if_version: int | None,
    now: datetime,
) -> Automation:
    """Replace the fields given. Raises NotFound, PreconditionFailed or Unprocessable."""
    automation = await find(session, principal.tenant_id, automation_id, lock=True)
    if if_version is not None and automation.version != if_version:
        raise PreconditionFailed(
            f"The automation is at version {automation.version} by now; read it again before you change it."
        )
    given = patch.given()
    if all(getattr(automation, name) == value for name, value in given.items()):
        return automation
    faults: list[FieldError] = []
    events: list[Event] = []
    missed: PassedOver | None = None
    next_run = automation.next_run
    if "schedule_config" in given and given["schedule_config"] != automation.schedule_config:
        next_run, faults = _first_slot(automation, given["schedule_config"], now)
        missed = passed_over(automation, now)
    if "type" in given or "automation_config" in given:
        faults += check_config(
            given.get("type", automation.type),
            given.get("automation_config", automation.automation_config),
            await known_types(session),
        )
    if "destination_id" in given:
        faults += await _check_destination(session, principal.tenant_id, given["destination_id"])
    if faults:
        raise unacceptable(faults)
    if missed is not None:
        reason = EDITED if automation.status == AutomationStatus.ACTIVE else PAUSED
        events.append(_skip(session, automation, missed, reason))
    for name, value in given.items():
        setattr(automation, name, value)
    automation.next_run = next_run
    _edited(automation, now)
    await announce(session, *events, changed(automation, "updated"), at=now)
    return automation


async def pause(
    session: AsyncSession, principal: Principal, automation_id: UUID, *, now: datetime
) -> Automation:
    """Stop dispatching it until it is resumed. Doing it twice changes nothing."""
    automation = await find(session, principal.tenant_id, automation_id, lock=True)
    if automation.status == AutomationStatus.PAUSED:
        return automation
    if automation.status != AutomationStatus.ACTIVE:
        raise Conflict(f"The automation's status is {automation.status}; only an active one can be paused.")
    automation.status = AutomationStatus.PAUSED
    _edited(automation, now)
    await announce(session, changed(automation, "paused"), at=now)
    return automation


async def resume(
    session: AsyncSession, principal: Principal, automation_id: UUID, *, now: datetime
) -> Automation:
    """Dispatch it again, from the next slot after now. Doing it twice changes nothing.

    Slots that passed meanwhile are recorded as skipped. Raises Conflict when there is no slot left.
    """
    automation = await find(session, principal.tenant_id, automation_id, lock=True)
    if automation.status == AutomationStatus.ACTIVE:
        return automation
    next_run, faults = _first_slot(automation, automation.schedule_config, now)
    if faults:
        raise Conflict(f"The schedule {faults[0].detail}; give the automation another schedule first.")
    events: list[Event] = []
    missed = passed_over(automation, now)
    if missed is not None:
        events.append(_skip(session, automation, missed, PAUSED))
    automation.status = AutomationStatus.ACTIVE
    automation.status_reason = None
    automation.next_run = next_run
    _edited(automation, now)
    await announce(session, *events, changed(automation, "resumed"), at=now)
    return automation


async def remove(session: AsyncSession, principal: Principal, automation_id: UUID, *, now: datetime) -> None:
    """Delete it with its history."""
    automation = await find(session, principal.tenant_id, automation_id, lock=True)
    automation.version += 1
    event = changed(automation, "deleted")
    await session.execute(delete(Automation).where(col(Automation.id) == automation_id))
    session.expunge(automation)
    await announce(session, event, at=now)


async def run_now(
    session: AsyncSession, principal: Principal, automation_id: UUID, *, now: datetime
) -> AutomationRun:
    """Queue a run for no slot, ahead of scheduled ones. It belongs to the request's trace."""
    automation = await find(session, principal.tenant_id, automation_id, lock=True)
    trace = current_trace()
    run = AutomationRun(
        tenant_id=automation.tenant_id,
        automation_id=automation.id,
        trigger=Trigger.MANUAL,
        scheduled_for=None,
        status=RunStatus.QUEUED,
        lane=Lane.HIGH,
        trace_id=trace.trace_id,
        traceparent=trace.traceparent,
        available_at=now,
        created_at=now,
    )
    automation.last_run = now
    session.add(run)
    await announce(
        session,
        AutomationDue(
            run_id=run.id,
            automation_id=automation.id,
            tenant_id=automation.tenant_id,
            lane=Lane.HIGH,
            trigger=Trigger.MANUAL,
            scheduled_for=None,
        ),
        at=now,
    )
    return run


def changed(automation: Automation, change: str) -> AutomationChanged:
    """The event that says so."""
    return AutomationChanged(
        automation_id=automation.id,
        tenant_id=automation.tenant_id,
        change=change,
        status="deleted" if change == "deleted" else automation.status,
        version=automation.version,
        next_run=automation.next_run,
    )


def shown(automation: Automation) -> dict[str, Any]:
    """Its columns as clients see them. A paused automation keeps its place in the schedule, unshown."""
    values = automation.model_dump() | {"schedule_text": in_words(automation.schedule_config)}
    if automation.status != AutomationStatus.ACTIVE:
        values["next_run"] = None
    return values


def _first_slot(
    automation: Automation, schedule_config: dict[str, Any], now: datetime
) -> tuple[datetime | None, list[FieldError]]:
    return first_slot(
        schedule_config, now=now, created_at=automation.created_at, run_count=automation.run_count
    )


def _edited(automation: Automation, now: datetime) -> None:
    automation.version += 1
    automation.updated_at = now


def _skip(session: AsyncSession, automation: Automation, missed: PassedOver, reason: str) -> RunSkipped:
    session.add(
        SlotSkip(
            automation_id=automation.id,
            first_slot=missed.first,
            last_slot=missed.last,
            slots=missed.count,
            reason=reason,
        )
    )
    return RunSkipped(
        automation_id=automation.id,
        tenant_id=automation.tenant_id,
        first_slot=missed.first,
        last_slot=missed.last,
        slots=missed.count,
        reason=reason,
    )
