"""Automations: create, find, change, delete. Each function works within the caller's transaction."""

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
from api.context import ALLOWED_HOSTS, announce
from api.pagination import PageRequest
from api.problems import PreconditionFailed, unacceptable
from api.quotas.service import require_interval, require_room
from api.rows import Lock, find_owned, newest_first, owned, owned_page
from api.security import Principal
from common.automation_policy import AutomationPolicy
from common.errors import FieldError, Forbidden
from common.events import AutomationChanged, Event, RunSkipped
from common.models import (
    Automation,
    AutomationStatus,
    Destination,
    SlotSkip,
)
from common.scheduling import Slot

_NOT_YOURS = "no destination of yours has this id"


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
    faults += check_config(
        wanted.type,
        wanted.automation_config,
        await known_types(session),
        allowed_hosts=session.info.get(ALLOWED_HOSTS),
    )
    faults += await _check_destination(session, principal.tenant_id, wanted.destination_id)
    if faults:
        raise unacceptable(faults)
    await require_room(session, automation, now=now)
    place(automation, slot)
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
    missed: PassedOver | None = None
    slot: Slot | None = None
    moved = "schedule_config" in given and given["schedule_config"] != automation.schedule_config
    if moved:
        slot, faults = first_slot(automation, given["schedule_config"], now)
        missed = passed_over(automation, now)
    if "type" in given or "automation_config" in given:
        faults += check_config(
            given.get("type", automation.type),
            given.get("automation_config", automation.automation_config),
            await known_types(session),
            allowed_hosts=session.info.get(ALLOWED_HOSTS),
        )
    if "destination_id" in given:
        faults += await _check_destination(session, principal.tenant_id, given["destination_id"])
    if faults:
        raise unacceptable(faults)
    if missed is not None:
        reason = EDITED if automation.status == AutomationStatus.ACTIVE else PAUSED
        events.append(record_skip(session, automation, missed, reason))
    for name, value in given.items():
        setattr(automation, name, value)
    if "type" in given:
        await require_room(session, automation, now=now)
    elif moved:
        await require_interval(session, automation, now=now)
    if moved:
        place(automation, slot)
    edited(automation, now)
    await announce(session, *events, changed(automation, "updated"), at=now)
    return automation


async def remove(session: AsyncSession, principal: Principal, automation_id: UUID, *, now: datetime) -> None:
    """Delete it with its history."""
    automation = await owned(session, Automation, principal.tenant_id, automation_id, lock=Lock.EDIT)
    automation.version += 1
    event = changed(automation, "deleted")
    await session.execute(delete(Automation).where(col(Automation.id) == automation_id))
    session.expunge(automation)
    await announce(session, event, at=now)


async def skip_page(session: AsyncSession, automation_id: UUID, wanted: PageRequest) -> Sequence[SlotSkip]:
    """The automation's slots that did not become runs, latest first, and one more than the page shows."""
    query = select(SlotSkip).where(col(SlotSkip.automation_id) == automation_id)
    return (await session.scalars(newest_first(query, SlotSkip, wanted, by="last_slot"))).all()


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


def place(automation: Automation, slot: Slot | None) -> None:
    """Set the slot the scheduler decides about next."""
    automation.next_slot = slot.nominal if slot else None
    automation.next_run = slot.fire_at if slot else None


def edited(automation: Automation, now: datetime) -> None:
    """Count an edit."""
    automation.version += 1
    automation.updated_at = now


def record_skip(session: AsyncSession, automation: Automation, missed: PassedOver, reason: str) -> RunSkipped:
    """Keep slots that get no run, and why; answers with the event that says so."""
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
