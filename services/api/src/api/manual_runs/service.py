"""Running an automation by hand: now, or as a dry run that is waited for."""

from __future__ import annotations

import re
from datetime import datetime
from uuid import UUID

from fastapi import Response
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api.automations.schemas import RunRequest
from api.commits import commit
from api.context import Collaborators
from api.manual_runs import dry_runs
from api.manual_runs.queueing import run_now
from api.runs.schemas import RunSummary
from api.runs.service import summary_of
from api.security import Principal

_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])")


async def run_and_answer(
    session: AsyncSession,
    wired: Collaborators,
    caller: Principal,
    automation_id: UUID,
    wanted: RunRequest,
    response: Response,
    *,
    prefer: str | None,
    now: datetime,
) -> RunSummary | JSONResponse:
    """The queued run; for a dry run that ends in time, what it would have delivered.

    A dry run ends the request's transaction before it waits. Raises NotFound or Unprocessable.
    """
    run = await run_now(session, caller, automation_id, wanted, now=now)
    location = f"/api/runs/{run.id}"
    response.headers["Location"] = location
    summary = await summary_of(session, caller.tenant_id, run.id)
    if not wanted.dry_run:
        return summary
    await commit(session, wired.engine)  # gives the connection back: others need it while this request waits
    if not await dry_runs.ended(wired, caller.tenant_id, run.id, within=seconds_to_wait(prefer)):
        return summary
    async with wired.sessions() as reading:
        summary = await summary_of(reading, caller.tenant_id, run.id)
        shown = await dry_runs.outcome(reading, summary, now=now)
    return JSONResponse(shown.model_dump(mode="json"), headers={"Location": location})


def seconds_to_wait(prefer: str | None) -> float:
    """How long the client prefers to wait (RFC 7240), within bounds."""
    match = _WAIT.search(prefer or "")
    return min(float(match[1]), dry_runs.LONGEST_WAIT) if match else dry_runs.LONGEST_WAIT
