"""What was said in a recording, read from the file store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.problems import BadParameter, Unavailable
from api.recordings.service import artifacts_of
from common.errors import NotFound
from common.models import Recording
from common.recordings import layout
from common.recordings.artifacts import StoredFile
from common.recordings.store import NotStored, RecordingStore, StoreFault

MAX_BYTES = 8 * 1024 * 1024
"""Of one file: a day of speech has a tenth of it."""


class TranscriptFormat(StrEnum):
    """`text`: what was said; `vtt`: with the times (WebVTT)."""

    TEXT = "text"
    VTT = "vtt"

    @property
    def media_type(self) -> str:
        """As an answer's content type."""
        return {"text": "text/plain", "vtt": "text/vtt"}[self.value] + "; charset=utf-8"


@dataclass(frozen=True, slots=True)
class StoredTranscript:
    """Where a recording's transcripts are, in the order it was recorded."""

    recording_id: UUID
    started_at: datetime
    timezone: str
    files: Sequence[StoredFile]

    def name(self, form: TranscriptFormat) -> str:
        """What it is called as a file."""
        extension = "txt" if form is TranscriptFormat.TEXT else "vtt"
        return layout.file_name(
            self.recording_id, self.started_at, self.timezone, part="transcript", extension=extension
        )


async def find(
    session: AsyncSession,
    tenant_id: UUID,
    recording_id: UUID,
    form: TranscriptFormat,
    *,
    file_id: str | None = None,
) -> StoredTranscript:
    """The transcript of a recording, or of one of its files. Raises NotFound and BadParameter."""
    row = (
        await session.execute(
            select(
                col(Recording.artifacts),
                col(Recording.started_at),
                col(Recording.timezone),
                col(Recording.files_deleted_at),
            ).where(col(Recording.id) == recording_id, col(Recording.tenant_id) == tenant_id)
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such recording.")
    artifacts = artifacts_of(row.artifacts)
    transcripts = [
        (key, transcript)
        for key, transcript in sorted(
            artifacts.transcripts.items(),
            key=lambda each: (
                str(artifacts.files[each[0]].starts_at or "") if each[0] in artifacts.files else ""
            ),
        )
        if file_id is None or key == file_id
    ]
    if not transcripts or row.files_deleted_at is not None:
        raise NotFound("There is no transcript (any more).")
    if form is TranscriptFormat.VTT and len(transcripts) > 1:
        names = ", ".join(key for key, _ in transcripts)
        raise BadParameter("file_id", f"the times begin at zero in each file; choose one of {names}")
    files = [each.text if form is TranscriptFormat.TEXT else each.vtt for _, each in transcripts]
    below = layout.folder(tenant_id, recording_id) + "/"
    if not all(file.path.startswith(below) for file in files):
        raise NotFound("There is no transcript (any more).")
    return StoredTranscript(recording_id, row.started_at, row.timezone, files)


async def read(store: RecordingStore | None, transcript: StoredTranscript) -> bytes:
    """What it says. Raises NotFound, and Unavailable when this server cannot read the store."""
    if store is None:
        raise Unavailable("This server has no access to the files of recordings (RECORDING_STORE_URL).")
    parts: list[bytes] = []
    for file in transcript.files:
        try:
            content = await store.read_bytes(file.path, limit=MAX_BYTES)
        except NotStored as error:
            raise NotFound("The transcript is not in the store any more.") from error
        except StoreFault as error:
            raise Unavailable("The files of recordings cannot be read now; try again.") from error
        if content is None:
            raise NotFound("The transcript is too large to be shown; take it from where it was uploaded.")
        parts.append(content)
    return b"\n\n".join(part.strip() for part in parts) + b"\n"
