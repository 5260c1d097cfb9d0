"""`/api/backfills`, and backfills of an automation."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.backfills import service
from api.backfills.schemas import BackfillOut, BackfillRequest
from api.context import Now, Transaction
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import problem_responses
from api.rows import owned, owned_page
from api.security import Caller
from common.models import Automation, Backfill

router = APIRouter(
    prefix="/api", tags=["backfills"], route_class=JsonRoute, responses=problem_responses(401, 404, 422)
)


@router.post(
    "/automations/{automation_id}/backfill", status_code=202, responses=problem_responses(400, 409, 413, 415)
)
async def create_backfill(
    automation_id: UUID,
    body: BackfillRequest,
    caller: Caller,
    session: Transaction,
    now: Now,
    response: Response,
) -> BackfillOut:
    """Run the slots of a past range that have no run, one at a time, behind everything else."""
    made = await service.create(session, caller, automation_id, body, now=now)
    response.headers["Location"] = f"/api/backfills/{made.id}"
    return (await service.shown(session, [made]))[0]


@router.get("/automations/{automation_id}/backfills")
async def list_backfills(
    request: Request,
    automation_id: UUID,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
) -> Page[BackfillOut]:
    """An automation's backfills, newest first."""
    await owned(session, Automation, caller.tenant_id, automation_id)
    rows = await owned_page(session, Backfill, caller.tenant_id, wanted, automation_id=automation_id)
    return page(request, wanted, rows, await service.shown(session, rows))


@router.get("/backfills/{backfill_id}")
async def read_backfill(backfill_id: UUID, caller: Caller, session: Transaction) -> BackfillOut:
    """One backfill, and how far it is."""
    found = await owned(session, Backfill, caller.tenant_id, backfill_id)
    return (await service.shown(session, [found]))[0]


@router.post("/backfills/{backfill_id}/cancel", responses=problem_responses(409))
async def cancel_backfill(backfill_id: UUID, caller: Caller, session: Transaction, now: Now) -> BackfillOut:
    """Cancel what is left of a backfill. Cancelling twice changes nothing."""
    cancelled = await service.cancel(session, caller.tenant_id, backfill_id, now=now)
    return (await service.shown(session, [cancelled]))[0]
