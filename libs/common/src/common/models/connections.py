"""Accounts on platforms: their tokens, how those were renewed, and how full their limits are."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    Index,
    LargeBinary,
    Text,
    text,
)
from sqlmodel import Field, SQLModel

from common.models.columns import (
    Timestamp,
    instant,
    json_column,
    named,
    now_column,
    pk,
    ref,
    sealed_column,
    states,
    text_column,
)
from common.models.states import (
    ConnectionStatus,
    RefreshOutcome,
)


class Connection(SQLModel, table=True):
    """A tenant's authorised account on a platform, or a store.

    `*_sealed` open with `common.secrets.crypto`, each as the column it is named after: `token`,
    `refresh_token`, `credentials` (server-to-server), `webhook_secret`. A worn-out secret is wiped, so all
    may be NULL.

    `external_id` is the account's own id on the platform: connecting it again finds this row. `accounts` is
    what it was found to reach. `token_version` grows with every new token, so that a report of a dead token
    can say which. `refresh_at` is when the token should be renewed, `refresh_requested_at` when the leader
    last
    asked for it. `problem` is what the platform last refused it, such as a missing permission.
    """

    __tablename__ = "connection"
    __table_args__ = (
        named("platform"),
        named("kind"),
        states("status", ConnectionStatus),
        Index("ix_connection_tenant_id_platform", "tenant_id", "platform"),
        Index(
            "uq_connection_account",
            "tenant_id",
            "kind",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index(
            "ix_connection_refresh_at",
            "refresh_at",
            postgresql_where=text("status = 'active' AND refresh_at IS NOT NULL"),
        ),
    )
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    platform: str = text_column()
    kind: str = text_column()
    name: str = text_column()
    status: str = text_column("active")
    status_reason: str | None = text_column(nullable=True)
    problem: str | None = text_column(nullable=True)
    external_id: str | None = text_column(nullable=True)
    external_name: str | None = text_column(nullable=True)
    accounts: list[dict[str, Any]] = json_column("[]")
    settings: dict[str, Any] = json_column()
    scopes: list[str] = json_column("[]")
    token_sealed: bytes | None = sealed_column()
    refresh_token_sealed: bytes | None = sealed_column()
    credentials_sealed: bytes | None = sealed_column()
    webhook_secret_sealed: bytes | None = sealed_column()
    token_version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    expires_at: datetime | None = instant()
    refresh_expires_at: datetime | None = instant()
    refresh_at: datetime | None = instant()
    refresh_requested_at: datetime | None = instant()
    refreshed_at: datetime | None = instant()
    checked_at: datetime | None = instant()
    reauth_required_at: datetime | None = instant()
    created_at: datetime = now_column()
    updated_at: datetime = now_column()


class TokenRefresh(SQLModel, table=True):
    """One renewal of a connection's token. It is written before the request is sent: one that never ended
    tells the next refresher that an answer, and with it a rotated refresh token, may have been lost."""

    __tablename__ = "token_refresh"
    __table_args__ = (
        states("outcome", RefreshOutcome),
        Index("ix_token_refresh_connection_id_started_at", "connection_id", "started_at"),
    )
    id: UUID = pk()
    connection_id: UUID = ref("connection.id")
    worker: str = text_column()
    token_version: int = Field(default=1)
    started_at: datetime = now_column()
    ended_at: datetime | None = instant()
    outcome: str | None = text_column(nullable=True)
    error_code: str | None = text_column(nullable=True)
    error_message: str | None = text_column(nullable=True)


class OAuthAttempt(SQLModel, table=True):
    """A person who was sent to a platform to agree, until they come back. Only the hash of `state` is kept;
    taking the row is what makes it work once. `connection_id`: the one that is being connected again."""

    __tablename__ = "oauth_attempt"
    __table_args__ = (named("kind"), Index("ix_oauth_attempt_expires_at", "expires_at"))
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id", index=True)
    user_id: UUID = ref("user_account.id", index=True)
    connection_id: UUID | None = ref("connection.id", nullable=True, index=True)
    kind: str = text_column()
    name: str = text_column("")
    state_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    verifier_sealed: bytes | None = sealed_column()
    redirect_uri: str = text_column()
    created_at: datetime = now_column()
    expires_at: datetime = Field(sa_column=Column(Timestamp, nullable=False))


class UsageSighting(SQLModel, table=True):
    """How full a platform's limit was when last seen, for all executors to hold back together."""

    __tablename__ = "usage_sighting"
    __table_args__ = (Index("ix_usage_sighting_seen_at", "seen_at"),)
    bucket: str = Field(sa_column=Column(Text, primary_key=True))
    percent: float = Field(default=0.0)
    regain_seconds: float = Field(default=0.0)
    seen_at: datetime = now_column()
