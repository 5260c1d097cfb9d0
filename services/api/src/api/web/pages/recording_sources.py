"""Recording sources: the list, and the form to make or change one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.context import Now, Transaction, Wired
from api.pagination import MAX_LIMIT, PageRequest
from api.recordings.sources import service
from api.recordings.sources.schemas import ME, SourceCreate, SourcePatch
from api.rows import owned, owned_page
from api.sessions import SignedIn, Viewer
from api.web.flashes import redirect_with_flash
from api.web.forms import Faults, Form, SentForm
from api.web.rendering import render
from common.errors import Conflict, RequestError
from common.models import Connection, RecordingSource
from platforms.zoom import PLATFORM as ZOOM

router = APIRouter(prefix="/recordings/sources")
_ALL = PageRequest(limit=MAX_LIMIT, after=None)
_FIELDS: Mapping[str, str] = {
    "/connection_id": "connection_id",
    "/name": "name",
    "/external_user": "external_user",
}
_BLANK = {"connection_id": "", "name": "", "external_user": ME}


@router.get("")
async def sources(request: Request, viewer: SignedIn, session: Transaction) -> Response:
    """Whose recordings are taken, and how their last listing went."""
    rows = (await owned_page(session, RecordingSource, viewer.tenant_id, _ALL))[:MAX_LIMIT]
    connections = {row.id: row for row in await zoom_connections(session, viewer)}
    return render(
        request,
        "recording_sources.html",
        viewer,
        items=rows,
        connections=connections,
        recordings=await service.recordings_of(session, [row.id for row in rows]),
    )


@router.get("/new")
async def new_source(request: Request, viewer: SignedIn, session: Transaction) -> Response:
    """The form for a new source."""
    return await _form(request, viewer, session, values=_BLANK, faults=Faults())


@router.post("/new")
async def create_source(
    request: Request, viewer: SignedIn, session: Transaction, wired: Wired, form: SentForm, now: Now
) -> Response:
    """Make a source of the form."""
    faults = Faults()
    try:
        wanted = SourceCreate.model_validate({name: form.text(name) for name in _BLANK})
        async with session.begin_nested():
            made = await service.create(session, viewer.principal, wanted, now=now)
    except (RequestError, ValidationError) as error:
        faults.take(error, _FIELDS)
        return await _form(request, viewer, session, values=_entered(form), faults=faults)
    told = f"{made.name} is source {made.number}. Recording jobs look for its recordings from now on."
    return redirect_with_flash(request, wired.keys, "/recordings/sources", told)


@router.get("/{source_id:uuid}")
async def source(request: Request, source_id: UUID, viewer: SignedIn, session: Transaction) -> Response:
    """The form to change one, and where Zoom can announce its recordings."""
    row = await owned(session, RecordingSource, viewer.tenant_id, source_id)
    values = {
        "connection_id": str(row.connection_id),
        "name": row.name,
        "external_user": row.external_user,
    }
    return await _form(request, viewer, session, values=values, faults=Faults(), row=row)


@router.post("/{source_id:uuid}")
async def change_source(
    request: Request,
    source_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Change one as the form says."""
    row = await owned(session, RecordingSource, viewer.tenant_id, source_id)
    faults = Faults()
    try:
        patch = SourcePatch.model_validate(
            {"name": form.text("name"), "external_user": form.text("external_user")}
        )
        async with session.begin_nested():
            await service.change(session, viewer.principal, source_id, patch, now=now)
    except (RequestError, ValidationError) as error:
        faults.take(error, _FIELDS)
        await session.refresh(row)
        values = {**_entered(form), "connection_id": str(row.connection_id)}
        return await _form(request, viewer, session, values=values, faults=faults, row=row)
    return redirect_with_flash(request, wired.keys, "/recordings/sources", "Your changes are saved.")


@router.post("/{source_id:uuid}/enable")
async def enable(
    request: Request,
    source_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form_sent: SentForm,
    now: Now,
) -> Response:
    """Take its recordings again."""
    return await _switched(request, viewer, session, wired, source_id, "active", now)


@router.post("/{source_id:uuid}/disable")
async def disable(
    request: Request,
    source_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form_sent: SentForm,
    now: Now,
) -> Response:
    """Take nothing more from it."""
    return await _switched(request, viewer, session, wired, source_id, "disabled", now)


@router.post("/{source_id:uuid}/delete")
async def delete(
    request: Request,
    source_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
) -> Response:
    """Delete one with the records of its recordings, if its name was typed."""
    row = await owned(session, RecordingSource, viewer.tenant_id, source_id)
    path = f"/recordings/sources/{source_id}#delete"
    if form.text("name") != row.name:
        return redirect_with_flash(
            request, wired.keys, path, "Type the source's name to delete it.", tone="bad"
        )
    name = row.name
    try:
        await service.remove(session, wired.store, viewer.principal, source_id)
    except Conflict as refused:
        return redirect_with_flash(request, wired.keys, path, refused.detail, tone="bad")
    told = f"{name} and its recordings are deleted."
    return redirect_with_flash(request, wired.keys, "/recordings/sources", told)


async def _switched(
    request: Request,
    viewer: Viewer,
    session: AsyncSession,
    wired: Wired,
    source_id: UUID,
    status: str,
    now: Now,
) -> Response:
    patch = SourcePatch.model_validate({"status": status})
    row = await service.change(session, viewer.principal, source_id, patch, now=now)
    told = f"Recordings of {row.name} are taken {'again' if status == 'active' else 'no more'}."
    return redirect_with_flash(request, wired.keys, "/recordings/sources", told)


async def zoom_connections(session: AsyncSession, viewer: Viewer) -> list[Connection]:
    """The team's Zoom accounts, by name."""
    rows = await session.execute(
        select(Connection)
        .where(col(Connection.tenant_id) == viewer.tenant_id, col(Connection.platform) == ZOOM)
        .order_by(col(Connection.name))
        .limit(MAX_LIMIT)
    )
    return list(rows.scalars())


def _entered(form: Form) -> dict[str, Any]:
    return {**_BLANK, **{name: form.text(name) for name in _BLANK}}


async def _form(
    request: Request,
    viewer: Viewer,
    session: AsyncSession,
    *,
    values: Mapping[str, Any],
    faults: Faults,
    row: RecordingSource | None = None,
) -> Response:
    connections = await zoom_connections(session, viewer)
    chosen = next((each for each in connections if str(each.id) == values["connection_id"]), None)
    wired = request.app.state.collaborators
    return render(
        request,
        "recording_source_form.html",
        viewer,
        status_code=422 if faults else 200,
        row=row,
        connections=connections,
        connection=chosen,
        hook=f"{wired.settings.public_url.rstrip('/')}/hooks/zoom/{chosen.id}" if chosen else "",
        values=values,
        faults=faults,
    )
