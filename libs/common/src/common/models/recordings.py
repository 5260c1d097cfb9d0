"""Recordings: where they come from, which template takes them, and how far they have come."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from common.models.columns import (
    Timestamp,
    count_column,
    instant,
    json_column,
    now_column,
    pk,
    ref,
    sealed_column,
    states,
    text_column,
)
from common.models.states import (
    RecordingStatus,
    SourceStatus,
)


class RecordingSource(SQLModel, table=True):
    """Whose recordings are taken: one person's on a connected account.

    `external_user` is the person on the platform: `me` for an account connected by its owner. `number` is how
    people and rules name it, counted within the tenant.
    """

    __tablename__ = "recording_source"
    __table_args__ = (
        states("status", SourceStatus),
        UniqueConstraint("tenant_id", "number"),
        Index("ix_recording_source_connection_id", "connection_id"),
    )
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    number: int = Field(default=1)
    connection_id: UUID = ref("connection.id")
    name: str = text_column()
    external_user: str = text_column("me")
    status: str = text_column("active")
    status_reason: str | None = text_column(nullable=True)
    last_synced_at: datetime | None = instant()
    last_error: str | None = text_column(nullable=True)
    created_at: datetime = now_column()
    updated_at: datetime = now_column()


class RecordingTemplate(SQLModel, table=True):
    """Which recordings belong together, and what is done with them.

    `matching_rules` and `processing` are read by `common.recordings`. `number` as in RecordingSource.
    """

    __tablename__ = "recording_template"
    __table_args__ = (UniqueConstraint("tenant_id", "number"),)
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    number: int = Field(default=1)
    name: str = text_column()
    description: str = text_column("")
    is_active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    matching_rules: dict[str, Any] = json_column()
    processing: dict[str, Any] = json_column()
    created_at: datetime = now_column()
    updated_at: datetime = now_column()


class Recording(SQLModel, table=True):
    """One recorded meeting, and the state of its processing.

    `external_id` is the platform's for this occurrence. `files` are the platform's files, without a token.
    `processing` is what the template and its job decided when it was taken; `artifacts` is what has been
    stored so far, so that a step that is done again finds its own work. While it is being processed,
    `worker`, `attempt` and `lease_expires_at` say by whom and until when, and every write is conditional on
    the first two.
    `uncounted` of the attempts do not count as failures of the present step. `available_at` is when the
    next step may be taken; NULL when there is none to take.
    """

    __tablename__ = "recording"
    __table_args__ = (
        states("status", RecordingStatus),
        UniqueConstraint("source_id", "external_id"),
        Index("ix_recording_tenant_id_started_at", "tenant_id", "started_at", "id"),
        Index("ix_recording_tenant_id_status", "tenant_id", "status", "started_at"),
        Index("ix_recording_template_id", "template_id", postgresql_where=text("template_id IS NOT NULL")),
        Index(
            "ix_recording_automation_id", "automation_id", postgresql_where=text("automation_id IS NOT NULL")
        ),
        Index(
            "ix_recording_available",
            "available_at",
            postgresql_where=text("available_at IS NOT NULL AND worker IS NULL"),
        ),
        Index("ix_recording_leases", "lease_expires_at", postgresql_where=text("worker IS NOT NULL")),
        Index(
            "ix_recording_download_token_expires_at",
            "download_token_expires_at",
            postgresql_where=text("download_token_sealed IS NOT NULL"),
        ),
        Index(
            "ix_recording_stored",
            "completed_at",
            postgresql_where=text("completed_at IS NOT NULL AND files_deleted_at IS NULL"),
        ),
    )
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    source_id: UUID = ref("recording_source.id")
    external_id: str = text_column()
    meeting_id: str = text_column("")
    topic: str = text_column("")
    host: str = text_column("")
    started_at: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    timezone: str = text_column("UTC")
    duration_minutes: int = count_column()
    total_bytes: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0"))
    )
    is_blank: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    status: str = text_column("INITIALIZED")
    status_reason: str | None = text_column(nullable=True)
    error_code: str | None = text_column(nullable=True)
    error_message: str | None = text_column(nullable=True)
    template_id: UUID | None = ref("recording_template.id", nullable=True, ondelete="SET NULL")
    automation_id: UUID | None = ref("automation.id", nullable=True, ondelete="SET NULL")
    files: list[dict[str, Any]] = json_column("[]")
    processing: dict[str, Any] = json_column()
    artifacts: dict[str, Any] = json_column()
    download_token_sealed: bytes | None = sealed_column()
    download_token_expires_at: datetime | None = instant()
    attempt: int = count_column()
    uncounted: int = count_column()
    worker: str | None = text_column(nullable=True)
    lease_expires_at: datetime | None = instant()
    stopped_workers: int = count_column()
    available_at: datetime | None = instant()
    completed_at: datetime | None = instant()
    files_deleted_at: datetime | None = instant()
    trace_id: str | None = text_column(nullable=True)
    traceparent: str | None = text_column(nullable=True)
    created_at: datetime = now_column()
    updated_at: datetime = now_column()
