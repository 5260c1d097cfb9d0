"""`/api/automations/{automation_id}/run`."""

from __future__ import annotations

import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import JSONResponse

from api.automations import lifecycle
from api.automations.schemas import RunBody, RunRequest
from api.context import Now, Transaction, Wired
from api.limits import JsonRoute
from api.manual_runs import dry_runs
from api.manual_runs.schemas import DryRunOut
from api.problems import problem_responses
from api.runs.schemas import RunSummary
from api.runs.service import summary_of
from api.security import Caller

router = APIRouter(prefix="/api", tags=["runs"], route_class=JsonRoute, responses=problem_responses(401, 422))
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])")


@router.post(
    "/automations/{automation_id}/run",
    status_code=202,
    response_model=RunSummary,
    responses={
        200: {"model": DryRunOut, "description": "What the dry run would have delivered"},
        **problem_responses(400, 404, 409, 413, 415),
    },
)
async def run_automation(
    automation_id: UUID,
    caller: Caller,
    session: Transaction,
    wired: Wired,
    now: Now,
    response: Response,
    body: RunBody | None = None,
    dry_run: Annotated[
        bool, Query(description="Do the work, deliver nothing, and answer with what would be delivered")
    ] = False,
    prefer: Annotated[
        str | None, Header(description="`wait=10`: seconds to wait for a dry run, at most and by default 30")
    ] = None,
) -> RunSummary | JSONResponse:
    """Run it now, whatever its schedule says; also when it is paused. Answers with the queued run.

    With a `slot` the run works for that slot of the schedule, and is the slot's run where it has none yet.

    A dry run answers 200 with what would be delivered; while it is still going, 202 with the run, which
    `Location` shows when it has ended. It counts as no slot's run and appears in lists only when asked for.
    """
    wanted = RunRequest(**(body or RunBody()).model_dump(), dry_run=dry_run)
    run = await lifecycle.run_now(session, caller, automation_id, wanted, now=now)
    response.headers["Location"] = f"/api/runs/{run.id}"
    summary = await summary_of(session, caller.tenant_id, run.id)
    if not dry_run:
        return summary
    await session.commit()  # gives the connection back: others need it while this request waits
    if not await dry_runs.ended(wired, caller.tenant_id, run.id, within=seconds_to_wait(prefer)):
        return summary
    async with wired.sessions() as reading:
        summary = await summary_of(reading, caller.tenant_id, run.id)
        shown = await dry_runs.outcome(reading, summary, now=now)
    return JSONResponse(shown.model_dump(mode="json"), headers={"Location": f"/api/runs/{run.id}"})


def seconds_to_wait(prefer: str | None) -> float:
    """How long the client prefers to wait (RFC 7240), within bounds."""
    match = _WAIT.search(prefer or "")
    return min(float(match[1]), dry_runs.LONGEST_WAIT) if match else dry_runs.LONGEST_WAIT
