"""Every table and its states.

Rows are built by validating models (SQLModel skips validation on `table=True` classes), so nothing here
checks values beyond what PostgreSQL enforces. States are text with a CHECK: they migrate without
rewriting a type.

    plan ── tenant ─┬─ user_account ── api_key
                    ├─ connection                      a platform account and its sealed token
                    ├─ destination                     a chat or a webhook
                    └─ automation ─┬─ automation_run ─┬─ run_attempt
                                   ├─ backfill        └─ delivery ── delivery_attempt
                                   └─ slot_skip        slots that did not become runs, and why
    outbox            events on their way to Kafka     leadership, reign   who leads, who led
    automation_type   what executors can run           fact                what the scheduler remembers
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from common.ids import new_id

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata

SCHEMA_REVISION = "0003"
"""The migration this code needs; a test holds it against the newest script. Known without loading Alembic,
which would take a quarter of a service's start-up."""


class Timestamp(TypeDecorator[datetime]):
    """`timestamptz` that refuses naive datetimes and always answers in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Reject a datetime without a zone: it names no instant."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime names no instant; give it a zone")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Answer in UTC whatever the session's zone."""
        return None if value is None else value.astimezone(UTC)


class AutomationStatus(StrEnum):
    """`error`: stopped by Carillon itself; `status_reason` says why."""

    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"
    ERROR = "error"


class RunStatus(StrEnum):
    """waiting → queued → running → completed | failed | cancelled; running → retrying → queued again.

    `waiting`: held back by a limit or by an earlier run of the same automation. `skipped`: its time had
    passed before it could start.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class BackfillStatus(StrEnum):
    """active → completed | cancelled."""

    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    """What asked for a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    BACKFILL = "backfill"
    DRY_RUN = "dry_run"


class Lane(StrEnum):
    """A priority: its own topic, and its own share of an executor's capacity."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class DeliveryStatus(StrEnum):
    """queued → sending → delivered | failed; sending → retrying until the schedule is exhausted.

    `dropped`: it came in the destination's quiet hours, and those drop what comes.
    """

    QUEUED = "queued"
    SENDING = "sending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class DestinationType(StrEnum):
    """One file in the notifier's `channels/` each."""

    TELEGRAM = "telegram"
    WEBHOOK = "webhook"


class DestinationStatus(StrEnum):
    """`disabled`: the receiver is gone or refuses us; `status_reason` says which."""

    ACTIVE = "active"
    DISABLED = "disabled"


class ConnectionStatus(StrEnum):
    """`reauth_required`: a person must connect the account again."""

    ACTIVE = "active"
    REAUTH_REQUIRED = "reauth_required"


class Platform(StrEnum):
    """Platforms a tenant can connect."""

    FACEBOOK = "facebook"
    TIKTOK = "tiktok"
    ZOOM = "zoom"


def _states(column: str, states: type[StrEnum]) -> CheckConstraint:
    allowed = ", ".join(f"'{state.value}'" for state in states)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


def _pk() -> Any:
    return Field(default_factory=new_id, primary_key=True)


def _ref(target: str, *, nullable: bool = False, ondelete: str = "CASCADE", index: bool = False) -> Any:
    return Field(
        default=None, sa_column=Column(ForeignKey(target, ondelete=ondelete), nullable=nullable, index=index)
    )


def _text(default: str | None = None, *, nullable: bool = False) -> Any:
    server = None if default is None else text(f"'{default}'")
    return Field(default=default, sa_column=Column(Text, nullable=nullable, server_default=server))


def _now(*, nullable: bool = False) -> Any:
    return Field(
        default_factory=lambda: datetime.now(UTC),
        sa_column=Column(Timestamp, nullable=nullable, server_default=text("now()")),
    )


def _plan_column() -> Column[str]:
    return Column(ForeignKey("plan.name"), nullable=False, server_default=text("'standard'"))


def _instant() -> Any:
    return Field(default=None, sa_column=Column(Timestamp, nullable=True))


def _json(default: str = "{}", *, nullable: bool = False) -> Any:
    factory: Any = (lambda: None) if nullable else (dict if default == "{}" else list)
    server = None if nullable else text(f"'{default}'::jsonb")
    return Field(
        default_factory=factory,
        sa_column=Column(JSONB(none_as_null=True), nullable=nullable, server_default=server),
    )


def _count() -> Any:
    return Field(default=0, sa_column_kwargs={"server_default": text("0")})


class Plan(SQLModel, table=True):
    """The limits of a plan; NULL is unlimited. `common.quotas` says what each means."""

    __tablename__ = "plan"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    max_automations: int | None = Field(default=None)
    min_interval_minutes: float | None = Field(default=None)
    max_automation_jobs: int | None = Field(default=None)
    min_automation_interval_hours: float | None = Field(default=None)
    max_concurrent_runs: int | None = Field(default=None)


class Tenant(SQLModel, table=True):
    """A team. Everything else belongs to exactly one.

    `quota` overrides the plan's limits, null meaning unlimited. `alerts_destination_id` is told what the
    owner should know; without it the automation's own destination is.
    """

    __tablename__ = "tenant"
    id: UUID = _pk()
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    plan: str = Field(default="standard", sa_column=_plan_column())
    quota: dict[str, Any] = _json()
    alerts_destination_id: UUID | None = Field(default=None)
    created_at: datetime = _now()


class UserAccount(SQLModel, table=True):
    """A person of a team."""

    __tablename__ = "user_account"
    __table_args__ = (
        UniqueConstraint("tenant_id", "email"),
        CheckConstraint("role IN ('owner', 'member')", name="role"),
    )
    id: UUID = _pk()
    tenant_id: UUID = _ref("tenant.id")
    email: str = _text()
    name: str = _text("")
    role: str = _text("member")
    quota: dict[str, Any] = _json()
    created_at: datetime = _now()


class ApiKey(SQLModel, table=True):
    """A credential of a person. Only its hash is kept; `hint` is its first characters, to tell keys apart."""

    __tablename__ = "api_key"
    id: UUID = _pk()
    tenant_id: UUID = _ref("tenant.id", index=True)
    user_id: UUID = _ref("user_account.id", index=True)
    name: str = _text("")
    hint: str = _text()
    key_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    created_at: datetime = _now()
    last_used_at: datetime | None = _instant()
    expires_at: datetime | None = _instant()


class Connection(SQLModel, table=True):
    """A tenant's authorised account on a platform. `token_sealed` opens with `common.crypto`."""

    __tablename__ = "connection"
    __table_args__ = (
        _states("platform", Platform),
        _states("status", ConnectionStatus),
        Index("ix_connection_tenant_id_platform", "tenant_id", "platform"),
    )
    id: UUID = _pk()
    tenant_id: UUID = _ref("tenant.id")
    platform: str = _text()
    name: str = _text()
    status: str = _text("active")
    status_reason: str | None = _text(nullable=True)
    settings: dict[str, Any] = _json()
    scopes: list[str] = _json("[]")
    token_sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    expires_at: datetime | None = _instant()
    created_at: datetime = _now()
    updated_at: datetime = _now()


class Destination(SQLModel, table=True):
    """A Telegram chat or a webhook.

    `config` holds what may be shown (`chat_id`, `message_thread_id`, `url`); `secret_sealed` the bot token or
    the signing secret.
    """

    __tablename__ = "destination"
    __table_args__ = (
        _states("type", DestinationType),
        _states("status", DestinationStatus),
        Index("ix_destination_tenant_id_created_at", "tenant_id", "created_at"),
    )
    id: UUID = _pk()
    tenant_id: UUID = _ref("tenant.id")
    name: str = _text()
    type: str = _text()
    status: str = _text("active")
    status_reason: str | None = _text(nullable=True)
    config: dict[str, Any] = _json()
    secret_sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    quiet_hours: dict[str, Any] | None = _json(nullable=True)
    created_at: datetime = _now()
    updated_at: datetime = _now()


class Automation(SQLModel, table=True):
    """What to do, when, and where to send it.

    `next_run` is when it fires next (UTC), NULL when it does not; `next_slot` is the slot it fires for then,
    where jitter or a window moves the one from the other. While paused both keep the first slot nobody has
    decided about. `fired_count` counts the runs its schedule has caused, `failure_streak` the failures since
    the last success. `version` grows with every edit. A person's recording jobs differ in their names.
    """

    __tablename__ = "automation"
    __table_args__ = (
        _states("status", AutomationStatus),
        _states("priority", Lane),
        Index(
            "ix_automation_due",
            "next_run",
            postgresql_where=text("status = 'active' AND next_run IS NOT NULL"),
        ),
        Index(
            "ix_automation_paused_until",
            "paused_until",
            postgresql_where=text("status = 'paused' AND paused_until IS NOT NULL"),
        ),
        Index("ix_automation_tenant_id_created_at", "tenant_id", "created_at"),
        Index("ix_automation_user_id_type", "user_id", "type"),
        Index(
            "uq_automation_job_name",
            "user_id",
            "name",
            unique=True,
            postgresql_where=text("type = 'recording_sync'"),
        ),
        Index(
            "ix_automation_failing", "id", postgresql_where=text("status = 'active' AND failure_streak > 0")
        ),
        Index("ix_automation_destination_id", "destination_id"),
    )
    id: UUID = _pk()
    tenant_id: UUID = _ref("tenant.id")
    user_id: UUID | None = _ref("user_account.id", nullable=True, ondelete="SET NULL")
    destination_id: UUID | None = _ref("destination.id", nullable=True, ondelete="NO ACTION")
    name: str = _text()
    type: str = _text()
    status: str = _text("active")
    status_reason: str | None = _text(nullable=True)
    schedule_config: dict[str, Any] = _json()
    automation_config: dict[str, Any] = _json()
    platforms: list[str] = _json("[]")
    priority: str = _text("normal")
    policy: dict[str, Any] = _json()
    next_slot: datetime | None = _instant()
    paused_at: datetime | None = _instant()
    paused_until: datetime | None = _instant()
    catch_up_on_resume: str | None = _text(nullable=True)
    fired_count: int = _count()
    failure_streak: int = _count()
    last_run: datetime | None = _instant()
    next_run: datetime | None = _instant()
    run_count: int = _count()
    error_count: int = _count()
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = _now()
    updated_at: datetime = _now()


class Backfill(SQLModel, table=True):
    """A request to run the slots of a past range that have no run."""

    __tablename__ = "backfill"
    __table_args__ = (
        _states("status", BackfillStatus),
        Index("ix_backfill_automation_id_created_at", "automation_id", "created_at"),
        Index("ix_backfill_active", "id", postgresql_where=text("status = 'active'")),
    )
    id: UUID = _pk()
    tenant_id: UUID = _ref("tenant.id")
    automation_id: UUID = _ref("automation.id")
    status: str = _text("active")
    first_slot: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    last_slot: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    runs: int = _count()
    created_at: datetime = _now()
    ended_at: datetime | None = _instant()


class AutomationRun(SQLModel, table=True):
    """One execution of an automation, for one slot (`scheduled_for`) or one manual trigger (NULL).

    `as_of` is the instant a run without a slot of its own works for. `expires_at`: not to start later.

    While running, `worker`, `attempt` and `lease_expires_at` say who holds it and until when; every write of
    a worker is conditional on the first two.
    """

    __tablename__ = "automation_run"
    __table_args__ = (
        UniqueConstraint("automation_id", "scheduled_for"),
        _states("status", RunStatus),
        _states("trigger", Trigger),
        _states("lane", Lane),
        Index("ix_automation_run_automation_id_created_at", "automation_id", "created_at"),
        Index("ix_automation_run_tenant_id_created_at", "tenant_id", "created_at"),
        Index(
            "ix_automation_run_unfinished",
            "automation_id",
            postgresql_where=text("status IN ('waiting', 'queued', 'running', 'retrying')"),
        ),
        Index(
            "ix_automation_run_tenant_unfinished",
            "tenant_id",
            "status",
            postgresql_where=text("status IN ('waiting', 'queued', 'running', 'retrying')"),
        ),
        Index(
            "ix_automation_run_backfill_id", "backfill_id", postgresql_where=text("backfill_id IS NOT NULL")
        ),
        Index("ix_automation_run_waiting", "available_at", postgresql_where=text("status = 'waiting'")),
        Index(
            "ix_automation_run_expiring",
            "expires_at",
            postgresql_where=text("status IN ('waiting', 'queued') AND expires_at IS NOT NULL"),
        ),
        Index("ix_automation_run_queued", "lane", "available_at", postgresql_where=text("status = 'queued'")),
        Index("ix_automation_run_retrying", "available_at", postgresql_where=text("status = 'retrying'")),
        Index("ix_automation_run_leases", "lease_expires_at", postgresql_where=text("status = 'running'")),
    )
    id: UUID = _pk()
    tenant_id: UUID = _ref("tenant.id")
    automation_id: UUID = _ref("automation.id")
    trigger: str = _text("schedule")
    scheduled_for: datetime | None = _instant()
    as_of: datetime | None = _instant()
    expires_at: datetime | None = _instant()
    backfill_id: UUID | None = _ref("backfill.id", nullable=True, ondelete="SET NULL")
    status: str = _text("queued")
    lane: str = _text("normal")
    attempt: int = _count()
    max_attempts: int = Field(default=5, sa_column_kwargs={"server_default": text("5")})
    worker: str | None = _text(nullable=True)
    lease_expires_at: datetime | None = _instant()
    cancel_requested: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    available_at: datetime = _now()
    started_at: datetime | None = _instant()
    completed_at: datetime | None = _instant()
    result: dict[str, Any] | None = _json(nullable=True)
    error_message: str | None = _text(nullable=True)
    error_code: str | None = _text(nullable=True)
    logs: list[dict[str, Any]] = _json("[]")
    trace_id: str | None = _text(nullable=True)
    traceparent: str | None = _text(nullable=True)
    created_at: datetime = _now()


class RunAttempt(SQLModel, table=True):
    """One try of a run."""

    __tablename__ = "run_attempt"
    run_id: UUID = Field(
        sa_column=Column(ForeignKey("automation_run.id", ondelete="CASCADE"), primary_key=True)
    )
    number: int = Field(primary_key=True)
    worker: str = _text()
    started_at: datetime = _now()
    ended_at: datetime | None = _instant()
    outcome: str | None = _text(nullable=True)
    error_code: str | None = _text(nullable=True)
    error_message: str | None = _text(nullable=True)


class SlotSkip(SQLModel, table=True):
    """A stretch of consecutive slots that did not become runs, and why."""

    __tablename__ = "slot_skip"
    __table_args__ = (Index("ix_slot_skip_automation_id_last_slot", "automation_id", "last_slot"),)
    id: UUID = _pk()
    automation_id: UUID = _ref("automation.id")
    first_slot: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    last_slot: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    slots: int = Field(default=1)
    reason: str = _text()
    detail: str | None = _text(nullable=True)
    recorded_at: datetime = _now()


class Delivery(SQLModel, table=True):
    """One message on its way to one destination.

    `message` is a `common.messages.Message`; `progress` is the channel's own note of the parts already
    accepted, so that a retry does not send them again. `uncounted` are attempts that the receiver put off
    (rate limits); they do not use up the retry schedule.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        _states("status", DeliveryStatus),
        Index("ix_delivery_run_id", "run_id"),
        Index("ix_delivery_tenant_id_created_at", "tenant_id", "created_at"),
        Index("ix_delivery_destination_id_created_at", "destination_id", "created_at"),
        Index(
            "ix_delivery_due", "next_attempt_at", postgresql_where=text("status IN ('queued', 'retrying')")
        ),
        Index("ix_delivery_leases", "lease_expires_at", postgresql_where=text("status = 'sending'")),
    )
    id: UUID = _pk()
    tenant_id: UUID = _ref("tenant.id")
    run_id: UUID | None = _ref("automation_run.id", nullable=True)
    destination_id: UUID = _ref("destination.id")
    status: str = _text("queued")
    message: dict[str, Any] = _json()
    progress: dict[str, Any] = _json()
    attempt: int = _count()
    uncounted: int = _count()
    worker: str | None = _text(nullable=True)
    lease_expires_at: datetime | None = _instant()
    next_attempt_at: datetime | None = _now(nullable=True)
    delivered_at: datetime | None = _instant()
    error_message: str | None = _text(nullable=True)
    trace_id: str | None = _text(nullable=True)
    traceparent: str | None = _text(nullable=True)
    created_at: datetime = _now()


class DeliveryAttempt(SQLModel, table=True):
    """One try of a delivery and the receiver's answer. `outcome`: delivered, retry, failed or unknown."""

    __tablename__ = "delivery_attempt"
    delivery_id: UUID = Field(
        sa_column=Column(ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True)
    )
    number: int = Field(primary_key=True)
    started_at: datetime = _now()
    ended_at: datetime | None = _instant()
    outcome: str | None = _text(nullable=True)
    status_code: int | None = Field(default=None)
    error_message: str | None = _text(nullable=True)


class AutomationType(SQLModel, table=True):
    """What the running executors can do, announced at their start; the API validates by `config_schema`."""

    __tablename__ = "automation_type"
    type: str = Field(sa_column=Column(Text, primary_key=True))
    title: str = _text("")
    config_schema: dict[str, Any] = _json()
    announced_at: datetime = _now()


class Outbox(SQLModel, table=True):
    """Events on their way to Kafka, written with the state they announce; deleted once acknowledged."""

    __tablename__ = "outbox"
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=False), primary_key=True)
    )
    topic: str = _text()
    key: str = _text()
    headers: dict[str, str] = _json()
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = _now()


class Reign(SQLModel, table=True):
    """The history of leaders. `vacant_since`: when nobody led before, for "why did it not run?"."""

    __tablename__ = "reign"
    __table_args__ = (Index("ix_reign_acquired_at", "acquired_at"),)
    term: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    holder: str = _text()
    vacant_since: datetime | None = _instant()
    acquired_at: datetime = _now()


class Fact(SQLModel, table=True):
    """What the scheduler remembers between reigns, such as the tz database `next_run` was computed with."""

    __tablename__ = "fact"
    name: str = Field(sa_column=Column(Text, primary_key=True))
    value: str = _text()


class Leadership(SQLModel, table=True):
    """Who leads, in which term, and until when by the database's clock."""

    __tablename__ = "leadership"
    role: str = Field(sa_column=Column(Text, primary_key=True))
    term: int = Field(sa_column=Column(BigInteger, nullable=False))
    holder: str = _text()
    acquired_at: datetime = _now()
    expires_at: datetime = Field(sa_column=Column(Timestamp, nullable=False))
