"""`/api/connections`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.connections import service
from api.connections.schemas import ConnectionCreate, ConnectionOut, ConnectionPatch
from api.context import Now, Transaction, Wired
from api.limits import JsonRoute
from api.pagination import Page, PageRequest, Position, page, page_request
from api.problems import problem_responses
from api.security import Caller
from common.models import Platform

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
    """Connect an account. The token is sealed, and no answer ever holds it."""
    connection = await service.create(session, wired.keys, caller, body, now=now)
    response.headers["Location"] = f"/api/connections/{connection.id}"
    return service.shown(connection)


@router.get("")
async def list_connections(
    request: Request,
    caller: Caller,
    session: Transaction,
    wanted: Annotated[PageRequest, Depends(page_request)],
    platform: Annotated[Platform | None, Query(description="Only those on this platform")] = None,
) -> Page[ConnectionOut]:
    """The team's connections, newest first."""
    rows = await service.page(session, caller.tenant_id, wanted, platform=platform)
    positions = [Position(row.created_at, row.id) for row in rows]
    return page(request, wanted, [service.shown(row) for row in rows], positions)


@router.get("/{connection_id}", responses=problem_responses(404))
async def read_connection(connection_id: UUID, caller: Caller, session: Transaction) -> ConnectionOut:
    """One connection."""
    return service.shown(await service.find(session, caller.tenant_id, connection_id))


@router.patch("/{connection_id}", responses=problem_responses(400, 404, 413, 415))
async def change_connection(
    connection_id: UUID,
    body: ConnectionPatch,
    caller: Caller,
    session: Transaction,
    wired: Wired,
    now: Now,
) -> ConnectionOut:
    """Change a connection, or give it a new token, which makes it active again."""
    return service.shown(await service.change(session, wired.keys, caller, connection_id, body, now=now))


@router.delete("/{connection_id}", status_code=204, responses=problem_responses(404))
async def delete_connection(connection_id: UUID, caller: Caller, session: Transaction) -> None:
    """Disconnect an account and forget its token. Automations that need it fail from then on."""
    await service.remove(session, caller, connection_id)
