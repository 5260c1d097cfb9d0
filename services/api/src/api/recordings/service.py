"""Recordings: find them, have them processed, skip and delete them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.context import SERVICE, current_trace
from api.faults import field_errors
from api.pagination import PageRequest
from api.problems import unacceptable
from api.recordings.schemas import (
    ArtifactsOut,
    FileOut,
    MissingFileOut,
    ProcessRequest,
    RecordingOut,
    RecordingSummary,
    SentFileOut,
    StoredFileOut,
    TranscriptOut,
    UploadOut,
)
from api.recordings.steps import steps_of
from api.recordings.templates.references import check_processing
from api.rows import newest_first, owned
from api.security import Principal
from common.database.pool import driver_connection
from common.errors import Conflict, FieldError, NotFound
from common.models import Automation, Recording, RecordingSource, RecordingStatus, RecordingTemplate
from common.recordings import catalog, intake, layout
from common.recordings.artifacts import Artifacts
from common.recordings.files import RecordedFile
from common.recordings.intake import Taking
from common.recordings.selection import STARTABLE
from common.recordings.settings import ProcessingSettings

BY_A_MEMBER = "skipped by a member of the team"
PROCESSABLE = STARTABLE | {RecordingStatus.DOWNLOADED, RecordingStatus.TRANSCRIBED}
"""States from which a person can have it processed: also those in which its settings let it rest."""
_FILES: TypeAdapter[tuple[RecordedFile, ...]] = TypeAdapter(tuple[RecordedFile, ...])
_UNDER_WAY = or_(col(Recording.worker).is_not(None), col(Recording.available_at).is_not(None))
_COMPUTED = {
    "is_under_way": _UNDER_WAY.label("is_under_way"),
    "source_number": col(RecordingSource.number).label("source_number"),
    "source_name": col(RecordingSource.name).label("source_name"),
    "template_number": col(RecordingTemplate.number).label("template_number"),
    "template_name": col(RecordingTemplate.name).label("template_name"),
}


@dataclass(frozen=True, slots=True)
class Sought:
    """Which recordings are wanted."""

    status: RecordingStatus | None = None
    source_id: UUID | None = None
    template_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    topic: str = ""


def _summaries(*more: Any) -> Select[Any]:
    """Without the documents: lists must not read them."""
    columns = [
        _COMPUTED[name] if name in _COMPUTED else col(getattr(Recording, name))
        for name in RecordingSummary.model_fields
    ]
    return (
        select(*columns, *more)
        .join(RecordingSource, col(RecordingSource.id) == col(Recording.source_id))
        .outerjoin(RecordingTemplate, col(RecordingTemplate.id) == col(Recording.template_id))
    )


async def recording_page(
    session: AsyncSession, tenant_id: UUID, wanted: PageRequest, sought: Sought
) -> Sequence[RecordingSummary]:
    """The tenant's recordings, latest meeting first, and one more than the page shows."""
    query = _summaries().where(col(Recording.tenant_id) == tenant_id)
    if sought.status is not None:
        query = query.where(col(Recording.status) == sought.status)
    if sought.source_id is not None:
        query = query.where(col(Recording.source_id) == sought.source_id)
    if sought.template_id is not None:
        query = query.where(col(Recording.template_id) == sought.template_id)
    if sought.since is not None:
        query = query.where(col(Recording.started_at) >= sought.since)
    if sought.until is not None:
        query = query.where(col(Recording.started_at) < sought.until)
    if sought.topic:
        query = query.where(col(Recording.topic).icontains(sought.topic, autoescape=True))
    rows = await session.execute(newest_first(query, Recording, wanted, by="started_at"))
    return [RecordingSummary.model_validate(row) for row in rows]


async def counts(session: AsyncSession, tenant_id: UUID) -> dict[RecordingStatus, int]:
    """How many of the tenant's recordings are in each state."""
    counted = await session.execute(
        select(col(Recording.status), func.count())
        .where(col(Recording.tenant_id) == tenant_id)
        .group_by(col(Recording.status))
    )
    return {RecordingStatus(status): count for status, count in counted}


async def detail_of(session: AsyncSession, tenant_id: UUID, recording_id: UUID) -> RecordingOut:
    """One recording with everything; raises NotFound."""
    query = (
        _summaries(
            col(Recording.external_id),
            col(Recording.files),
            col(Recording.processing),
            col(Recording.artifacts),
            col(Recording.files_deleted_at),
            col(Recording.trace_id),
            col(Automation.name).label("automation_name"),
        )
        .outerjoin(Automation, col(Automation.id) == col(Recording.automation_id))
        .where(col(Recording.id) == recording_id, col(Recording.tenant_id) == tenant_id)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise _not_found()
    values = dict(row._mapping)
    files, artifacts = files_of(values["files"]), artifacts_of(values["artifacts"])
    steps = steps_of(
        RecordingStatus(row.status),
        is_under_way=row.is_under_way,
        settings=settings_of(row.processing) or ProcessingSettings(),
        files=files,
        artifacts=artifacts,
    )
    shown = [FileOut.model_validate(file) for file in files]
    stored = _stored(artifacts, below=layout.library(tenant_id) + "/")
    return RecordingOut(**values | {"files": shown, "artifacts": stored, "steps": steps})


async def process(
    session: AsyncSession,
    principal: Principal,
    recording_id: UUID,
    wanted: ProcessRequest,
    *,
    now: datetime,
) -> RecordingOut:
    """Have it processed, and announce it. What was stored of it before is used again.

    Raises NotFound, Unprocessable, or Conflict in a state that does not allow it.
    """
    recording = await owned(session, Recording, principal.tenant_id, recording_id)
    taking = await _taking(session, recording, wanted)
    trace = current_trace()
    started = await intake.start(
        await driver_connection(session),
        principal.tenant_id,
        [taking],
        automation_id=recording.automation_id if taking.template_id == recording.template_id else None,
        service=SERVICE,
        now=now,
        trace_id=trace.trace_id,
        traceparent=trace.traceparent,
        statuses=PROCESSABLE,
    )
    if not started:
        raise Conflict(_why_not(await detail_of(session, principal.tenant_id, recording_id), "processed"))
    return await detail_of(session, principal.tenant_id, recording_id)


async def skip(session: AsyncSession, principal: Principal, recording_id: UUID) -> RecordingOut:
    """Leave it alone, and let jobs do so too. Raises NotFound, or Conflict unless it is new."""
    await owned(session, Recording, principal.tenant_id, recording_id)
    skipped = await intake.skip(
        await driver_connection(session),
        principal.tenant_id,
        [recording_id],
        automation_id=None,
        reason=BY_A_MEMBER,
    )
    detail = await detail_of(session, principal.tenant_id, recording_id)
    if not skipped and detail.status_reason != BY_A_MEMBER:
        raise Conflict(_why_not(detail, "skipped"))
    return detail


def settings_of(document: Mapping[str, Any]) -> ProcessingSettings | None:
    """Stored settings; None when there are none, or none that can be read."""
    if not document:
        return None
    try:
        return ProcessingSettings.model_validate(document)
    except ValidationError:
        return None


def files_of(document: Any) -> tuple[RecordedFile, ...]:
    """The platform's files as they are stored; none when they cannot be read."""
    try:
        return _FILES.validate_python(document)
    except ValidationError:
        return ()


def artifacts_of(document: Any) -> Artifacts:
    """What has been stored so far; nothing when it cannot be read."""
    try:
        return Artifacts.model_validate(document)
    except ValidationError:
        return Artifacts()


def _not_found() -> NotFound:
    return NotFound("There is no such recording.")


async def _taking(session: AsyncSession, recording: Recording, wanted: ProcessRequest) -> Taking:
    """By which template and settings it is to be processed. Raises Unprocessable."""
    template_id, settings = recording.template_id, settings_of(recording.processing)
    reference = wanted.template_id
    if reference is None and settings is None and template_id is not None:
        reference = str(template_id)
    if reference is not None:
        connection = await driver_connection(session)
        known = await catalog.templates(connection, recording.tenant_id, [reference])
        if not known.usable:
            raise unacceptable([FieldError("/template_id", known.unusable[str(reference)])])
        template_id, settings = known.usable[0].id, known.usable[0].processing
    try:
        merged = (settings or ProcessingSettings()).overridden_by(wanted.processing)
    except ValidationError as error:
        raise unacceptable(field_errors(error, wanted.processing, "processing")) from error
    if wanted.processing and (faults := await check_processing(session, recording.tenant_id, merged)):
        raise unacceptable(faults)
    return Taking(recording.id, template_id, merged.as_document())


def _why_not(recording: RecordingOut, done: str) -> str:
    if recording.is_under_way:
        return f"The recording is being processed already, so that it cannot be {done} now."
    return f"The recording is {recording.status}; in this state it cannot be {done}."


def _stored(artifacts: Artifacts, *, below: str) -> ArtifactsOut:
    """`below` is what people need not see of the paths in Carillon's own store."""
    return ArtifactsOut(
        files=[
            StoredFileOut(id=file_id, **file.model_dump(include=set(StoredFileOut.model_fields)))
            for file_id, file in artifacts.files.items()
        ],
        missing=[
            MissingFileOut(id=file_id, kind=file.kind, code=file.code, message=file.message)
            for file_id, file in artifacts.missing.items()
        ],
        transcripts=[
            TranscriptOut(
                file_id=file_id,
                source=transcript.source,
                bytes=transcript.text.bytes,
                language=transcript.language,
                model=transcript.model,
            )
            for file_id, transcript in artifacts.transcripts.items()
        ],
        transcript_note=artifacts.transcript_note,
        uploads=[
            UploadOut(
                type=upload.type,
                files=[
                    SentFileOut(
                        name=name,
                        place=sent.place.removeprefix(below),
                        bytes=sent.bytes,
                        is_done=sent.is_done,
                    )
                    for name, sent in upload.files.items()
                ],
                completed_at=upload.completed_at,
            )
            for upload in artifacts.uploads.values()
        ],
    )
