"""`/api/automations/{automation_id}/run`."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse

from api.automations.schemas import RunBody, RunRequest
from api.context import Now, Transaction, Wired
from api.limits import JsonRoute
from api.manual_runs.schemas import DryRunOut
from api.manual_runs.service import run_and_answer
from api.problems import problem_responses
from api.runs.schemas import RunSummary
from api.security import Caller

router = APIRouter(prefix="/api", tags=["runs"], route_class=JsonRoute, responses=problem_responses(401, 422))

DryRun = Annotated[
    bool, Query(description="Do the work, deliver nothing, and answer with what would be delivered")
]
Prefer = Annotated[
    str | None, Header(description="`wait=10`: seconds to wait for a dry run, at most and by default 30")
]
RUN_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": DryRunOut, "description": "What the dry run would have delivered"},
    **problem_responses(400, 404, 409, 413, 415),
}


@router.post(
    "/automations/{automation_id}/run", status_code=202, response_model=RunSummary, responses=RUN_RESPONSES
)
async def run_automation(
    automation_id: UUID,
    caller: Caller,
    session: Transaction,
    wired: Wired,
    now: Now,
    response: Response,
    body: RunBody | None = None,
    dry_run: DryRun = False,
    prefer: Prefer = None,
) -> RunSummary | JSONResponse:
    """Run it now, whatever its schedule says; also when it is paused. Answers with the queued run.

    With a `slot` the run works for that slot of the schedule, and is the slot's run where it has none yet.

    A dry run answers 200 with what would be delivered; while it is still going, 202 with the run, which
    `Location` shows when it has ended. It counts as no slot's run and appears in lists only when asked for.
    """
    wanted = RunRequest(**(body or RunBody()).model_dump(), dry_run=dry_run)
    return await run_and_answer(
        session, wired, caller, automation_id, wanted, response, prefer=prefer, now=now
    )
