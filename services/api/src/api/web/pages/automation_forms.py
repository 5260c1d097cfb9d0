"""The form to make or change an automation, with a look ahead at its schedule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.automations import service
from api.automations.schemas import AutomationCreate, AutomationPatch, AutomationTypeOut
from api.automations.types import known_types
from api.context import Now, Transaction, Wired
from api.rows import owned
from api.schedules.schemas import SchedulePreviewOut, SchedulePreviewRequest
from api.schedules.service import look_ahead
from api.sessions import SignedIn, Viewer
from api.web import schedule_form, schema_form
from api.web.flashes import redirect_with_flash
from api.web.forms import Faults, Form, SentForm
from api.web.rendering import render, timezones
from common.automation_policy import AutomationPolicy
from common.errors import RequestError
from common.models import Automation, Destination, Lane
from platforms.registry import TITLES

router = APIRouter(prefix="/automations")
_LOOK_AHEAD = 5
_USUAL_TYPE = "scheduled_report"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIELDS: Mapping[str, str] = {
    "/name": "name",
    "/destination_id": "destination_id",
    "/type": "type",
    "/platforms": "platforms",
    "/priority": "priority",
    "/policy/catch_up": "policy.catch_up",
    "/policy/overlap": "policy.overlap",
    "/policy/retry": "policy.max_attempts",
    "/policy/pause_on_failure_after": "policy.pause_on_failure_after",
    **schedule_form.FIELDS,
}
_NEW: Mapping[str, Any] = {
    "name": "",
    "destination_id": "",
    "platforms": [],
    "priority": Lane.NORMAL,
    "policy.catch_up": "latest",
    "policy.overlap": "skip",
    "policy.max_attempts": "5",
    "policy.pause_on_failure_after": "",
}


@router.get("/new")
async def new_automation(
    request: Request,
    viewer: SignedIn,
    session: Transaction,
    now: Now,
    kind: Annotated[str, Query(alias="type", max_length=100)] = "",
) -> Response:
    """The form for a new automation."""
    values = {**_NEW, **schedule_form.blank()}
    return await _form(request, viewer, session, kind=kind, values=values, faults=Faults(), now=now)


@router.post("/new")
async def create_automation(
    request: Request, viewer: SignedIn, session: Transaction, wired: Wired, form: SentForm, now: Now
) -> Response:
    """Make an automation of the form."""
    faults = Faults()
    document, fields = await _document(session, form, faults, AutomationPolicy())
    if not faults and not form.text("look"):
        try:
            wanted = AutomationCreate.model_validate(document)
            async with session.begin_nested():
                made = await service.create(session, viewer.principal, wanted, now=now)
        except (RequestError, ValidationError) as error:
            faults.take(error, fields)
        else:
            return redirect_with_flash(
                request, wired.keys, f"/automations/{made.id}", f"{made.name} is set up."
            )
    kind, values = form.text("type"), _shown(form)
    return await _form(request, viewer, session, kind=kind, values=values, faults=faults, now=now)


@router.post("/preview")
async def preview_schedule(
    request: Request, viewer: SignedIn, session: Transaction, form: SentForm, now: Now
) -> Response:
    """What the schedule in the form means: a part of the form's page, for its script."""
    given = form.text("automation")
    automation_id = UUID(given) if _ID.fullmatch(given) else None
    ahead = await _ahead(session, viewer, form, automation_id, now)
    return render(request, "parts/look_ahead.html", viewer, ahead=ahead)


@router.get("/{automation_id:uuid}/edit")
async def edit_automation(
    request: Request,
    automation_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    now: Now,
) -> Response:
    """The form to change one."""
    row = await owned(session, Automation, viewer.tenant_id, automation_id)
    known = await known_types(session)
    fields = schema_form.fields_of(known[row.type].config_schema) if row.type in known else []
    policy = AutomationPolicy.read(row.policy)
    values = {
        **schedule_form.shown(row.schedule_config),
        **schema_form.values_of(fields, row.automation_config),
        "name": row.name,
        "destination_id": str(row.destination_id or ""),
        "platforms": list(row.platforms),
        "priority": row.priority,
        "policy.catch_up": policy.catch_up,
        "policy.overlap": policy.overlap,
        "policy.max_attempts": str(policy.retry.max_attempts),
        "policy.pause_on_failure_after": str(policy.pause_on_failure_after or ""),
    }
    return await _form(
        request, viewer, session, kind=row.type, values=values, faults=Faults(), now=now, row=row
    )


@router.post("/{automation_id:uuid}/edit")
async def change_automation(
    request: Request,
    automation_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Update one from the form, unless it was changed meanwhile."""
    row = await owned(session, Automation, viewer.tenant_id, automation_id)
    faults = Faults()
    document, fields = await _document(session, form, faults, AutomationPolicy.read(row.policy))
    version = form.text("version")
    if not faults and not form.text("look"):
        try:
            patch = AutomationPatch.model_validate(document)
            async with session.begin_nested():
                await service.change(
                    session,
                    viewer.principal,
                    automation_id,
                    patch,
                    if_version=int(version) if version.isdecimal() and len(version) < 10 else None,
                    now=now,
                )
        except (RequestError, ValidationError) as error:
            faults.take(error, fields)
            await session.refresh(row)
        else:
            return redirect_with_flash(
                request, wired.keys, f"/automations/{automation_id}", "Your changes are saved."
            )
    values = _shown(form)
    kind = form.text("type")
    return await _form(request, viewer, session, kind=kind, values=values, faults=faults, now=now, row=row)


async def _document(
    session: AsyncSession, form: Form, faults: Faults, policy: AutomationPolicy
) -> tuple[dict[str, Any], dict[str, str]]:
    """The request a form stands for, and where the form shows what a fault's pointer names.

    What the form does not show of a policy stays as it was.
    """
    schedule, fault = schedule_form.read(form)
    if fault:
        faults.above.append(f"The schedule: {fault}")
    kind = form.text("type")
    known = await known_types(session)
    fields = schema_form.fields_of(known[kind].config_schema) if kind in known else []
    document = {
        "name": form.text("name"),
        "destination_id": form.text("destination_id"),
        "type": kind,
        "priority": form.text("priority", Lane.NORMAL),
        "schedule_config": schedule,
        "automation_config": schema_form.read(fields, form),
        "platforms": list(form.get("platforms", ())),
        "policy": {
            **policy.model_dump(mode="json"),
            "catch_up": form.text("policy.catch_up", policy.catch_up),
            "overlap": form.text("policy.overlap", policy.overlap),
            "retry": {
                **policy.retry.model_dump(mode="json"),
                "max_attempts": form.number("policy.max_attempts") or policy.retry.max_attempts,
            },
            "pause_on_failure_after": form.number("policy.pause_on_failure_after") or None,
        },
    }
    return document, {**_FIELDS, **{f"/automation_config/{field.name}": field.key for field in fields}}


def _shown(form: Form) -> dict[str, Any]:
    """What was entered, for the form to show again."""
    several = ("platforms", "schedule.days")
    lists = {name: list(form.get(name, ())) for name in several}
    configured = {
        name: list(values) if len(values) > 1 else values[0]
        for name, values in form.items()
        if name.startswith(schema_form.PREFIX)
    }
    single = {name: values[0] for name, values in form.items()}
    return {**_NEW, **schedule_form.blank(), **single, **configured, **lists}


async def _ahead(
    session: AsyncSession, viewer: Viewer, form: Mapping[str, Any], automation_id: UUID | None, now: datetime
) -> SchedulePreviewOut | list[str]:
    """The look ahead, or what is wrong with the schedule."""
    raw, fault = schedule_form.read(form)
    if fault:
        return [fault]
    wanted = SchedulePreviewRequest(schedule=raw, count=_LOOK_AHEAD, automation_id=automation_id)
    try:
        return await look_ahead(session, viewer.principal, wanted, now=now)
    except RequestError as error:
        return [fault.detail for fault in error.errors] or [error.detail]


async def destinations_of(session: AsyncSession, viewer: Viewer) -> list[Any]:
    """Where the team can deliver to, by name."""
    rows = await session.execute(
        select(col(Destination.id), col(Destination.name), col(Destination.type), col(Destination.status))
        .where(col(Destination.tenant_id) == viewer.tenant_id)
        .order_by(col(Destination.name))
    )
    return list(rows)


def _chosen(known: Mapping[str, AutomationTypeOut], kind: str) -> AutomationTypeOut:
    return known.get(kind) or known.get(_USUAL_TYPE) or next(iter(known.values()))


async def _form(
    request: Request,
    viewer: Viewer,
    session: AsyncSession,
    *,
    kind: str,
    values: Mapping[str, Any],
    faults: Faults,
    now: datetime,
    row: Automation | None = None,
) -> Response:
    known = await known_types(session)
    chosen = _chosen(known, kind)
    entered = {name: value if isinstance(value, list) else [str(value)] for name, value in values.items()}
    return render(
        request,
        "automation_form.html",
        viewer,
        status_code=422 if faults else 200,
        row=row,
        types=list(known.values()),
        chosen=chosen,
        fields=schema_form.fields_of(chosen.config_schema),
        destinations=await destinations_of(session, viewer),
        platforms=tuple(TITLES),
        lanes=list(Lane),
        values=values,
        faults=faults,
        kinds=schedule_form.KINDS,
        weekdays=schedule_form.WEEKDAYS,
        units=list(schedule_form.UNITS),
        zones=timezones(),
        ahead=await _ahead(session, viewer, entered, row.id if row else None, now),
    )
