"""`/api/runs`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from api.context import Now, Transaction
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import problem_responses
from api.runs import service
from api.runs.schemas import ONLY_TRIGGER, RunDetail, RunSummary
from api.security import Caller
from common.models import RunStatus, Trigger

router = APIRouter(
    prefix="/api/runs", tags=["runs"], route_class=JsonRoute, responses=problem_responses(401, 422)
)


@router.get("")
async def list_runs(
    request: Request,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
    status: Annotated[RunStatus | None, Query(description="Only those in this state")] = None,
    automation_id: Annotated[UUID | None, Query(description="Only those of this automation")] = None,
    trigger: Annotated[Trigger | None, Query(description=ONLY_TRIGGER)] = None,
) -> Page[RunSummary]:
    """The team's runs, newest first."""
    runs = await service.run_page(
        session, caller.tenant_id, wanted, status=status, automation_id=automation_id, trigger=trigger
    )
    return page(request, wanted, runs, runs)


@router.get("/{run_id}", responses=problem_responses(404))
async def read_run(run_id: UUID, caller: Caller, session: Transaction) -> RunDetail:
    """One run: its attempts, its log, its deliveries and their attempts, and its trace."""
    return await service.detail_of(session, caller.tenant_id, run_id)


@router.post("/{run_id}/cancel", responses=problem_responses(404, 409))
async def cancel_run(run_id: UUID, caller: Caller, session: Transaction, now: Now) -> RunSummary:
    """Cancel a run. A waiting one is cancelled at once; a running one is asked to stop."""
    return await service.cancel(session, caller.tenant_id, run_id, now=now)
