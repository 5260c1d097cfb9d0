"""Recordings: the list, and one of them with what can be done to it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.context import Collaborators, Now, Transaction, Wired
from api.pagination import PageRequest, WantedPage, next_cursor
from api.recordings import removal, service, transcripts
from api.recordings.schemas import ProcessRequest, RecordingOut
from api.recordings.service import PROCESSABLE, Sought
from api.recordings.transcripts import TranscriptFormat
from api.sessions import SignedIn
from api.web import recording_words as words
from api.web.flashes import redirect_with_flash
from api.web.forms import SentForm
from api.web.rendering import render
from common.errors import CarillonError, Conflict, RequestError
from common.models import RecordingSource, RecordingStatus, RecordingTemplate

log = structlog.get_logger()

router = APIRouter(prefix="/recordings")
ON_PAGE = 40
SHOWN_BYTES = 64 * 1024
"""Up to so large a transcript is shown on the page itself."""


def _id(text: str) -> UUID | None:
    """What a filter names; None for what was left open, or cannot be."""
    try:
        return UUID(text)
    except ValueError:
        return None


@router.get("")
async def recordings(
    request: Request,
    viewer: SignedIn,
    session: Transaction,
    wanted: WantedPage,
    now: Now,
    status: Annotated[RecordingStatus | None, Query()] = None,
    source: Annotated[str, Query(max_length=40)] = "",
    template: Annotated[str, Query(max_length=40)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The team's recordings, latest meeting first."""
    sought = Sought(status, _id(source), _id(template), topic=q.replace("\0", "").strip())
    page = PageRequest(ON_PAGE, wanted.after)
    rows = await service.recording_page(session, viewer.tenant_id, page, sought)
    shown = rows[:ON_PAGE]
    filters = {"q": sought.topic, "source": sought.source_id, "template": sought.template_id}
    kept = {name: str(value) for name, value in filters.items() if value}
    return render(
        request,
        "recordings.html",
        viewer,
        items=[(row, words.state_of(row, now), words.progress_of(row)) for row in shown],
        counts=await service.counts(session, viewer.tenant_id),
        sources=await sources_of(session, viewer.tenant_id),
        templates=await templates_of(session, viewer.tenant_id),
        statuses=list(RecordingStatus),
        status=status,
        sought=sought,
        kept=urlencode(kept),
        query=urlencode({**kept, **({"status": status.value} if status else {})}),
        unfinished=any(row.is_under_way for row in shown),
        later=wanted.after is not None,
        more=next_cursor(page, rows, by="started_at"),
    )


@router.get("/{recording_id:uuid}")
async def recording(
    request: Request, recording_id: UUID, viewer: SignedIn, session: Transaction, wired: Wired, now: Now
) -> Response:
    """One recording, from the meeting to where its files went."""
    detail = await service.detail_of(session, viewer.tenant_id, recording_id)
    return render(
        request,
        "recording.html",
        viewer,
        recording=detail,
        state=words.state_of(detail, now),
        stations=words.way(detail, now),
        can_process=not detail.is_under_way and detail.status in PROCESSABLE,
        can_skip=not detail.is_under_way and detail.status is RecordingStatus.INITIALIZED,
        templates=await templates_of(session, viewer.tenant_id),
        said=await _said(session, wired, detail),
        stored={file.id for file in detail.artifacts.files},
        missing={file.id: file.message for file in detail.artifacts.missing},
        kinds=words.KINDS,
        targets=words.TARGETS,
    )


@router.get("/{recording_id:uuid}/transcript")
async def transcript(
    recording_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: Annotated[TranscriptFormat, Query(alias="format")] = TranscriptFormat.TEXT,
    file_id: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """What was said, as a file."""
    found = await transcripts.find(session, viewer.tenant_id, recording_id, form, file_id=file_id)
    content = await transcripts.read(wired.store, found)
    disposition = f'attachment; filename="{found.name(form)}"'
    return Response(content, media_type=form.media_type, headers={"Content-Disposition": disposition})


@router.post("/{recording_id:uuid}/process")
async def process(
    request: Request,
    recording_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    form: SentForm,
    now: Now,
) -> Response:
    """Have it processed, as was decided before or as the form says."""
    path = f"/recordings/{recording_id}"
    try:
        wanted = ProcessRequest.model_validate(_wish(form))
        async with session.begin_nested():
            await service.process(session, viewer.principal, recording_id, wanted, now=now)
    except ValidationError:
        return redirect_with_flash(request, wired.keys, path, "Choose a template of the list.", tone="bad")
    except RequestError as error:
        told = " ".join([error.detail, *(fault.detail for fault in error.errors)])
        if error.status_code == 404:
            raise
        return redirect_with_flash(request, wired.keys, path, told, tone="bad")
    return redirect_with_flash(request, wired.keys, path, "It is on its way.")


@router.post("/{recording_id:uuid}/skip")
async def skip(
    request: Request,
    recording_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form: SentForm,
) -> Response:
    """Leave it alone."""
    path = f"/recordings/{recording_id}"
    try:
        await service.skip(session, viewer.principal, recording_id)
    except Conflict as refused:
        return redirect_with_flash(request, wired.keys, path, refused.detail, tone="bad")
    return redirect_with_flash(request, wired.keys, path, "It is skipped: jobs pass over it from now on.")


@router.post("/{recording_id:uuid}/delete")
async def delete(
    request: Request,
    recording_id: UUID,
    viewer: SignedIn,
    session: Transaction,
    wired: Wired,
    _form: SentForm,
) -> Response:
    """Delete its record."""
    try:
        await removal.remove_recording(session, wired.store, viewer.principal, recording_id)
    except Conflict as refused:
        return redirect_with_flash(
            request, wired.keys, f"/recordings/{recording_id}", refused.detail, tone="bad"
        )
    return redirect_with_flash(
        request, wired.keys, "/recordings", "The recording and its files here are deleted."
    )


def _wish(form: SentForm) -> dict[str, Any]:
    """The request a form stands for; what was not asked stays as it was decided."""
    wish: dict[str, Any] = {}
    if form.text("template_id"):
        wish["template_id"] = form.text("template_id")
    if form.text("choose"):
        wish["processing"] = {
            "skip_transcription": not form.text("transcript"),
            "auto_upload": bool(form.text("upload")),
        }
    return wish


async def _said(session: AsyncSession, wired: Collaborators, detail: RecordingOut) -> str | None:
    """The transcript, if it is small and this server can read it: the page has a link to it anyway."""
    size = sum(transcript.bytes for transcript in detail.artifacts.transcripts)
    if not detail.artifacts.transcripts or size > SHOWN_BYTES or wired.store is None:
        return None
    try:
        found = await transcripts.find(session, detail.tenant_id, detail.id, TranscriptFormat.TEXT)
        return (await transcripts.read(wired.store, found)).decode(errors="replace").strip()
    except CarillonError as error:
        log.info("transcript not shown", recording_id=str(detail.id), error=type(error).__name__)
        return None


async def sources_of(session: AsyncSession, tenant_id: UUID) -> list[Any]:
    """The team's sources, by number."""
    rows = await session.execute(
        select(
            col(RecordingSource.id),
            col(RecordingSource.number),
            col(RecordingSource.name),
            col(RecordingSource.status),
        )
        .where(col(RecordingSource.tenant_id) == tenant_id)
        .order_by(col(RecordingSource.number))
    )
    return list(rows)


async def templates_of(session: AsyncSession, tenant_id: UUID) -> list[Any]:
    """The team's templates, by number."""
    rows = await session.execute(
        select(
            col(RecordingTemplate.id),
            col(RecordingTemplate.number),
            col(RecordingTemplate.name),
            col(RecordingTemplate.is_active),
        )
        .where(col(RecordingTemplate.tenant_id) == tenant_id)
        .order_by(col(RecordingTemplate.number))
    )
    return list(rows)
