"""Teams, their people and their keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

from common.models.columns import (
    Timestamp,
    instant,
    json_column,
    now_column,
    pk,
    plan_column,
    ref,
    text_column,
)


class Plan(SQLModel, table=True):
    """The limits of a plan; NULL is unlimited. `api.quotas.limits` says what each means."""

    __tablename__ = "plan"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    max_automations: int | None = Field(default=None)
    min_interval_minutes: float | None = Field(default=None)
    max_automation_jobs: int | None = Field(default=None)
    min_automation_interval_hours: float | None = Field(default=None)
    max_concurrent_runs: int | None = Field(default=None)
    max_api_keys: int | None = Field(default=None)
    max_destinations: int | None = Field(default=None)
    max_connections: int | None = Field(default=None)
    max_templates: int | None = Field(default=None)


class Tenant(SQLModel, table=True):
    """A team. Everything else belongs to exactly one.

    `quota` overrides the plan's limits, null meaning unlimited. `alerts_destination_id` is told what the
    owner should know; without it the automation's own destination is.
    """

    __tablename__ = "tenant"
    id: UUID = pk()
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    plan: str = Field(default="standard", sa_column=plan_column())
    quota: dict[str, Any] = json_column()
    alerts_destination_id: UUID | None = Field(default=None)
    created_at: datetime = now_column()


class UserAccount(SQLModel, table=True):
    """A person of a team."""

    __tablename__ = "user_account"
    __table_args__ = (
        UniqueConstraint("tenant_id", "email"),
        CheckConstraint("role IN ('owner', 'member')", name="role"),
    )
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    email: str = text_column()
    name: str = text_column("")
    role: str = text_column("member")
    quota: dict[str, Any] = json_column()
    created_at: datetime = now_column()


class ApiKey(SQLModel, table=True):
    """A credential of a person. Only its hash is kept; `hint` is its first characters, to tell keys apart."""

    __tablename__ = "api_key"
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id", index=True)
    user_id: UUID = ref("user_account.id", index=True)
    name: str = text_column("")
    hint: str = text_column()
    key_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    created_at: datetime = now_column()
    last_used_at: datetime | None = instant()
    expires_at: datetime | None = instant()


class ConsoleSession(SQLModel, table=True):
    """A browser that is signed in to the console with a key, until it signs out or the session expires."""

    __tablename__ = "console_session"
    __table_args__ = (Index("ix_console_session_expires_at", "expires_at"),)
    id: UUID = pk()
    api_key_id: UUID = ref("api_key.id", index=True)
    created_at: datetime = now_column()
    expires_at: datetime = Field(sa_column=Column(Timestamp, nullable=False))


class IdempotencyKey(SQLModel, table=True):
    """A POST that was sent with an `Idempotency-Key`, and what it was answered with.

    The answer is sealed, because it may hold a secret that is shown once; NULL while the request is going on.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (
        UniqueConstraint("user_id", "key"),
        Index("ix_idempotency_key_user_id_created_at", "user_id", "created_at"),
    )
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id", index=True)
    user_id: UUID = ref("user_account.id")
    key: str = text_column()
    request_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: int | None = Field(default=None)
    headers: dict[str, Any] = json_column()
    body_sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    created_at: datetime = now_column()
