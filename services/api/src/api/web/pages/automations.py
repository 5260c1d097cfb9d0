"""Automations: the list, one of them, and what can be done to them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import func, select
from sqlmodel import col

from api.automations import lifecycle, service
from api.automations.schemas import RunRequest
from api.automations.slots import in_words, read_schedule
from api.context import Now, Transaction, Wired
from api.manual_runs import queueing
from api.pagination import PageRequest, WantedPage, next_cursor
from api.rows import newest_first, owned
from api.runs.service import run_page
from api.sessions import SignedIn
from api.slots.service import read_slots
from api.web import activity, past_slots
from api.web.flashes import redirect_with_flash
from api.web.forms import SentForm
from api.web.outcomes import strip, strip_in_words
from api.web.rendering import render
from api.web.security_headers import safe_next
from api.web.times import in_zone
from common.automation_policy import AutomationPolicy
from common.models import Automation, AutomationStatus, Destination
from common.scheduling import preview

router = APIRouter(prefix="/automations")
ON_PAGE = 25
_SKIPS = PageRequest(limit=20, after=None)
_LOOK_AHEAD = 5


def zone_of(automation: Automation) -> str:
    """The zone its schedule is written in."""
    return str(automation.schedule_config.get("timezone", "UTC"))


@router.get("")
async def automations(
    request: Request,
    viewer: SignedIn,
    session: Transaction,
    wanted: WantedPage,
    status: Annotated[AutomationStatus | None, Query()] = None,
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The team's automations, with how their last runs went."""
    mine = col(Automation.tenant_id) == viewer.tenant_id
    counts = {
        row.status: row.automations
        for row in await session.execute(
            select(col(Automation.status), func.count().label("automations"))
            .where(mine)
            .group_by(col(Automation.status))
        )
    }
    query = (
        select(Automation, col(Destination.name), col(Destination.type))
        .outerjoin(Destination, col(Destination.id) == col(Automation.destination_id))
        .where(mine)
    )
    if status is not None:
        query = query.where(col(Automation.status) == status)
    sought = q.replace("\0", "").strip()
    if sought:
        query = query.where(col(Automation.name).icontains(sought, autoescape=True))
    page = PageRequest(ON_PAGE, wanted.after)
    rows = (await session.execute(newest_first(query, Automation, page))).all()
    shown = rows[:ON_PAGE]
    runs = await activity.last_runs(session, [row[0].id for row in shown])
    items = []
    for automation, destination, destination_type in shown:
        marks = strip(runs[automation.id], zone_of(automation))
        items.append(
            {
                "row": automation,
                "destination": destination,
                "destination_type": destination_type,
                "words": in_words(automation.schedule_config),
                "zone": zone_of(automation),
                "marks": marks,
                "marks_words": strip_in_words(marks),
            }
        )
    return render(
        request,
        "automations.html",
        viewer,
        items=items,
        counts=counts,
        statuses=list(AutomationStatus),
        status=status,
        q=sought,
        later=wanted.after is not None,
        more=next_cursor(page, [row[0] for row in rows]),
    )


@router.get("/{automation_id:uuid}")
async def automation(
    request: Request,
    automation_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wanted: WantedPage,
    now: Now,
    tab: Annotated[str, Query(max_length=10)] = "runs",
    at: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """One automation: what it does, when it runs next, how its runs went, and why it did not run."""
    row = await owned(session, Automation, viewer.tenant_id, automation_id)
    zone = zone_of(row)
    why = tab == "why"
    until = past_slots.reading(at, zone, now)
    first, until = past_slots.stretch(row, until) if why else (until, until)
    found = await read_slots(session, row, first, until, limit=2 * past_slots.SHOWN, now=now) if why else None
    skips = await service.skip_page(session, automation_id, _SKIPS) if why else []
    page = PageRequest(ON_PAGE, wanted.after)
    runs = [] if why else await run_page(session, viewer.tenant_id, page, automation_id=automation_id)
    destination = await session.get(Destination, row.destination_id) if row.destination_id else None
    schedule, _faults = read_schedule(row.schedule_config)
    ahead = (
        preview(
            schedule,
            _LOOK_AHEAD,
            now,
            automation_id=row.id,
            default_anchor=row.created_at,
            run_count=row.fired_count,
        ).runs
        if schedule is not None
        else ()
    )
    return render(
        request,
        "automation.html",
        viewer,
        row=row,
        zone=zone,
        words=in_words(row.schedule_config),
        why=why,
        until=in_zone(until, zone),
        slots=[fate.as_values() for fate in reversed(found.fates)] if found else [],
        ahead=ahead,
        destination=destination,
        policy=AutomationPolicy.read(row.policy),
        runs=runs[:ON_PAGE],
        more=next_cursor(page, runs),
        later=wanted.after is not None,
        skips=skips[: _SKIPS.limit],
    )


@router.post("/{automation_id:uuid}/run")
async def run_now(
    request: Request,
    automation_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Run it now, and watch the run."""
    wanted = RunRequest(dry_run=bool(form.text("dry_run")))
    run = await queueing.run_now(session, viewer.principal, automation_id, wanted, now=now)
    text = "Dry run queued: it does the work and delivers nothing." if wanted.dry_run else "Run queued."
    return redirect_with_flash(request, wired.keys, f"/runs/{run.id}", text)


@router.post("/{automation_id:uuid}/pause")
async def pause(
    request: Request,
    automation_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Pause it."""
    row = await lifecycle.pause(session, viewer.principal, automation_id, until=None, now=now)
    return redirect_with_flash(request, wired.keys, _back(form, row), f"{row.name} is paused.")


@router.post("/{automation_id:uuid}/resume")
async def resume(
    request: Request,
    automation_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Resume it, from its next slot."""
    row = await lifecycle.resume(session, viewer.principal, automation_id, catch_up="none", now=now)
    return redirect_with_flash(request, wired.keys, _back(form, row), f"{row.name} is active again.")


@router.post("/{automation_id:uuid}/delete")
async def delete(
    request: Request,
    automation_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Delete it with its history, if its name was typed."""
    row = await owned(session, Automation, viewer.tenant_id, automation_id)
    if form.text("name") != row.name:
        path = f"/automations/{automation_id}#delete"
        return redirect_with_flash(
            request, wired.keys, path, "Type the automation's name to delete it.", tone="bad"
        )
    name = row.name
    await service.remove(session, viewer.principal, automation_id, now=now)
    return redirect_with_flash(request, wired.keys, "/automations", f"{name} and its history are deleted.")


def _back(form: SentForm, row: Automation) -> str:
    """To the page whose button was pressed."""
    return safe_next(form.text("back") or f"/automations/{row.id}")
