"""What clients receive about deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.models import DeliveryStatus, DestinationType


class DeliveryAttemptOut(BaseModel):
    """One try of a delivery and the receiver's answer."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None = Field(description="`delivered`, `retry`, `failed` or `unknown`")
    status_code: int | None
    error_message: str | None


class DeliverySummary(BaseModel):
    """A delivery as lists show it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    run_id: UUID | None = Field(description="null for a test message")
    destination_id: UUID
    destination_name: str
    destination_type: DestinationType
    status: DeliveryStatus
    attempt: int
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    error_message: str | None
    trace_id: str | None
    created_at: datetime


class DeliveryOut(DeliverySummary):
    """A delivery: the message, where it goes, and how that went."""

    message: dict[str, Any] = Field(
        description="What was to be said. Of its `chart` and `files`: `filename`, `media_type` and `size`"
    )
    attempts: list[DeliveryAttemptOut] = Field(default_factory=list)
