"""`/api/recording-sources`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.context import Now, Transaction, Wired
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import problem_responses
from api.recordings.sources import service
from api.recordings.sources.schemas import SourceCreate, SourceOut, SourcePatch
from api.rows import owned, owned_page
from api.security import Caller
from common.models import RecordingSource, SourceStatus

router = APIRouter(
    prefix="/api/recording-sources",
    tags=["recording sources"],
    route_class=JsonRoute,
    responses=problem_responses(401, 422),
)


@router.post("", status_code=201, responses=problem_responses(400, 409, 413, 415))
async def create_recording_source(
    body: SourceCreate, caller: Caller, session: Transaction, now: Now, response: Response
) -> SourceOut:
    """Take a person's recordings. The next run of a recording job, and Zoom's own events, bring them in."""
    source = await service.create(session, caller, body, now=now)
    response.headers["Location"] = f"/api/recording-sources/{source.id}"
    return SourceOut.model_validate(source)


@router.get("")
async def list_recording_sources(
    request: Request,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
    status: Annotated[SourceStatus | None, Query(description="Only those in this state")] = None,
    connection_id: Annotated[UUID | None, Query(description="Only those of this connection")] = None,
) -> Page[SourceOut]:
    """The team's sources, newest first."""
    rows = await owned_page(
        session, RecordingSource, caller.tenant_id, wanted, status=status, connection_id=connection_id
    )
    return page(request, wanted, rows, [SourceOut.model_validate(row) for row in rows])


@router.get("/{source_id}", responses=problem_responses(404))
async def read_recording_source(source_id: UUID, caller: Caller, session: Transaction) -> SourceOut:
    """One source."""
    return SourceOut.model_validate(await owned(session, RecordingSource, caller.tenant_id, source_id))


@router.patch("/{source_id}", responses=problem_responses(400, 404, 409, 413, 415))
async def change_recording_source(
    source_id: UUID, body: SourcePatch, caller: Caller, session: Transaction, now: Now
) -> SourceOut:
    """Rename a source, disable or enable it, or take another person's recordings by it."""
    return SourceOut.model_validate(await service.change(session, caller, source_id, body, now=now))


@router.delete("/{source_id}", status_code=204, responses=problem_responses(404, 409, 503))
async def delete_recording_source(
    source_id: UUID, caller: Caller, session: Transaction, wired: Wired
) -> None:
    """Delete a source with the records of all its recordings, and their files in Carillon's own store.

    What was uploaded elsewhere stays there. Refused while a template's rules name the source, while one of
    its recordings is being processed, and while more than 200 have files.
    """
    await service.remove(session, wired.store, caller, source_id)
