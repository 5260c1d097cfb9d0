"""`/api/destinations`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response

from api.context import Now, Transaction, Wired
from api.deliveries.schemas import DeliveryOut
from api.destinations import service
from api.destinations.schemas import (
    EXAMPLES,
    DestinationCreate,
    DestinationOut,
    DestinationPatch,
    DestinationWithSecret,
)
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import problem_responses
from api.rows import owned, owned_page
from api.security import Caller
from common.models import Destination, DestinationType

router = APIRouter(
    prefix="/api/destinations",
    tags=["destinations"],
    route_class=JsonRoute,
    responses=problem_responses(401, 422),
)


@router.post("", status_code=201, responses=problem_responses(400, 413, 415))
async def create_destination(
    body: Annotated[DestinationCreate, Body(openapi_examples=EXAMPLES)],
    caller: Caller,
    session: Transaction,
    wired: Wired,
    now: Now,
    response: Response,
) -> DestinationWithSecret:
    """Create a destination. A webhook without `signing_secret` is given one, shown in this answer only."""
    destination, secret = await service.create(session, wired, caller, body, now=now)
    response.headers["Location"] = f"/api/destinations/{destination.id}"
    return DestinationWithSecret(**service.shown(destination).model_dump(), signing_secret=secret)


@router.get("")
async def list_destinations(
    request: Request,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
    type: Annotated[DestinationType | None, Query(description="Only those of this type")] = None,  # noqa: A002
) -> Page[DestinationOut]:
    """The team's destinations, newest first."""
    rows = await owned_page(session, Destination, caller.tenant_id, wanted, type=type)
    return page(request, wanted, rows, [service.shown(row) for row in rows])


@router.get("/{destination_id}", responses=problem_responses(404))
async def read_destination(destination_id: UUID, caller: Caller, session: Transaction) -> DestinationOut:
    """One destination."""
    return service.shown(await owned(session, Destination, caller.tenant_id, destination_id))


@router.patch("/{destination_id}", responses=problem_responses(400, 404, 413, 415))
async def change_destination(
    destination_id: UUID,
    body: DestinationPatch,
    caller: Caller,
    session: Transaction,
    wired: Wired,
    now: Now,
) -> DestinationOut:
    """Change a destination, or give it another bot token or signing secret."""
    return service.shown(await service.change(session, wired, caller, destination_id, body, now=now))


@router.delete("/{destination_id}", status_code=204, responses=problem_responses(404, 409))
async def delete_destination(destination_id: UUID, caller: Caller, session: Transaction) -> None:
    """Delete a destination and the record of what was sent there. Refused while automations use it."""
    await service.remove(session, caller, destination_id)


@router.post("/{destination_id}/test", status_code=202, responses=problem_responses(404, 409))
async def test_destination(
    destination_id: UUID, caller: Caller, session: Transaction, now: Now, response: Response
) -> DeliveryOut:
    """Send a test message. Answers with its delivery, which tells later how it went."""
    delivery = await service.send_test(session, caller, destination_id, now=now)
    response.headers["Location"] = f"/api/deliveries/{delivery.id}"
    return delivery


@router.post("/{destination_id}/rotate-secret", responses=problem_responses(404, 409))
async def rotate_signing_secret(
    destination_id: UUID, caller: Caller, session: Transaction, wired: Wired, now: Now
) -> DestinationWithSecret:
    """Give a webhook a new signing secret, shown in this answer only. The old one stops at once."""
    destination, secret = await service.rotate_secret(session, wired, caller, destination_id, now=now)
    return DestinationWithSecret(**service.shown(destination).model_dump(), signing_secret=secret)
