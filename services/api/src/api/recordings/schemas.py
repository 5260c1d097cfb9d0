"""What clients send and receive about recordings."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.fields import Input
from api.recordings.steps import StepOut
from common.automation_config.recording_sync import Overrides, TemplateId
from common.models import RecordingStatus
from common.recordings.artifacts import TranscriptSource
from common.recordings.settings import FileKind


class RecordingSummary(BaseModel):
    """A recording as lists show it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    source_id: UUID
    source_number: int
    source_name: str
    meeting_id: str = Field(description="The platform's number, which all occurrences of a meeting share")
    topic: str
    host: str
    started_at: datetime
    timezone: str = Field(description="The meeting's own zone")
    duration_minutes: int
    total_bytes: int
    is_blank: bool = Field(description="Nothing was recorded; jobs usually leave it out")
    status: RecordingStatus
    status_reason: str | None = Field(description="Why it was skipped")
    is_under_way: bool = Field(description="It is being processed, or waits to be")
    available_at: datetime | None = Field(
        description="When the next attempt may begin, while it waits for one"
    )
    attempt: int = Field(description="The number of the present or last attempt; 0 before the first")
    error_code: str | None
    error_message: str | None = Field(description="What went wrong last, unless it has gone on since")
    template_id: UUID | None
    template_number: int | None
    template_name: str | None = Field(description="The template that took it")
    automation_id: UUID | None = Field(description="The recording job that took it")
    completed_at: datetime | None
    created_at: datetime = Field(description="When Carillon learnt of it")
    updated_at: datetime


class FileOut(BaseModel):
    """A file as its platform has it."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    kind: FileKind
    view: str = Field(description="The platform's own name of what is seen or heard")
    extension: str
    bytes: int
    status: str = Field(description="`processing`: the platform is still making it")
    starts_at: datetime | None
    ends_at: datetime | None


class StoredFileOut(BaseModel):
    """A file that was downloaded."""

    id: str
    kind: FileKind
    extension: str
    bytes: int
    sha256: str
    announced_bytes: int = Field(
        description="The size in the platform's list, which may differ by some bytes; 0 when it told none"
    )
    is_wanted: bool = Field(description="False: it was only taken to make a transcript of")


class MissingFileOut(BaseModel):
    """A file that could not be downloaded. The others are delivered without it."""

    id: str
    kind: FileKind
    code: str
    message: str


class TranscriptOut(BaseModel):
    """What was said in one file."""

    file_id: str
    source: TranscriptSource
    bytes: int = Field(description="Of the plain text")
    language: str | None
    model: str | None


class SentFileOut(BaseModel):
    """A file given to a target."""

    name: str
    place: str = Field(description="The path or message id it has there")
    bytes: int
    is_done: bool


class UploadOut(BaseModel):
    """What one target has been given."""

    type: str
    files: list[SentFileOut]
    completed_at: datetime | None


class ArtifactsOut(BaseModel):
    """What has been stored and sent of a recording so far."""

    files: list[StoredFileOut]
    missing: list[MissingFileOut]
    transcripts: list[TranscriptOut]
    transcript_note: str | None = Field(description="Why there is no transcript")
    uploads: list[UploadOut]


class RecordingOut(RecordingSummary):
    """A recording with its files, and everything that was done with it."""

    external_id: str = Field(description="The platform's own id of this occurrence")
    automation_name: str | None
    steps: list[StepOut]
    files: list[FileOut]
    processing: dict[str, Any] = Field(
        description="What is done with it, as was decided when it was taken; empty before"
    )
    artifacts: ArtifactsOut
    files_deleted_at: datetime | None = Field(description="When what was stored of it was cleaned up")
    trace_id: str | None = Field(description="The trace of its processing")


class ProcessRequest(Input):
    """How to process a recording, if not as was decided before."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"template_id": 12, "processing": {"skip_transcription": True}}]}
    )

    template_id: TemplateId | None = Field(
        default=None,
        description="The template to process it by, by number or id; without it, the present one",
    )
    processing: Overrides = Field(
        default_factory=dict, description="Settings in the place of those of the template"
    )
