"""`/api/deliveries`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from api.context import Transaction
from api.deliveries import service
from api.deliveries.schemas import DeliveryOut, DeliverySummary
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import problem_responses
from api.security import Caller
from common.models import DeliveryStatus

router = APIRouter(
    prefix="/api/deliveries",
    tags=["deliveries"],
    route_class=JsonRoute,
    responses=problem_responses(401, 422),
)


@router.get("")
async def list_deliveries(
    request: Request,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
    status: Annotated[DeliveryStatus | None, Query(description="Only those in this state")] = None,
    destination_id: Annotated[UUID | None, Query(description="Only those that go there")] = None,
) -> Page[DeliverySummary]:
    """The team's deliveries, newest first."""
    rows = await service.delivery_page(
        session, caller.tenant_id, wanted, status=status, destination_id=destination_id
    )
    return page(request, wanted, rows, rows)


@router.get("/{delivery_id}", responses=problem_responses(404))
async def read_delivery(delivery_id: UUID, caller: Caller, session: Transaction) -> DeliveryOut:
    """One delivery: its message, and every attempt with the receiver's answer."""
    return await service.find_delivery(session, caller.tenant_id, delivery_id)
