"""Connections: the list, and the form to paste a token into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from api.connections import service
from api.connections.schemas import ConnectionCreate, ConnectionPatch
from api.context import Now, Transaction, Wired
from api.pagination import MAX_LIMIT, PageRequest
from api.web.flashes import led_on
from api.web.forms import Faults, Form, SentForm
from api.web.rendering import render
from api.web.sessions import SignedIn, Viewer
from common.errors import RequestError
from common.models import Connection, Platform

router = APIRouter(prefix="/connections")
_ALL = PageRequest(limit=MAX_LIMIT, after=None)
_FIELDS: Mapping[str, str] = {
    "/platform": "platform",
    "/name": "name",
    "/token": "token",
    "/scopes": "scopes",
}
_BLANK = {"platform": Platform.FACEBOOK.value, "name": "", "scopes": ""}


@router.get("")
async def connections(request: Request, viewer: SignedIn, session: Transaction) -> Response:
    """The team's accounts on the platforms."""
    rows = (await service.page(session, viewer.tenant_id, _ALL))[:MAX_LIMIT]
    return render(request, "connections.html", viewer, items=rows)


@router.get("/new")
async def new_connection(request: Request, viewer: SignedIn) -> Response:
    """The form for a new connection."""
    return _form(request, viewer, values=_BLANK, faults=Faults())


@router.post("/new")
async def create_connection(
    request: Request, viewer: SignedIn, session: Transaction, wired: Wired, form: SentForm, now: Now
) -> Response:
    """Connect an account as the form says."""
    try:
        document = {"platform": form.text("platform"), "token": form.text("token"), **_document(form)}
        wanted = ConnectionCreate.model_validate(document)
        async with session.begin_nested():
            made = await service.create(session, wired.keys, viewer.principal, wanted, now=now)
    except (RequestError, ValidationError) as error:
        return _refused(request, viewer, form, error, None)
    return led_on(request, wired.keys, "/connections", f"{made.name} is connected.")


@router.get("/{connection_id:uuid}")
async def connection(
    request: Request, connection_id: UUID, viewer: SignedIn, session: Transaction
) -> Response:
    """One connection: its health, and the form to change it or to give it a new token."""
    row = await service.find(session, viewer.tenant_id, connection_id)
    values = {"name": row.name, "platform": row.platform, "scopes": " ".join(row.scopes)}
    return _form(request, viewer, values=values, faults=Faults(), row=row)


@router.post("/{connection_id:uuid}")
async def change_connection(
    request: Request,
    connection_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Change one as the form says. A token left empty stays as it is."""
    row = await service.find(session, viewer.tenant_id, connection_id)
    try:
        patch = ConnectionPatch.model_validate({**_document(form), **form.given("token")})
        async with session.begin_nested():
            await service.change(session, wired.keys, viewer.principal, connection_id, patch, now=now)
    except (RequestError, ValidationError) as error:
        await session.refresh(row)
        return _refused(request, viewer, form, error, row)
    told = f"{row.name} has a new token." if form.text("token") else "Your changes are saved."
    return led_on(request, wired.keys, "/connections", told)


@router.post("/{connection_id:uuid}/delete")
async def delete(
    request: Request,
    connection_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form_sent: SentForm,
) -> Response:
    """Disconnect an account and forget its token."""
    await service.remove(session, viewer.principal, connection_id)
    return led_on(request, wired.keys, "/connections", "The account is disconnected and its token forgotten.")


def _document(form: Form) -> dict[str, Any]:
    return {"name": form.text("name"), "scopes": form.text("scopes").replace(",", " ").split()}


def _refused(
    request: Request,
    viewer: Viewer,
    form: Form,
    error: RequestError | ValidationError,
    row: Connection | None,
) -> Response:
    faults = Faults()
    faults.take(error, _FIELDS)
    values = {**_BLANK, **{name: form.text(name) for name in form if name != "token"}}
    return _form(request, viewer, values=values, faults=faults, row=row)


def _form(
    request: Request,
    viewer: Viewer,
    *,
    values: Mapping[str, Any],
    faults: Faults,
    row: Connection | None = None,
) -> Response:
    return render(
        request,
        "connection_form.html",
        viewer,
        status_code=422 if faults else 200,
        row=row,
        platforms=list(Platform),
        values=values,
        faults=faults,
    )
