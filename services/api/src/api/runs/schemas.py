"""What clients receive about runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.deliveries.schemas import DeliveryOut
from common.models import Lane, RunStatus, Trigger

ONLY_TRIGGER = "Only those asked for in this way; dry runs are left out unless asked for"


class RunSummary(BaseModel):
    """A run as lists show it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    automation_id: UUID
    automation_name: str
    trigger: Trigger
    scheduled_for: datetime | None = Field(description="The slot it is for; null when triggered by hand")
    as_of: datetime | None = Field(description="The instant a run without a slot works for")
    expires_at: datetime | None = Field(description="It is not started later")
    backfill_id: UUID | None
    status: RunStatus
    lane: Lane
    attempt: int = Field(description="The number of the present or last attempt; 0 before the first")
    max_attempts: int
    cancel_requested: bool
    available_at: datetime = Field(description="When it may be claimed next")
    started_at: datetime | None = Field(description="When its first attempt began")
    completed_at: datetime | None
    error_code: str | None
    error_message: str | None
    trace_id: str | None = Field(description="The trace from dispatch to delivery")
    created_at: datetime = Field(description="When it was dispatched")


class AttemptOut(BaseModel):
    """One try of a run."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error_code: str | None
    error_message: str | None


class RunDetail(RunSummary):
    """A run with everything that happened to it."""

    result: dict[str, Any] | None = Field(description="Figures the automation kept")
    logs: list[dict[str, Any]] = Field(description="What it did, in order")
    waits_because: str | None = Field(
        description="Why it has not started yet; null when it waits for nothing"
    )
    attempts: list[AttemptOut]
    deliveries: list[DeliveryOut]
