"""Destinations: the list, one of them with what was sent there, the form, and the test button."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select, text
from sqlmodel import col

from api.context import Now, Transaction, Wired
from api.deliveries.service import delivery_page
from api.destinations import service
from api.destinations.schemas import DestinationCreate, DestinationPatch
from api.pagination import MAX_LIMIT, PageRequest, WantedPage, next_cursor
from api.rows import owned, owned_page
from api.sessions import SignedIn, Viewer
from api.web.flashes import redirect_with_flash
from api.web.forms import Faults, Form, SentForm
from api.web.rendering import render, timezones
from common.errors import RequestError
from common.models import Automation, Destination, DestinationType

router = APIRouter(prefix="/destinations")
_ALL = PageRequest(limit=MAX_LIMIT, after=None)
_CREATE: TypeAdapter[Any] = TypeAdapter(DestinationCreate)
_FIELDS: Mapping[str, str] = {
    "/name": "name",
    "/config/chat_id": "chat_id",
    "/config/message_thread_id": "message_thread_id",
    "/config/url": "url",
    "/bot_token": "bot_token",
    "/signing_secret": "signing_secret",
    "/quiet_hours": "quiet_from",
    "/quiet_hours/from": "quiet_from",
    "/quiet_hours/to": "quiet_to",
    "/quiet_hours/timezone": "quiet_timezone",
}
_SECRETS = ("bot_token", "signing_secret")
_BLANK = {
    "name": "",
    "chat_id": "",
    "message_thread_id": "",
    "url": "",
    "quiet_from": "",
    "quiet_to": "",
    "quiet_timezone": "UTC",
    "quiet_then": "deliver",
}
_USES_AND_LAST = text(
    """
    SELECT wanted.id,
           (SELECT count(*) FROM automation WHERE destination_id = wanted.id) AS uses,
           last.status, coalesce(last.delivered_at, last.created_at) AS at, last.id AS delivery_id
      FROM unnest(CAST(:ids AS uuid[])) AS wanted (id)
      LEFT JOIN LATERAL (
           SELECT id, status, created_at, delivered_at FROM delivery WHERE destination_id = wanted.id
            ORDER BY created_at DESC LIMIT 1) AS last ON true
    """
)
ON_PAGE = 20


@router.get("")
async def destinations(request: Request, viewer: SignedIn, session: Transaction) -> Response:
    """Where results go, and how the last delivery went."""
    rows = (await owned_page(session, Destination, viewer.tenant_id, _ALL))[:MAX_LIMIT]
    known = await session.execute(_USES_AND_LAST, {"ids": [row.id for row in rows]})
    return render(
        request, "destinations.html", viewer, items=rows, known={row.id: row for row in known.all()}
    )


@router.get("/new")
async def new_destination(
    request: Request,
    viewer: SignedIn,
    kind: Annotated[DestinationType, Query(alias="type")] = DestinationType.TELEGRAM,
) -> Response:
    """The form for a new destination."""
    return _form(request, viewer, kind=kind, values=_BLANK, faults=Faults())


@router.post("/new")
async def create_destination(
    request: Request, viewer: SignedIn, session: Transaction, wired: Wired, form: SentForm, now: Now
) -> Response:
    """Make a destination of the form. A signing secret that was made is shown once, on the next page."""
    kind = form.text("type")
    faults = Faults()
    try:
        wanted = _CREATE.validate_python({"type": kind, **_document(form, kind)})
        async with session.begin_nested():
            made, secret = await service.create(session, wired, viewer.principal, wanted, now=now)
    except (RequestError, ValidationError) as error:
        faults.take(error, _FIELDS)
        return _form(request, viewer, kind=kind, values=_shown(form), faults=faults)
    told = f"{made.name} is set up. Send it a test message to be sure."
    return redirect_with_flash(request, wired.keys, f"/destinations/{made.id}", told, secret=secret)


@router.get("/{destination_id:uuid}")
async def destination(
    request: Request,
    destination_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wanted: WantedPage,
) -> Response:
    """One destination: what delivers there, and what was delivered."""
    row = await owned(session, Destination, viewer.tenant_id, destination_id)
    users = await session.execute(
        select(col(Automation.id), col(Automation.name), col(Automation.status))
        .where(col(Automation.destination_id) == destination_id)
        .order_by(col(Automation.name))
        .limit(MAX_LIMIT)
    )
    page = PageRequest(ON_PAGE, wanted.after)
    deliveries = await delivery_page(session, viewer.tenant_id, page, destination_id=destination_id)
    return render(
        request,
        "destination.html",
        viewer,
        row=row,
        users=users.all(),
        deliveries=deliveries[:ON_PAGE],
        later=wanted.after is not None,
        more=next_cursor(page, deliveries),
    )


@router.get("/{destination_id:uuid}/edit")
async def edit_destination(
    request: Request, destination_id: UUID, viewer: SignedIn, session: Transaction
) -> Response:
    """The form to change one."""
    row = await owned(session, Destination, viewer.tenant_id, destination_id)
    quiet = row.quiet_hours or {}
    values = {
        **_BLANK,
        "name": row.name,
        **{name: str(value) for name, value in row.config.items()},
        **{f"quiet_{name}": str(value) for name, value in quiet.items()},
    }
    return _form(request, viewer, kind=row.type, values=values, faults=Faults(), row=row)


@router.post("/{destination_id:uuid}/edit")
async def change_destination(
    request: Request,
    destination_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Change one as the form says. A secret left empty stays as it is."""
    row = await owned(session, Destination, viewer.tenant_id, destination_id)
    faults = Faults()
    try:
        patch = DestinationPatch.model_validate({"quiet_hours": None, **_document(form, row.type)})
        async with session.begin_nested():
            await service.change(session, wired, viewer.principal, destination_id, patch, now=now)
    except (RequestError, ValidationError) as error:
        faults.take(error, _FIELDS)
        await session.refresh(row)
        return _form(request, viewer, kind=row.type, values=_shown(form), faults=faults, row=row)
    return redirect_with_flash(
        request, wired.keys, f"/destinations/{destination_id}", "Your changes are saved."
    )


@router.post("/{destination_id:uuid}/enable")
async def enable(
    request: Request,
    destination_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form_sent: SentForm,
    now: Now,
) -> Response:
    """Deliver there again."""
    patch = DestinationPatch.model_validate({"status": "active"})
    row = await service.change(session, wired, viewer.principal, destination_id, patch, now=now)
    return redirect_with_flash(
        request, wired.keys, f"/destinations/{row.id}", f"{row.name} takes deliveries again."
    )


@router.post("/{destination_id:uuid}/test")
async def test(
    request: Request,
    destination_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form_sent: SentForm,
    now: Now,
) -> Response:
    """Send a test message, and watch its way."""
    delivery = await service.send_test(session, viewer.principal, destination_id, now=now)
    return redirect_with_flash(
        request, wired.keys, f"/deliveries/{delivery.id}", "A test message is on its way."
    )


@router.post("/{destination_id:uuid}/rotate-secret")
async def rotate_secret(
    request: Request,
    destination_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form_sent: SentForm,
    now: Now,
) -> Response:
    """Give a webhook a new signing secret, shown once on the next page."""
    row, secret = await service.rotate_secret(session, wired, viewer.principal, destination_id, now=now)
    told = "This is the new signing secret; the old one stopped just now."
    return redirect_with_flash(request, wired.keys, f"/destinations/{row.id}", told, secret=secret)


@router.post("/{destination_id:uuid}/delete")
async def delete(
    request: Request,
    destination_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form_sent: SentForm,
) -> Response:
    """Delete one that no automation uses."""
    await service.remove(session, viewer.principal, destination_id)
    return redirect_with_flash(request, wired.keys, "/destinations", "The destination is deleted.")


def _document(form: Form, kind: str) -> dict[str, Any]:
    """The request a form stands for. A secret left empty stays as it is, or is made."""
    document: dict[str, Any] = {"name": form.text("name"), **form.given(*_SECRETS)}
    if kind == DestinationType.TELEGRAM:
        config: dict[str, Any] = dict(form.given("chat_id", "message_thread_id"))
        for name, value in config.items():
            # Up to what Telegram's ids can be; anything longer stays text and is refused as such.
            if value.lstrip("-").isdecimal() and len(value) < 20:
                config[name] = int(value)
    else:
        config = dict(form.given("url"))
    document["config"] = config
    if form.text("quiet_from") or form.text("quiet_to"):
        document["quiet_hours"] = {
            "from": form.text("quiet_from"),
            "to": form.text("quiet_to"),
            "timezone": form.text("quiet_timezone") or "UTC",
            "then": form.text("quiet_then") or "deliver",
        }
    return document


def _shown(form: Form) -> dict[str, Any]:
    return {**_BLANK, **{name: form.text(name) for name in form if name not in _SECRETS}}


def _form(
    request: Request,
    viewer: Viewer,
    *,
    kind: str,
    values: Mapping[str, Any],
    faults: Faults,
    row: Destination | None = None,
) -> Response:
    return render(
        request,
        "destination_form.html",
        viewer,
        status_code=422 if faults else 200,
        row=row,
        kind=kind,
        values=values,
        faults=faults,
        zones=timezones(),
    )
