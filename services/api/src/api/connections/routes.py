"""`/api/connections`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response

from api.connection_kinds import PlatformName
from api.connections import checking, consents, service
from api.connections.schemas import (
    AuthorizeOut,
    AuthorizeRequest,
    CheckOut,
    ConnectionCreate,
    ConnectionOut,
    ConnectionPatch,
    KindOut,
    RefreshOut,
)
from api.context import Now, Transaction, Wired
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import problem_responses
from api.rows import owned, owned_page
from api.security import Caller
from common.models import Connection

router = APIRouter(
    prefix="/api/connections",
    tags=["connections"],
    route_class=JsonRoute,
    responses=problem_responses(401, 422),
)


@router.post("", status_code=201, responses=problem_responses(400, 413, 415))
async def create_connection(
    body: ConnectionCreate, caller: Caller, session: Transaction, wired: Wired, now: Now, response: Response
) -> ConnectionOut:
    """Connect an account by secrets that are pasted. They are sealed, and no answer ever holds them."""
    connection = await service.create(session, wired.keys, wired.grants, caller, body, now=now)
    response.headers["Location"] = f"/api/connections/{connection.id}"
    return service.shown(connection, now)


@router.get("")
async def list_connections(
    request: Request,
    caller: Caller,
    session: Transaction,
    now: Now,
    wanted: WantedPage,
    platform: Annotated[PlatformName | None, Query(description="Only those on this platform")] = None,
) -> Page[ConnectionOut]:
    """The team's connections, newest first."""
    rows = await owned_page(session, Connection, caller.tenant_id, wanted, platform=platform)
    return page(request, wanted, rows, [service.shown(row, now) for row in rows])


@router.get("/kinds")
async def list_kinds(_caller: Caller, wired: Wired) -> list[KindOut]:
    """What can be connected: by which dialog, or by pasting what."""
    return service.kinds(wired.grants)


@router.post("/authorize", responses=problem_responses(400, 409, 413, 415))
async def authorize(
    body: AuthorizeRequest, caller: Caller, session: Transaction, wired: Wired, now: Now
) -> AuthorizeOut:
    """Begin to connect an account, or to connect one again, by its platform's own page."""
    return await consents.begin(session, wired, caller, body, now=now)


@router.get("/{connection_id}", responses=problem_responses(404))
async def read_connection(
    connection_id: UUID, caller: Caller, session: Transaction, now: Now
) -> ConnectionOut:
    """One connection."""
    return service.shown(await owned(session, Connection, caller.tenant_id, connection_id), now)


@router.patch("/{connection_id}", responses=problem_responses(400, 404, 413, 415))
async def change_connection(
    connection_id: UUID,
    body: ConnectionPatch,
    caller: Caller,
    session: Transaction,
    wired: Wired,
    now: Now,
) -> ConnectionOut:
    """Change a connection, or give it new secrets, which make it active and resume what waited for it."""
    row = await service.change(session, wired.keys, wired.grants, caller, connection_id, body, now=now)
    return service.shown(row, now)


@router.delete("/{connection_id}", status_code=204, responses=problem_responses(404, 409))
async def delete_connection(
    connection_id: UUID, caller: Caller, session: Transaction, wired: Wired, tasks: BackgroundTasks
) -> None:
    """Disconnect an account and forget its secrets. Automations that need it fail from then on.

    Its recording sources are to be deleted first, with their recordings and files.

    A token that was granted for it by TikTok's or Zoom's own page is given back to them, if they answer. What
    a person allowed on Facebook ends only there: it may serve other connections.
    """
    granted = await service.remove(session, wired.keys, caller, connection_id)
    if granted is not None:
        kind, stored = granted
        tasks.add_task(service.give_back, wired.grants[kind], stored, connection_id)


@router.post("/{connection_id}/check", responses=problem_responses(404, 409))
async def check_connection(
    connection_id: UUID, caller: Caller, session: Transaction, wired: Wired, now: Now
) -> CheckOut:
    """Ask the platform now whether the token lives, whose it is, and what it reaches."""
    checked = await checking.check(session, wired, caller, connection_id, now=now)
    shown = service.shown(checked.connection, now)
    return CheckOut(outcome=checked.outcome, detail=checked.detail, connection=shown)


@router.get("/{connection_id}/refreshes", responses=problem_responses(404))
async def list_refreshes(
    request: Request,
    connection_id: UUID,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
) -> Page[RefreshOut]:
    """How the connection's token was renewed, latest first."""
    rows = await service.refreshes(session, caller.tenant_id, connection_id, wanted)
    return page(request, wanted, rows, [RefreshOut.model_validate(row) for row in rows], by="started_at")
