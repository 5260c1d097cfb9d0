"""What clients receive about slots."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.slots.timeline import SlotState
from common.models import ScheduleChange, Trigger


class SlotOut(BaseModel):
    """One slot, what became of it, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "slot": "2026-03-01T09:00:00Z",
                    "last_slot": None,
                    "slots": 1,
                    "fire_at": "2026-03-01T09:00:00Z",
                    "state": "completed",
                    "reason": None,
                    "detail": None,
                    "on_schedule": True,
                    "run_id": "0198c0de-0000-7000-8000-000000000005",
                    "trigger": "schedule",
                    "started_at": "2026-03-01T09:03:12.480000Z",
                    "completed_at": "2026-03-01T09:03:15Z",
                    "lag_seconds": 192.48,
                    "late_because": "no leader for 3 minutes 12 seconds",
                },
                {
                    "slot": "2026-03-01T10:00:00Z",
                    "last_slot": None,
                    "slots": 1,
                    "fire_at": None,
                    "state": "skipped",
                    "reason": "overlap",
                    "detail": "the previous run had not finished",
                    "on_schedule": True,
                    "run_id": None,
                    "trigger": None,
                    "started_at": None,
                    "completed_at": None,
                    "lag_seconds": None,
                    "late_because": None,
                },
            ]
        }
    )

    slot: datetime = Field(description="The instant the schedule names, in UTC")
    last_slot: datetime | None = Field(
        description="The last of several consecutive slots of an earlier schedule that share their fate"
    )
    slots: int = Field(description="How many slots this is about")
    fire_at: datetime | None = Field(description="When it was or is to start; jitter or a window delay it")
    state: SlotState = Field(
        description="The state of its run; without one `skipped`, `due` (still to come) `overdue` "
        "(passed and not decided yet) or `forgotten` (its record has been cleaned up)"
    )
    reason: str | None = Field(
        description="Why: `overlap`, `paused`, `expired`, `excluded`, `catch_up_latest`, `catch_up_none`, "
        "`catch_up_window`, `skipped_by_request`, `schedule_edited`, `moved`, `ended`, `no_leader`, … or the "
        "run's error code"
    )
    detail: str | None = Field(description="The same in words")
    on_schedule: bool = Field(description="Whether today's schedule names it; else it was edited since")
    run_id: UUID | None
    trigger: Trigger | None
    started_at: datetime | None
    completed_at: datetime | None
    lag_seconds: float | None = Field(description="From the slot to the start of its run")
    late_because: str | None = Field(description="Why it was dispatched late, where no scheduler led")


class SchedulePeriodOut(BaseModel):
    """A schedule the automation has had, and which slots it named."""

    schedule_config: dict[str, Any]
    schedule_text: str = Field(description="The schedule in words")
    change: ScheduleChange = Field(
        description="What began it: `created`, `edited`, or `moved` by another tz database"
    )
    changed_at: datetime
    user_id: UUID | None = Field(description="Who changed it; null where Carillon did")
    begins_after: datetime = Field(description="It names the slots later than this instant")
    ends_at: datetime | None = Field(description="Up to this one; null: it holds")


class SlotPage(BaseModel):
    """Slots in order, the earliest first."""

    items: list[SlotOut]
    next: str | None = Field(default=None, description="The rest of the range; absent when this is all")
