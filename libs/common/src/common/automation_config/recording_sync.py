"""Configuration of `recording_sync`: the recording jobs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from common.automation_config.values import unique
from common.models.states import RecordingStatus
from common.recordings.settings import check_overrides
from common.strict import Flag

MAX_TEMPLATES = 100
MAX_SYNC_DAYS = 30
TemplateId = Annotated[int, Field(strict=True, ge=1)] | Annotated[str, Field(min_length=1, max_length=100)]
Overrides = Annotated[dict[str, Any], AfterValidator(check_overrides)]
"""Settings that override those of a template: any part of `common.recordings.settings.ProcessingSettings`."""


class SyncWindow(BaseModel):
    """How far back recordings are looked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sync_days: int = Field(
        2,
        strict=True,
        ge=1,
        le=MAX_SYNC_DAYS,
        description="Days of the job's zone before the day of the run, which is looked at too",
    )


class RecordingFilters(BaseModel):
    """Which of the recordings found are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Annotated[tuple[RecordingStatus, ...], AfterValidator(unique)] = Field(
        (RecordingStatus.INITIALIZED,),
        min_length=1,
        description="Those in one of these states; only INITIALIZED, SKIPPED and FAILED can be started",
    )
    exclude_blank: Flag = Field(True, description="Leave out recordings without content")


class RecordingSyncConfig(BaseModel):
    """A recording job: find the new recordings, match them to templates, and process what fits."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "description": "Lectures of the spring term",
                    "template_ids": [12, 14],
                    "sync_config": {"sync_days": 2},
                    "filters": {"status": ["INITIALIZED"], "exclude_blank": True},
                    "processing_config": {"transcription": True},
                }
            ]
        },
    )

    description: str = Field("", max_length=2_000, description="What the job is for")
    template_ids: Annotated[tuple[TemplateId, ...], AfterValidator(unique)] = Field(
        min_length=1, max_length=MAX_TEMPLATES, description="The templates recordings are matched to"
    )
    sync_config: SyncWindow = Field(SyncWindow(), description="How far back to look")
    filters: RecordingFilters = Field(RecordingFilters(), description="What to take of what is found")
    processing_config: Overrides = Field(
        default_factory=dict, description="Settings that override those of the matched template"
    )
