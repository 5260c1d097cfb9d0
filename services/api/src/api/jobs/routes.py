"""`/api/v1/automation/jobs`: recording jobs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from api.automations.schemas import RunRequest
from api.context import Now, Transaction, Wired
from api.jobs import service
from api.jobs.schemas import JobCreate, JobOut, JobPatch
from api.limits import JsonRoute
from api.manual_runs.routes import RUN_RESPONSES, DryRun, Prefer
from api.manual_runs.service import run_and_answer
from api.pagination import WantedPage, page
from api.problems import problem_responses
from api.runs.schemas import RunSummary
from api.security import Caller

router = APIRouter(
    prefix="/api/v1/automation/jobs",
    tags=["recording jobs"],
    route_class=JsonRoute,
    responses=problem_responses(401, 422),
)


@router.post("", status_code=201, responses=problem_responses(400, 403, 409, 413, 415))
async def create_job(
    body: JobCreate, caller: Caller, session: Transaction, now: Now, response: Response
) -> JobOut:
    """Create a recording job. Its runs need an executor that has a handler for `recording_sync`."""
    job = await service.create(session, caller, body, now=now)
    response.headers["Location"] = f"/api/v1/automation/jobs/{job.id}"
    return service.shown(job)


@router.get("")
async def list_jobs(
    request: Request,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
    response: Response,
    active_only: Annotated[bool, Query(description="Only those that run by their schedule")] = False,
) -> list[JobOut]:
    """Your recording jobs, newest first. The `Link` header leads to the next page (`rel="next"`), if any."""
    rows = await service.page(session, caller, wanted, active_only=active_only)
    shown = page(request, wanted, rows, [service.shown(row) for row in rows])
    if shown.next is not None:
        response.headers["Link"] = f'<{shown.next}>; rel="next"'
    return shown.items


@router.get("/{job_id}", responses=problem_responses(404))
async def read_job(job_id: UUID, caller: Caller, session: Transaction) -> JobOut:
    """One of your recording jobs."""
    return service.shown(await service.find(session, caller, job_id))


@router.patch("/{job_id}", responses=problem_responses(400, 403, 404, 409, 413, 415))
async def change_job(job_id: UUID, body: JobPatch, caller: Caller, session: Transaction, now: Now) -> JobOut:
    """Change a recording job. Fields left out stay as they are; `is_active` pauses and resumes it."""
    job = await service.change(session, caller, job_id, body, now=now)
    return service.shown(job, next_after=now)


@router.delete("/{job_id}", status_code=204, responses=problem_responses(404))
async def delete_job(job_id: UUID, caller: Caller, session: Transaction, now: Now) -> None:
    """Delete a recording job and its history."""
    await service.remove(session, caller, job_id, now=now)


@router.post("/{job_id}/run", status_code=202, response_model=RunSummary, responses=RUN_RESPONSES)
async def run_job(
    job_id: UUID,
    caller: Caller,
    session: Transaction,
    wired: Wired,
    now: Now,
    response: Response,
    dry_run: DryRun = False,
    prefer: Prefer = None,
) -> RunSummary | JSONResponse:
    """Run it now; with `dry_run`, answer with what it would do, as for any automation."""
    await service.find(session, caller, job_id)
    return await run_and_answer(
        session, wired, caller, job_id, RunRequest(dry_run=dry_run), response, prefer=prefer, now=now
    )
