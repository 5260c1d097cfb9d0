"""What clients send and receive about recording jobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.automations.schemas import SCHEDULE, SCHEDULE_EXAMPLE
from api.fields import UNSET, Input, Name, Patch
from common.automation_config.recording_sync import (
    MAX_TEMPLATES,
    RecordingFilters,
    RecordingSyncConfig,
    SyncWindow,
    TemplateId,
)
from common.models import AutomationStatus
from common.strict import Flag

Description = Annotated[str, Field(max_length=2_000, description="What the job is for")]
TemplateIds = Annotated[
    list[TemplateId],
    Field(min_length=1, max_length=MAX_TEMPLATES, description="The templates recordings are matched to"),
]
PROCESSING = "Settings that override those of the matched template"
ACTIVE = "Whether it runs by its schedule"

CONFIG_FIELDS = frozenset(RecordingSyncConfig.model_fields)
"""The fields of a job that its configuration holds."""


class JobCreate(Input):
    """A new recording job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Spring lectures",
                    "template_ids": [12, 14],
                    "schedule": SCHEDULE_EXAMPLE,
                    "sync_config": {"sync_days": 2},
                    "filters": {"status": ["INITIALIZED"], "exclude_blank": True},
                    "processing_config": {"transcription": True},
                }
            ]
        }
    )

    name: Name = Field(description="Yours alone: another job of yours has another name")
    description: Description = ""
    template_ids: TemplateIds
    schedule: dict[str, Any] = Field(description=SCHEDULE)
    sync_config: SyncWindow = SyncWindow()
    filters: RecordingFilters = RecordingFilters()
    processing_config: dict[str, Any] = Field(default_factory=dict, description=PROCESSING)
    is_active: Flag = Field(default=True, description=ACTIVE)


class JobPatch(Patch):
    """Changes to a recording job. Each field given replaces the old one as a whole."""

    name: Name = UNSET
    description: Description = UNSET
    template_ids: TemplateIds = UNSET
    schedule: dict[str, Any] = Field(default=UNSET, description=SCHEDULE)
    sync_config: SyncWindow = UNSET
    filters: RecordingFilters = UNSET
    processing_config: dict[str, Any] = Field(default=UNSET, description=PROCESSING)
    is_active: Flag = Field(default=UNSET, description=ACTIVE)


class JobOut(BaseModel):
    """A recording job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0198c0de-0000-7000-8000-000000000003",
                    "name": "Spring lectures",
                    "description": "",
                    "is_active": True,
                    "status": "active",
                    "status_reason": None,
                    "template_ids": [12, 14],
                    "schedule": SCHEDULE_EXAMPLE,
                    "schedule_text": "Every day at 09:30 (Europe/Berlin)",
                    "sync_config": {"sync_days": 2},
                    "filters": {"status": ["INITIALIZED"], "exclude_blank": True},
                    "processing_config": {"transcription": True},
                    "last_run_at": "2026-03-01T08:30:00Z",
                    "next_run_at": "2026-03-02T08:30:00Z",
                    "run_count": 41,
                    "error_count": 1,
                    "created_at": "2026-01-19T10:00:00Z",
                    "updated_at": "2026-01-19T10:00:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    description: str
    is_active: bool
    status: AutomationStatus = Field(description="`error`: Carillon stopped it, `status_reason` says why")
    status_reason: str | None
    template_ids: list[TemplateId]
    schedule: dict[str, Any]
    schedule_text: str = Field(description="The schedule in words")
    sync_config: SyncWindow
    filters: RecordingFilters
    processing_config: dict[str, Any]
    last_run_at: datetime | None = Field(description="When a run was last dispatched")
    next_run_at: datetime | None = Field(description="When it runs next, in UTC; null unless it is active")
    run_count: int
    error_count: int
    created_at: datetime
    updated_at: datetime


def config_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The stored configuration of a job with these fields."""
    given = {name: value for name, value in values.items() if name in CONFIG_FIELDS}
    return RecordingSyncConfig.model_validate(given).model_dump(mode="json")
