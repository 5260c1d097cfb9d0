"""Destinations and what is on its way to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    text,
)
from sqlmodel import Field, SQLModel

from common.models.columns import (
    count_column,
    instant,
    json_column,
    now_column,
    pk,
    ref,
    states,
    text_column,
)
from common.models.states import (
    DeliveryStatus,
    DestinationStatus,
    DestinationType,
)


class Destination(SQLModel, table=True):
    """A Telegram chat or a webhook.

    `config` holds what may be shown (`chat_id`, `message_thread_id`, `url`); `secret_sealed` the bot token or
    the signing secret.
    """

    __tablename__ = "destination"
    __table_args__ = (
        states("type", DestinationType),
        states("status", DestinationStatus),
        Index("ix_destination_tenant_id_created_at", "tenant_id", "created_at"),
    )
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    name: str = text_column()
    type: str = text_column()
    status: str = text_column("active")
    status_reason: str | None = text_column(nullable=True)
    config: dict[str, Any] = json_column()
    secret_sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    quiet_hours: dict[str, Any] | None = json_column(nullable=True)
    created_at: datetime = now_column()
    updated_at: datetime = now_column()


class Delivery(SQLModel, table=True):
    """One message on its way to one destination.

    `message` is a `common.messages.Message`; `progress` is the channel's own note of the parts already
    accepted, so that a retry does not send them again. `uncounted` of the attempts do not use
    up the retry schedule: they were handed back unsent, or put off by the receiver's limit.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        states("status", DeliveryStatus),
        Index("ix_delivery_run_id", "run_id"),
        Index("ix_delivery_tenant_id_created_at", "tenant_id", "created_at"),
        Index("ix_delivery_destination_id_created_at", "destination_id", "created_at"),
        Index(
            "ix_delivery_due", "next_attempt_at", postgresql_where=text("status IN ('queued', 'retrying')")
        ),
        Index("ix_delivery_leases", "lease_expires_at", postgresql_where=text("status = 'sending'")),
    )
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    run_id: UUID | None = ref("automation_run.id", nullable=True)
    destination_id: UUID = ref("destination.id")
    status: str = text_column("queued")
    message: dict[str, Any] = json_column()
    progress: dict[str, Any] = json_column()
    attempt: int = count_column()
    uncounted: int = count_column()
    worker: str | None = text_column(nullable=True)
    lease_expires_at: datetime | None = instant()
    stopped_workers: int = count_column()
    next_attempt_at: datetime | None = now_column(nullable=True)
    delivered_at: datetime | None = instant()
    error_message: str | None = text_column(nullable=True)
    trace_id: str | None = text_column(nullable=True)
    traceparent: str | None = text_column(nullable=True)
    created_at: datetime = now_column()


class DeliveryAttempt(SQLModel, table=True):
    """One try of a delivery and the receiver's answer. `outcome`: delivered, retry, failed or unknown."""

    __tablename__ = "delivery_attempt"
    delivery_id: UUID = Field(
        sa_column=Column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    )
    number: int = Field(primary_key=True)
    started_at: datetime = now_column()
    ended_at: datetime | None = instant()
    outcome: str | None = text_column(nullable=True)
    status_code: int | None = Field(default=None)
    error_message: str | None = text_column(nullable=True)
