"""Automations and their runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
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
    states,
    text_column,
)
from common.models.states import (
    AutomationStatus,
    BackfillStatus,
    Lane,
    RunStatus,
    ScheduleChange,
    Trigger,
)


class Automation(SQLModel, table=True):
    """What to do, when, and where to send it.

    `next_run` is when it fires next (UTC), NULL when it does not; `next_slot` is the slot it fires for then,
    where jitter or a window moves the one from the other. While paused both keep the first undecided slot.
    `paused_for_connection_id`: paused because that account must be connected again, and
    resumed once it is. `fired_count` counts the runs its schedule has caused, `failure_streak` the failures
    since the last success. `version` grows with every edit. A person's recording jobs differ in their names.
    """

    __tablename__ = "automation"
    __table_args__ = (
        states("status", AutomationStatus),
        states("priority", Lane),
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
        Index(
            "ix_automation_paused_for_connection_id",
            "paused_for_connection_id",
            postgresql_where=text("paused_for_connection_id IS NOT NULL"),
        ),
    )
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    user_id: UUID | None = ref("user_account.id", nullable=True, ondelete="SET NULL")
    destination_id: UUID | None = ref("destination.id", nullable=True, ondelete="NO ACTION")
    name: str = text_column()
    type: str = text_column()
    status: str = text_column("active")
    status_reason: str | None = text_column(nullable=True)
    schedule_config: dict[str, Any] = json_column()
    automation_config: dict[str, Any] = json_column()
    platforms: list[str] = json_column("[]")
    priority: str = text_column("normal")
    policy: dict[str, Any] = json_column()
    next_slot: datetime | None = instant()
    paused_at: datetime | None = instant()
    paused_until: datetime | None = instant()
    catch_up_on_resume: str | None = text_column(nullable=True)
    paused_for_connection_id: UUID | None = ref("connection.id", nullable=True, ondelete="SET NULL")
    fired_count: int = count_column()
    failure_streak: int = count_column()
    last_run: datetime | None = instant()
    next_run: datetime | None = instant()
    run_count: int = count_column()
    error_count: int = count_column()
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = now_column()
    updated_at: datetime = now_column()


class SchedulePeriod(SQLModel, table=True):
    """A schedule an automation has had: it names the slots later than `begins_after`, up to `ends_at`.

    The one that holds has no end. `change` says what began it, `user_id` who; `changed_at` is when, which may
    be later than its first slot: an edit that leaves passed slots in place takes them over undecided.
    """

    __tablename__ = "schedule_period"
    __table_args__ = (
        states("change", ScheduleChange),
        Index("ix_schedule_period_automation_id_begins_after", "automation_id", "begins_after"),
        Index(
            "uq_schedule_period_holding",
            "automation_id",
            unique=True,
            postgresql_where=text("ends_at IS NULL"),
        ),
    )
    id: UUID = pk()
    automation_id: UUID = ref("automation.id")
    user_id: UUID | None = ref("user_account.id", nullable=True, ondelete="SET NULL", index=True)
    schedule_config: dict[str, Any] = json_column()
    change: str = text_column("created")
    begins_after: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    ends_at: datetime | None = instant()
    changed_at: datetime = now_column()


class Backfill(SQLModel, table=True):
    """A request to run the slots of a past range that have no run."""

    __tablename__ = "backfill"
    __table_args__ = (
        states("status", BackfillStatus),
        Index("ix_backfill_automation_id_created_at", "automation_id", "created_at"),
        Index("ix_backfill_active", "id", postgresql_where=text("status = 'active'")),
    )
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    automation_id: UUID = ref("automation.id")
    status: str = text_column("active")
    first_slot: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    last_slot: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    runs: int = count_column()
    created_at: datetime = now_column()
    ended_at: datetime | None = instant()


class AutomationRun(SQLModel, table=True):
    """One execution of an automation, for one slot (`scheduled_for`) or one manual trigger (NULL).

    `as_of` is the instant a run without a slot of its own works for. `expires_at`: not to start later.
    `replaced_by`: the slot for which it was cancelled, where `overlap` is `cancel_running`.

    `stopped_workers`: how many processes it has ended by blocking them; see `common.work.stopping`.

    While running, `worker`, `attempt` and `lease_expires_at` say who holds it and until when; every write of
    a worker is conditional on the first two. `uncounted` of the attempts do not use up `max_attempts`: they
    were handed back, or put off by a platform's limit.
    """

    __tablename__ = "automation_run"
    __table_args__ = (
        UniqueConstraint("automation_id", "scheduled_for"),
        states("status", RunStatus),
        states("trigger", Trigger),
        states("lane", Lane),
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
    id: UUID = pk()
    tenant_id: UUID = ref("tenant.id")
    automation_id: UUID = ref("automation.id")
    trigger: str = text_column("schedule")
    scheduled_for: datetime | None = instant()
    as_of: datetime | None = instant()
    expires_at: datetime | None = instant()
    replaced_by: datetime | None = instant()
    backfill_id: UUID | None = ref("backfill.id", nullable=True, ondelete="SET NULL")
    status: str = text_column("queued")
    lane: str = text_column("normal")
    attempt: int = count_column()
    uncounted: int = count_column()
    max_attempts: int = Field(default=5, sa_column_kwargs={"server_default": text("5")})
    worker: str | None = text_column(nullable=True)
    lease_expires_at: datetime | None = instant()
    stopped_workers: int = count_column()
    cancel_requested: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    available_at: datetime = now_column()
    started_at: datetime | None = instant()
    completed_at: datetime | None = instant()
    result: dict[str, Any] | None = json_column(nullable=True)
    error_message: str | None = text_column(nullable=True)
    error_code: str | None = text_column(nullable=True)
    logs: list[dict[str, Any]] = json_column("[]")
    trace_id: str | None = text_column(nullable=True)
    traceparent: str | None = text_column(nullable=True)
    created_at: datetime = now_column()


class RunAttempt(SQLModel, table=True):
    """One try of a run."""

    __tablename__ = "run_attempt"
    run_id: UUID = Field(
        sa_column=Column(ForeignKey("automation_run.id", ondelete="CASCADE"), primary_key=True)
    )
    number: int = Field(primary_key=True)
    worker: str = text_column()
    started_at: datetime = now_column()
    ended_at: datetime | None = instant()
    outcome: str | None = text_column(nullable=True)
    error_code: str | None = text_column(nullable=True)
    error_message: str | None = text_column(nullable=True)


class SlotSkip(SQLModel, table=True):
    """A stretch of consecutive slots that did not become runs, and why."""

    __tablename__ = "slot_skip"
    __table_args__ = (Index("ix_slot_skip_automation_id_last_slot", "automation_id", "last_slot"),)
    id: UUID = pk()
    automation_id: UUID = ref("automation.id")
    first_slot: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    last_slot: datetime = Field(sa_column=Column(Timestamp, nullable=False))
    slots: int = Field(default=1)
    reason: str = text_column()
    detail: str | None = text_column(nullable=True)
    recorded_at: datetime = now_column()


class AutomationType(SQLModel, table=True):
    """What the running executors can do, announced at their start; the API validates by `config_schema`."""

    __tablename__ = "automation_type"
    type: str = Field(sa_column=Column(Text, primary_key=True))
    title: str = text_column("")
    config_schema: dict[str, Any] = json_column()
    announced_at: datetime = now_column()


class AutomationState(SQLModel, table=True):
    """What a handler remembers from one run of an automation to the next: breaches told, watermarks."""

    __tablename__ = "automation_state"
    automation_id: UUID = Field(
        sa_column=Column(ForeignKey("automation.id", ondelete="CASCADE"), primary_key=True)
    )
    state: dict[str, Any] = json_column()
    updated_at: datetime = now_column()


class SyncBatch(SQLModel, table=True):
    """What a run of `data_sync` has to send, put together once and then sent chunk by chunk.

    A retry sends the same bytes under the same ids and goes on after the last chunk that was accepted,
    however the platform restates its figures meanwhile. `facts` are what the run's result and memory are
    made of.
    """

    __tablename__ = "sync_batch"
    run_id: UUID = Field(
        sa_column=Column(ForeignKey("automation_run.id", ondelete="CASCADE"), primary_key=True)
    )
    automation_id: UUID = ref("automation.id", index=True)
    facts: dict[str, Any] = json_column()
    prepared_at: datetime = now_column()


class SyncChunk(SQLModel, table=True):
    """One request of a batch. `body` is compressed, and wiped once the receiver has accepted it."""

    __tablename__ = "sync_chunk"
    run_id: UUID = Field(
        sa_column=Column(ForeignKey("sync_batch.run_id", ondelete="CASCADE"), primary_key=True)
    )
    sequence: int = Field(primary_key=True)
    rows: int = count_column()
    body: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    accepted_at: datetime | None = instant()
