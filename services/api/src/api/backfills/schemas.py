"""What clients send and receive about backfills."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.fields import Input, Moment
from common.models import BackfillStatus


class BackfillRequest(Input):
    """A past range."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={"examples": [{"from": "2026-02-01T00:00:00Z", "to": "2026-02-28T23:59:59Z"}]},
    )

    first: Moment = Field(alias="from", description="From the first slot at or after this instant")
    last: Moment = Field(
        alias="to",
        description="To the last slot at or before this instant; undecided slots are left to the schedule",
    )


class BackfillProgress(BaseModel):
    """How many of a backfill's runs are in which state."""

    waiting: int = 0
    queued: int = 0
    running: int = 0
    retrying: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0


class BackfillOut(BaseModel):
    """Past slots that are run after all, one at a time."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "0198c0de-0000-7000-8000-000000000007",
                    "tenant_id": "0198c0de-0000-7000-8000-000000000002",
                    "automation_id": "0198c0de-0000-7000-8000-000000000003",
                    "status": "active",
                    "first_slot": "2026-02-01T08:30:00Z",
                    "last_slot": "2026-02-28T08:30:00Z",
                    "runs": 26,
                    "progress": {"waiting": 20, "running": 1, "completed": 5},
                    "created_at": "2026-03-01T10:00:00Z",
                    "ended_at": None,
                }
            ]
        },
    )

    id: UUID
    tenant_id: UUID
    automation_id: UUID
    status: BackfillStatus
    first_slot: datetime
    last_slot: datetime
    runs: int = Field(description="How many slots had no run")
    progress: BackfillProgress = Field(description="What has become of those runs so far")
    created_at: datetime
    ended_at: datetime | None
