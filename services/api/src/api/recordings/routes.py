"""`/api/recordings`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.context import Now, Transaction, Wired
from api.fields import Moment
from api.limits import JsonRoute
from api.pagination import Page, WantedPage, page
from api.problems import problem_responses
from api.recordings import removal, service, transcripts
from api.recordings.schemas import ProcessRequest, RecordingOut, RecordingSummary
from api.recordings.service import Sought
from api.recordings.transcripts import TranscriptFormat
from api.security import Caller
from common.models import RecordingStatus

router = APIRouter(
    prefix="/api/recordings",
    tags=["recordings"],
    route_class=JsonRoute,
    responses=problem_responses(401, 422),
)


def sought(
    status: Annotated[RecordingStatus | None, Query(description="Only those in this state")] = None,
    source_id: Annotated[UUID | None, Query(description="Only those of this source")] = None,
    template_id: Annotated[UUID | None, Query(description="Only those this template took")] = None,
    since: Annotated[
        Moment | None, Query(alias="from", description="Only meetings that began then or later")
    ] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Only meetings that began before")] = None,
    q: Annotated[str, Query(max_length=200, description="Only those whose topic contains this")] = "",
) -> Sought:
    """FastAPI dependency for which recordings are wanted."""
    return Sought(status, source_id, template_id, since, until, q.strip())


@router.get("")
async def list_recordings(
    request: Request,
    caller: Caller,
    session: Transaction,
    wanted: WantedPage,
    which: Annotated[Sought, Depends(sought)],
) -> Page[RecordingSummary]:
    """The team's recordings, latest meeting first."""
    rows = await service.recording_page(session, caller.tenant_id, wanted, which)
    return page(request, wanted, rows, rows, by="started_at")


@router.get("/{recording_id}", responses=problem_responses(404))
async def read_recording(recording_id: UUID, caller: Caller, session: Transaction) -> RecordingOut:
    """One recording: its files, how far it has come, and what was made of it."""
    return await service.detail_of(session, caller.tenant_id, recording_id)


@router.get(
    "/{recording_id}/transcript",
    response_class=Response,
    responses={
        200: {
            "description": "What was said",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "text/vtt": {"schema": {"type": "string"}},
            },
        },
        **problem_responses(404, 503),
    },
)
async def read_transcript(
    recording_id: UUID,
    caller: Caller,
    session: Transaction,
    wired: Wired,
    form: Annotated[TranscriptFormat, Query(alias="format", description="With times (WebVTT) or without")] = (
        TranscriptFormat.TEXT
    ),
    file_id: Annotated[
        str | None, Query(max_length=500, description="Of this file only; see `artifacts.transcripts`")
    ] = None,
) -> Response:
    """What was said in a recording."""
    found = await transcripts.find(session, caller.tenant_id, recording_id, form, file_id=file_id)
    return Response(await transcripts.read(wired.store, found), media_type=form.media_type)


@router.post("/{recording_id}/process", status_code=202, responses=problem_responses(400, 404, 409, 413, 415))
async def process_recording(
    recording_id: UUID,
    caller: Caller,
    session: Transaction,
    now: Now,
    body: ProcessRequest | None = None,
) -> RecordingOut:
    """Have a recording processed: a new one, one that was skipped, one that failed, or one whose settings let
    it rest before the upload.

    Without a body it is processed as was decided before. What was stored of it already is used again.
    """
    return await service.process(session, caller, recording_id, body or ProcessRequest(), now=now)


@router.post("/{recording_id}/skip", responses=problem_responses(404, 409))
async def skip_recording(recording_id: UUID, caller: Caller, session: Transaction) -> RecordingOut:
    """Leave a new recording alone: jobs pass over it from now on. Skipping twice changes nothing."""
    return await service.skip(session, caller, recording_id)


@router.delete("/{recording_id}", status_code=204, responses=problem_responses(404, 409, 503))
async def delete_recording(recording_id: UUID, caller: Caller, session: Transaction, wired: Wired) -> None:
    """Delete the record of a recording, with its files in Carillon's own store. Refused while it is being
    processed.

    What was uploaded elsewhere stays there. A job that looks back far enough finds the recording again on its
    platform: to have it left alone, skip it instead.
    """
    await removal.remove_recording(session, wired.store, caller, recording_id)
