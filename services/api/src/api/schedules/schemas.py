"""What clients send and receive to try a schedule out."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.automations.schemas import SCHEDULE, SCHEDULE_EXAMPLE, ScheduleAdvice
from api.fields import Input, Moment
from common.strict import WholeNumber


class SchedulePreviewRequest(Input):
    """A schedule to try out."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {"schedule": SCHEDULE_EXAMPLE},
                {
                    "schedule": {"type": "cron", "expression": "30 2 * * 1-5", "timezone": "Europe/Berlin"},
                    "from": "2026-03-27T00:00:00Z",
                    "count": 3,
                },
            ]
        },
    )

    schedule: dict[str, Any] = Field(description=SCHEDULE)
    after: Moment | None = Field(
        default=None, alias="from", description="Look ahead from this instant; now by default"
    )
    count: WholeNumber = Field(default=10, ge=1, le=50, description="How many runs to look ahead")
    automation_id: UUID | None = Field(
        default=None, description="Whose schedule it is to be: its place in a window, its age and its runs"
    )


class UpcomingRun(BaseModel):
    """One run to come."""

    slot: datetime = Field(description="The instant the schedule names, in UTC")
    at: datetime = Field(description="When it starts, in UTC; jitter or a window may delay it")
    local: datetime = Field(
        description="When it starts, on the clock of the schedule's zone, with its offset"
    )


class SchedulePreviewOut(BaseModel):
    """What a schedule means."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "description": "At 02:30, Monday to Friday (Europe/Berlin)",
                    "cron": "30 2 * * 1-5",
                    "timezone": "Europe/Berlin",
                    "next_runs": [
                        {
                            "slot": "2026-03-27T01:30:00Z",
                            "at": "2026-03-27T01:30:00Z",
                            "local": "2026-03-27T02:30:00+01:00",
                        }
                    ],
                    "warnings": [
                        {
                            "code": "collisions",
                            "message": "7 other automations are due in the same minute.",
                            "at": "2026-03-27T01:30:00Z",
                        }
                    ],
                    "collisions": 7,
                }
            ]
        }
    )

    description: str = Field(description="The schedule in words")
    cron: str | None = Field(description="The same as a cron expression; null for what cron cannot say")
    timezone: str
    next_runs: list[UpcomingRun]
    warnings: list[ScheduleAdvice] = Field(
        description="What may surprise: `never_fires`, `dst_gap`, `dst_overlap`, `every_minute`, "
        "`uneven_step`, `day_and_weekday`, `interval_drifts`, `zone_omitted`, `runs_overlap`, `quota`, "
        "`collisions` (from five others in one minute), …"
    )
    collisions: int = Field(
        description="The most of the team's other automations due in the minute of one of the next runs; "
        "they share the platforms' rate limits"
    )
