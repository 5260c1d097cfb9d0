"""Connections: the list with what can be connected, one of them with its health, and the form to paste in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from api.commits import commit, transaction
from api.connection_kinds import ALL_KINDS, PASTED, KindName
from api.connections import checking, service
from api.connections.health import health_of, missing_of
from api.connections.schemas import ConnectionCreate, ConnectionPatch
from api.context import Collaborators, Now, Transaction, Wired
from api.pagination import MAX_LIMIT, PageRequest
from api.rows import owned, owned_page
from api.sessions import SignedIn, Viewer
from api.web.connection_words import checked_words, grouped, reached
from api.web.flashes import redirect_with_flash
from api.web.forms import Faults, Form, SentForm
from api.web.rendering import render
from common.errors import Conflict, RequestError
from common.models import STORES, Connection, ConnectionKind, platform_of
from platforms.platform import PastedField
from platforms.zoom import PLATFORM as ZOOM

router = APIRouter(prefix="/connections")
_ALL = PageRequest(limit=MAX_LIMIT, after=None)
_LAST_RENEWALS = PageRequest(limit=10, after=None)
_FIELDS: Mapping[str, str] = {
    "/platform": "kind",
    "/kind": "kind",
    "/name": "name",
    "/scopes": "scopes",
    **{f"/{field.name.replace('.', '/')}": field.name for fields in PASTED.values() for field in fields},
    "/credentials": "credentials.client_id",
}


@router.get("")
async def connections(
    request: Request, viewer: SignedIn, session: Transaction, wired: Wired, now: Now
) -> Response:
    """The team's accounts on the platforms, and what can be connected."""
    rows = (await owned_page(session, Connection, viewer.tenant_id, _ALL))[:MAX_LIMIT]
    return render(
        request,
        "connections.html",
        viewer,
        items=rows,
        health={row.id: health_of(row, now) for row in rows},
        reach={row.id: reached(row.accounts) for row in rows},
        kinds={kind.kind: kind for kind in service.kinds(wired.grants)},
    )


@router.get("/new")
async def new_connection(
    request: Request,
    viewer: SignedIn,
    wired: Wired,
    kind: Annotated[KindName, Query()] = KindName(ALL_KINDS[0]),
) -> Response:
    """The form to paste the secrets of a new connection into."""
    return _form(request, viewer, wired, kind=ConnectionKind(kind), values={}, faults=Faults())


@router.post("/new")
async def create_connection(
    request: Request, viewer: SignedIn, session: Transaction, wired: Wired, form: SentForm, now: Now
) -> Response:
    """Connect an account as the form says, and look at it at once."""
    kind = _kind_of(form)
    try:
        document = {"platform": platform_of(kind), "kind": kind, **_document(form, kind)}
        wanted = ConnectionCreate.model_validate(document)
        async with session.begin_nested():
            made = await service.create(session, wired.keys, wired.grants, viewer.principal, wanted, now=now)
    except (RequestError, ValidationError) as error:
        return _refused(request, viewer, wired, form, error, kind, None)
    if kind in STORES:
        return redirect_with_flash(
            request, wired.keys, f"/connections/{made.id}", f"{made.name} is connected."
        )
    # Stored first, whatever the platform says: a secret need not be pasted twice because a platform fails.
    await commit(session, wired.engine)
    async with transaction(wired.sessions, wired.engine) as later:
        checked = await checking.check(later, wired, viewer.principal, made.id, now=now)
    told, tone = checked_words(checked)
    return redirect_with_flash(
        request, wired.keys, f"/connections/{made.id}", f"{made.name} is connected. {told}", tone=tone
    )


@router.get("/{connection_id:uuid}")
async def connection(
    request: Request, connection_id: UUID, viewer: SignedIn, session: Transaction, wired: Wired, now: Now
) -> Response:
    """One connection: its health, what it reaches, and how its token was renewed."""
    row = await owned(session, Connection, viewer.tenant_id, connection_id)
    renewals = await service.refreshes(session, viewer.tenant_id, connection_id, _LAST_RENEWALS)
    return render(
        request,
        "connection.html",
        viewer,
        row=row,
        kind=_described(wired, ConnectionKind(row.kind)),
        health=health_of(row, now),
        missing=missing_of(row),
        groups=grouped(row.accounts),
        reach=reached(row.accounts),
        renewals=renewals[: _LAST_RENEWALS.limit],
        is_store=ConnectionKind(row.kind) in STORES,
        hook=f"{wired.settings.public_url.rstrip('/')}/hooks/zoom/{row.id}" if row.platform == ZOOM else "",
    )


@router.get("/{connection_id:uuid}/edit")
async def edit_connection(
    request: Request, connection_id: UUID, viewer: SignedIn, session: Transaction, wired: Wired
) -> Response:
    """The form to change one, or to give it new secrets."""
    row = await owned(session, Connection, viewer.tenant_id, connection_id)
    values = {"name": row.name, "scopes": " ".join(row.scopes)}
    return _form(
        request, viewer, wired, kind=ConnectionKind(row.kind), values=values, faults=Faults(), row=row
    )


@router.post("/{connection_id:uuid}/edit")
async def change_connection(
    request: Request,
    connection_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Change one as the form says. Secrets left empty stay as they are."""
    row = await owned(session, Connection, viewer.tenant_id, connection_id)
    kind = ConnectionKind(row.kind)
    try:
        patch = ConnectionPatch.model_validate(_document(form, kind))
        async with session.begin_nested():
            await service.change(
                session, wired.keys, wired.grants, viewer.principal, connection_id, patch, now=now
            )
    except (RequestError, ValidationError) as error:
        await session.refresh(row)
        return _refused(request, viewer, wired, form, error, kind, row)
    path = f"/connections/{connection_id}"
    if not patch.secrets().grants:
        return redirect_with_flash(request, wired.keys, path, "Your changes are saved.")
    if kind in STORES:
        return redirect_with_flash(request, wired.keys, path, f"{row.name} has new credentials.")
    await commit(session, wired.engine)
    async with transaction(wired.sessions, wired.engine) as later:
        checked = await checking.check(later, wired, viewer.principal, connection_id, now=now)
    told, tone = checked_words(checked)
    return redirect_with_flash(request, wired.keys, path, f"{row.name} has a new token. {told}", tone=tone)


@router.post("/{connection_id:uuid}/check")
async def check(
    request: Request,
    connection_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form_sent: SentForm,
    now: Now,
) -> Response:
    """Ask the platform now how the account is."""
    checked = await checking.check(session, wired, viewer.principal, connection_id, now=now)
    told, tone = checked_words(checked)
    return redirect_with_flash(request, wired.keys, f"/connections/{connection_id}", told, tone=tone)


@router.post("/{connection_id:uuid}/delete")
async def delete(
    request: Request,
    connection_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    tasks: BackgroundTasks,
    _form_sent: SentForm,
) -> Response:
    """Disconnect an account and forget its secrets."""
    try:
        granted = await service.remove(session, wired.keys, viewer.principal, connection_id)
    except Conflict as refused:
        return redirect_with_flash(
            request, wired.keys, f"/connections/{connection_id}", refused.detail, tone="bad"
        )
    response = redirect_with_flash(
        request, wired.keys, "/connections", "The account is disconnected and its secrets forgotten."
    )
    if granted is not None:
        kind, stored = granted
        tasks.add_task(service.give_back, wired.grants[kind], stored, connection_id)
    return response


def _kind_of(form: Form) -> ConnectionKind:
    given = form.text("kind")
    return ConnectionKind(given) if given in ALL_KINDS else ALL_KINDS[0]


def _document(form: Form, kind: ConnectionKind) -> dict[str, Any]:
    """The request a form stands for; secrets left empty are not part of it."""
    document: dict[str, Any] = {"name": form.text("name")}
    if kind not in STORES:
        document["scopes"] = form.text("scopes").replace(",", " ").split()
    for name, text in form.given(*(field.name for field in PASTED[kind])).items():
        place, _, inner = name.partition(".")
        if inner:
            document.setdefault(place, {})[inner] = text
        else:
            document[place] = text
    return document


def _refused(
    request: Request,
    viewer: Viewer,
    wired: Collaborators,
    form: Form,
    error: RequestError | ValidationError,
    kind: ConnectionKind,
    row: Connection | None,
) -> Response:
    faults = Faults()
    faults.take(error, _FIELDS)
    secret = {field.name for field in PASTED[kind] if field.secret}
    values = {name: form.text(name) for name in form if name not in secret}
    return _form(request, viewer, wired, kind=kind, values=values, faults=faults, row=row)


def _form(
    request: Request,
    viewer: Viewer,
    wired: Collaborators,
    *,
    kind: ConnectionKind,
    values: Mapping[str, Any],
    faults: Faults,
    row: Connection | None = None,
) -> Response:
    fields: tuple[PastedField, ...] = PASTED[kind]
    return render(
        request,
        "connection_form.html",
        viewer,
        status_code=422 if faults else 200,
        row=row,
        kind=_described(wired, kind),
        kinds=service.kinds(wired.grants),
        fields=fields,
        is_store=kind in STORES,
        values=values,
        faults=faults,
    )


def _described(wired: Collaborators, kind: ConnectionKind) -> Any:
    return next(each for each in service.kinds(wired.grants) if ConnectionKind(each.kind) == kind)
