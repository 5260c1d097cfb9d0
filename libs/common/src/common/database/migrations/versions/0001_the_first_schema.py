"""the first schema

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_JSON = postgresql.JSONB(none_as_null=True)
_NOW = sa.text("now()")
_OBJECT = sa.text("'{}'::jsonb")
_ARRAY = sa.text("'[]'::jsonb")

_NAMED = "~ '^[a-z][a-z0-9_]{0,49}$'"
_RUN_STATES = "'waiting', 'queued', 'running', 'retrying', 'completed', 'failed', 'cancelled', 'skipped'"
_RECORDING_STATES = (
    "'INITIALIZED', 'DOWNLOADING', 'DOWNLOADED', 'TRANSCRIBING', 'TRANSCRIBED', 'UPLOADING', 'UPLOADED', "
    "'FAILED', 'SKIPPED'"
)


def upgrade() -> None:
    op.create_table(
        "automation_type",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("config_schema", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("announced_at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("type", name=op.f("pk_automation_type")),
    )
    op.create_table(
        "fact",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fact")),
    )
    op.create_table(
        "leadership",
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("acquired_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_leadership")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("headers", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    # Every row of the outbox is deleted within milliseconds: vacuum by count, not by share of the table.
    op.execute(
        "ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, "
        "autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000)"
    )
    op.create_table(
        "plan",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("max_automations", sa.Integer(), nullable=True),
        sa.Column("min_interval_minutes", sa.Float(), nullable=True),
        sa.Column("max_automation_jobs", sa.Integer(), nullable=True),
        sa.Column("min_automation_interval_hours", sa.Float(), nullable=True),
        sa.Column("max_concurrent_runs", sa.Integer(), nullable=True),
        sa.Column("max_api_keys", sa.Integer(), nullable=True),
        sa.Column("max_destinations", sa.Integer(), nullable=True),
        sa.Column("max_connections", sa.Integer(), nullable=True),
        sa.Column("max_templates", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_plan")),
    )
    op.execute("INSERT INTO plan VALUES ('standard', 100, 1, 5, 1, NULL, 50, 100, 100, 100)")
    op.create_table(
        "request_count",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_request_count")),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_request_count_ends_at", "request_count", ["ends_at"])
    op.create_table(
        "reign",
        sa.Column("term", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("vacant_since", _TIME, nullable=True),
        sa.Column("acquired_at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("term", name=op.f("pk_reign")),
    )
    op.create_index("ix_reign_acquired_at", "reign", ["acquired_at"])
    op.create_table(
        "usage_sighting",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("percent", sa.Float(), nullable=False),
        sa.Column("regain_seconds", sa.Float(), nullable=False),
        sa.Column("seen_at", _TIME, server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_usage_sighting")),
    )
    op.create_index("ix_usage_sighting_seen_at", "usage_sighting", ["seen_at"])
    op.create_table(
        "tenant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), server_default=sa.text("'standard'"), nullable=False),
        sa.Column("quota", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("alerts_destination_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(["plan"], ["plan.name"], name=op.f("fk_tenant_plan_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant")),
        sa.UniqueConstraint("name", name=op.f("uq_tenant_name")),
    )
    op.create_table(
        "connection",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("external_name", sa.Text(), nullable=True),
        sa.Column("accounts", _JSON, server_default=_ARRAY, nullable=False),
        sa.Column("settings", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("scopes", _JSON, server_default=_ARRAY, nullable=False),
        sa.Column("token_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("refresh_token_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("credentials_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("webhook_secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("token_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.Column("refresh_expires_at", _TIME, nullable=True),
        sa.Column("refresh_at", _TIME, nullable=True),
        sa.Column("refresh_requested_at", _TIME, nullable=True),
        sa.Column("refreshed_at", _TIME, nullable=True),
        sa.Column("checked_at", _TIME, nullable=True),
        sa.Column("reauth_required_at", _TIME, nullable=True),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("updated_at", _TIME, server_default=_NOW, nullable=False),
        sa.CheckConstraint(
            f"kind {_NAMED}",
            name=op.f("ck_connection_kind"),
        ),
        sa.CheckConstraint(
            f"platform {_NAMED}",
            name=op.f("ck_connection_platform"),
        ),
        sa.CheckConstraint("status IN ('active', 'reauth_required')", name=op.f("ck_connection_status")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_connection_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
    )
    op.create_index(
        "ix_connection_refresh_at",
        "connection",
        ["refresh_at"],
        postgresql_where=sa.text("status = 'active' AND refresh_at IS NOT NULL"),
    )
    op.create_index("ix_connection_tenant_id_platform", "connection", ["tenant_id", "platform"])
    op.create_index(
        "uq_connection_account",
        "connection",
        ["tenant_id", "kind", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "destination",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("config", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("quiet_hours", _JSON, nullable=True),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("updated_at", _TIME, server_default=_NOW, nullable=False),
        sa.CheckConstraint("status IN ('active', 'disabled')", name=op.f("ck_destination_status")),
        sa.CheckConstraint("type IN ('telegram', 'webhook')", name=op.f("ck_destination_type")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_destination_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_destination")),
    )
    op.create_index("ix_destination_tenant_id_created_at", "destination", ["tenant_id", "created_at"])
    op.create_table(
        "recording_template",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("matching_rules", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("processing", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("updated_at", _TIME, server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name=op.f("fk_recording_template_tenant_id_tenant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_template")),
        sa.UniqueConstraint("tenant_id", "number", name=op.f("uq_recording_template_tenant_id_number")),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("role", sa.Text(), server_default=sa.text("'member'"), nullable=False),
        sa.Column("quota", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.CheckConstraint("role IN ('owner', 'member')", name=op.f("ck_user_account_role")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_user_account_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("tenant_id", "email", name=op.f("uq_user_account_tenant_id_email")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("last_used_at", _TIME, nullable=True),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_api_key_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_api_key_user_id_user_account"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_key_key_hash")),
    )
    op.create_index(op.f("ix_api_key_tenant_id"), "api_key", ["tenant_id"])
    op.create_index(op.f("ix_api_key_user_id"), "api_key", ["user_id"])
    op.create_table(
        "automation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("destination_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("schedule_config", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("automation_config", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("platforms", _JSON, server_default=_ARRAY, nullable=False),
        sa.Column("priority", sa.Text(), server_default=sa.text("'normal'"), nullable=False),
        sa.Column("policy", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("next_slot", _TIME, nullable=True),
        sa.Column("paused_at", _TIME, nullable=True),
        sa.Column("paused_until", _TIME, nullable=True),
        sa.Column("catch_up_on_resume", sa.Text(), nullable=True),
        sa.Column("paused_for_connection_id", sa.Uuid(), nullable=True),
        sa.Column("fired_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failure_streak", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_run", _TIME, nullable=True),
        sa.Column("next_run", _TIME, nullable=True),
        sa.Column("run_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("updated_at", _TIME, server_default=_NOW, nullable=False),
        sa.CheckConstraint("priority IN ('high', 'normal', 'low')", name=op.f("ck_automation_priority")),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'stopped', 'error')", name=op.f("ck_automation_status")
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"],
            ["destination.id"],
            name=op.f("fk_automation_destination_id_destination"),
            ondelete="NO ACTION",
        ),
        sa.ForeignKeyConstraint(
            ["paused_for_connection_id"],
            ["connection.id"],
            name=op.f("fk_automation_paused_for_connection_id_connection"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_automation_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_automation_user_id_user_account"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automation")),
    )
    op.create_index("ix_automation_destination_id", "automation", ["destination_id"])
    op.create_index(
        "ix_automation_due",
        "automation",
        ["next_run"],
        postgresql_where=sa.text("status = 'active' AND next_run IS NOT NULL"),
    )
    op.create_index(
        "ix_automation_failing",
        "automation",
        ["id"],
        postgresql_where=sa.text("status = 'active' AND failure_streak > 0"),
    )
    op.create_index(
        "ix_automation_paused_for_connection_id",
        "automation",
        ["paused_for_connection_id"],
        postgresql_where=sa.text("paused_for_connection_id IS NOT NULL"),
    )
    op.create_index(
        "ix_automation_paused_until",
        "automation",
        ["paused_until"],
        postgresql_where=sa.text("status = 'paused' AND paused_until IS NOT NULL"),
    )
    op.create_index("ix_automation_tenant_id_created_at", "automation", ["tenant_id", "created_at"])
    op.create_index("ix_automation_user_id_type", "automation", ["user_id", "type"])
    op.create_index(
        "uq_automation_job_name",
        "automation",
        ["user_id", "name"],
        unique=True,
        postgresql_where=sa.text("type = 'recording_sync'"),
    )
    op.create_table(
        "oauth_attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("verifier_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.CheckConstraint(
            f"kind {_NAMED}",
            name=op.f("ck_oauth_attempt_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_oauth_attempt_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_oauth_attempt_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_oauth_attempt_user_id_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_attempt")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_oauth_attempt_state_hash")),
    )
    op.create_index(op.f("ix_oauth_attempt_connection_id"), "oauth_attempt", ["connection_id"])
    op.create_index("ix_oauth_attempt_expires_at", "oauth_attempt", ["expires_at"])
    op.create_index(op.f("ix_oauth_attempt_tenant_id"), "oauth_attempt", ["tenant_id"])
    op.create_index(op.f("ix_oauth_attempt_user_id"), "oauth_attempt", ["user_id"])
    op.create_table(
        "recording_source",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("external_user", sa.Text(), server_default=sa.text("'me'"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("last_synced_at", _TIME, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("updated_at", _TIME, server_default=_NOW, nullable=False),
        sa.CheckConstraint("status IN ('active', 'disabled')", name=op.f("ck_recording_source_status")),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_recording_source_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name=op.f("fk_recording_source_tenant_id_tenant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_source")),
        sa.UniqueConstraint("tenant_id", "number", name=op.f("uq_recording_source_tenant_id_number")),
    )
    op.create_index("ix_recording_source_connection_id", "recording_source", ["connection_id"])
    op.create_table(
        "token_refresh",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("started_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('refreshed', 'rejected', 'failed', 'unknown')", name=op.f("ck_token_refresh_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connection.id"],
            name=op.f("fk_token_refresh_connection_id_connection"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_refresh")),
    )
    op.create_index(
        "ix_token_refresh_connection_id_started_at", "token_refresh", ["connection_id", "started_at"]
    )
    op.create_table(
        "automation_state",
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("state", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("updated_at", _TIME, server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["automation.id"],
            name=op.f("fk_automation_state_automation_id_automation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("automation_id", name=op.f("pk_automation_state")),
    )
    op.create_table(
        "backfill",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("first_slot", _TIME, nullable=False),
        sa.Column("last_slot", _TIME, nullable=False),
        sa.Column("runs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.CheckConstraint("status IN ('active', 'completed', 'cancelled')", name=op.f("ck_backfill_status")),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["automation.id"],
            name=op.f("fk_backfill_automation_id_automation"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_backfill_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill")),
    )
    op.create_index("ix_backfill_active", "backfill", ["id"], postgresql_where=sa.text("status = 'active'"))
    op.create_index("ix_backfill_automation_id_created_at", "backfill", ["automation_id", "created_at"])
    op.create_table(
        "schedule_period",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("schedule_config", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("change", sa.Text(), server_default=sa.text("'created'"), nullable=False),
        sa.Column("begins_after", _TIME, nullable=False),
        sa.Column("ends_at", _TIME, nullable=True),
        sa.Column("changed_at", _TIME, server_default=_NOW, nullable=False),
        sa.CheckConstraint(
            "change IN ('created', 'edited', 'moved')", name=op.f("ck_schedule_period_change")
        ),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["automation.id"],
            name=op.f("fk_schedule_period_automation_id_automation"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_schedule_period_user_id_user_account"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_period")),
    )
    op.create_index(
        "ix_schedule_period_automation_id_begins_after", "schedule_period", ["automation_id", "begins_after"]
    )
    op.create_index(op.f("ix_schedule_period_user_id"), "schedule_period", ["user_id"])
    op.create_index(
        "uq_schedule_period_holding",
        "schedule_period",
        ["automation_id"],
        unique=True,
        postgresql_where=sa.text("ends_at IS NULL"),
    )
    op.create_table(
        "recording",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("meeting_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("topic", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("host", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("timezone", sa.Text(), server_default=sa.text("'UTC'"), nullable=False),
        sa.Column("duration_minutes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_blank", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'INITIALIZED'"), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("template_id", sa.Uuid(), nullable=True),
        sa.Column("automation_id", sa.Uuid(), nullable=True),
        sa.Column("files", _JSON, server_default=_ARRAY, nullable=False),
        sa.Column("processing", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("artifacts", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("download_token_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("download_token_expires_at", _TIME, nullable=True),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("uncounted", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", _TIME, nullable=True),
        sa.Column("stopped_workers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("available_at", _TIME, nullable=True),
        sa.Column("completed_at", _TIME, nullable=True),
        sa.Column("files_deleted_at", _TIME, nullable=True),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("updated_at", _TIME, server_default=_NOW, nullable=False),
        sa.CheckConstraint(
            f"status IN ({_RECORDING_STATES})",
            name=op.f("ck_recording_status"),
        ),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["automation.id"],
            name=op.f("fk_recording_automation_id_automation"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["recording_source.id"],
            name=op.f("fk_recording_source_id_recording_source"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["template_id"],
            ["recording_template.id"],
            name=op.f("fk_recording_template_id_recording_template"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_recording_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording")),
        sa.UniqueConstraint("source_id", "external_id", name=op.f("uq_recording_source_id_external_id")),
    )
    op.create_index(
        "ix_recording_automation_id",
        "recording",
        ["automation_id"],
        postgresql_where=sa.text("automation_id IS NOT NULL"),
    )
    op.create_index(
        "ix_recording_available",
        "recording",
        ["available_at"],
        postgresql_where=sa.text("available_at IS NOT NULL AND worker IS NULL"),
    )
    op.create_index(
        "ix_recording_download_token_expires_at",
        "recording",
        ["download_token_expires_at"],
        postgresql_where=sa.text("download_token_sealed IS NOT NULL"),
    )
    op.create_index(
        "ix_recording_leases",
        "recording",
        ["lease_expires_at"],
        postgresql_where=sa.text("worker IS NOT NULL"),
    )
    op.create_index(
        "ix_recording_stored",
        "recording",
        ["completed_at"],
        postgresql_where=sa.text("completed_at IS NOT NULL AND files_deleted_at IS NULL"),
    )
    op.create_index(
        "ix_recording_template_id",
        "recording",
        ["template_id"],
        postgresql_where=sa.text("template_id IS NOT NULL"),
    )
    op.create_index("ix_recording_tenant_id_started_at", "recording", ["tenant_id", "started_at", "id"])
    op.create_index("ix_recording_tenant_id_status", "recording", ["tenant_id", "status", "started_at"])
    op.create_table(
        "slot_skip",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("first_slot", _TIME, nullable=False),
        sa.Column("last_slot", _TIME, nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("recorded_at", _TIME, server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["automation.id"],
            name=op.f("fk_slot_skip_automation_id_automation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot_skip")),
    )
    op.create_index("ix_slot_skip_automation_id_last_slot", "slot_skip", ["automation_id", "last_slot"])
    op.create_table(
        "automation_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("trigger", sa.Text(), server_default=sa.text("'schedule'"), nullable=False),
        sa.Column("scheduled_for", _TIME, nullable=True),
        sa.Column("as_of", _TIME, nullable=True),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.Column("replaced_by", _TIME, nullable=True),
        sa.Column("backfill_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("lane", sa.Text(), server_default=sa.text("'normal'"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("uncounted", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_attempts", sa.Integer(), server_default=sa.text("5"), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", _TIME, nullable=True),
        sa.Column("stopped_workers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("available_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("started_at", _TIME, nullable=True),
        sa.Column("completed_at", _TIME, nullable=True),
        sa.Column("result", _JSON, nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("logs", _JSON, server_default=_ARRAY, nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.CheckConstraint("lane IN ('high', 'normal', 'low')", name=op.f("ck_automation_run_lane")),
        sa.CheckConstraint(
            f"status IN ({_RUN_STATES})",
            name=op.f("ck_automation_run_status"),
        ),
        sa.CheckConstraint(
            "trigger IN ('schedule', 'manual', 'backfill', 'dry_run')", name=op.f("ck_automation_run_trigger")
        ),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["automation.id"],
            name=op.f("fk_automation_run_automation_id_automation"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["backfill_id"],
            ["backfill.id"],
            name=op.f("fk_automation_run_backfill_id_backfill"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_automation_run_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automation_run")),
        sa.UniqueConstraint(
            "automation_id", "scheduled_for", name=op.f("uq_automation_run_automation_id_scheduled_for")
        ),
    )
    op.create_index(
        "ix_automation_run_automation_id_created_at", "automation_run", ["automation_id", "created_at"]
    )
    op.create_index(
        "ix_automation_run_backfill_id",
        "automation_run",
        ["backfill_id"],
        postgresql_where=sa.text("backfill_id IS NOT NULL"),
    )
    op.create_index(
        "ix_automation_run_expiring",
        "automation_run",
        ["expires_at"],
        postgresql_where=sa.text("status IN ('waiting', 'queued') AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_automation_run_leases",
        "automation_run",
        ["lease_expires_at"],
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_automation_run_queued",
        "automation_run",
        ["lane", "available_at"],
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_automation_run_retrying",
        "automation_run",
        ["available_at"],
        postgresql_where=sa.text("status = 'retrying'"),
    )
    op.create_index("ix_automation_run_tenant_id_created_at", "automation_run", ["tenant_id", "created_at"])
    op.create_index(
        "ix_automation_run_tenant_unfinished",
        "automation_run",
        ["tenant_id", "status"],
        postgresql_where=sa.text("status IN ('waiting', 'queued', 'running', 'retrying')"),
    )
    op.create_index(
        "ix_automation_run_unfinished",
        "automation_run",
        ["automation_id"],
        postgresql_where=sa.text("status IN ('waiting', 'queued', 'running', 'retrying')"),
    )
    op.create_index(
        "ix_automation_run_waiting",
        "automation_run",
        ["available_at"],
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("destination_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("message", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("progress", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("uncounted", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", _TIME, nullable=True),
        sa.Column("stopped_workers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", _TIME, server_default=_NOW, nullable=True),
        sa.Column("delivered_at", _TIME, nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'sending', 'retrying', 'delivered', 'failed', 'dropped')",
            name=op.f("ck_delivery_status"),
        ),
        sa.ForeignKeyConstraint(
            ["destination_id"],
            ["destination.id"],
            name=op.f("fk_delivery_destination_id_destination"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["automation_run.id"],
            name=op.f("fk_delivery_run_id_automation_run"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_delivery_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    op.create_index("ix_delivery_destination_id_created_at", "delivery", ["destination_id", "created_at"])
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["next_attempt_at"],
        postgresql_where=sa.text("status IN ('queued', 'retrying')"),
    )
    op.create_index(
        "ix_delivery_leases", "delivery", ["lease_expires_at"], postgresql_where=sa.text("status = 'sending'")
    )
    op.create_index("ix_delivery_run_id", "delivery", ["run_id"])
    op.create_index("ix_delivery_tenant_id_created_at", "delivery", ["tenant_id", "created_at"])
    op.create_table(
        "run_attempt",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("started_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["automation_run.id"],
            name=op.f("fk_run_attempt_run_id_automation_run"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_run_attempt")),
    )
    op.create_table(
        "sync_batch",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("facts", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("prepared_at", _TIME, server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["automation.id"],
            name=op.f("fk_sync_batch_automation_id_automation"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["automation_run.id"],
            name=op.f("fk_sync_batch_run_id_automation_run"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_sync_batch")),
    )
    op.create_index(op.f("ix_sync_batch_automation_id"), "sync_batch", ["automation_id"])
    op.create_table(
        "delivery_attempt",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["delivery.id"],
            name=op.f("fk_delivery_attempt_delivery_id_delivery"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempt")),
    )
    op.create_table(
        "sync_chunk",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("accepted_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["sync_batch.run_id"],
            name=op.f("fk_sync_chunk_run_id_sync_batch"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "sequence", name=op.f("pk_sync_chunk")),
    )
    op.create_table(
        "console_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"],
            ["api_key.id"],
            name=op.f("fk_console_session_api_key_id_api_key"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_session")),
    )
    op.create_index(op.f("ix_console_session_api_key_id"), "console_session", ["api_key_id"])
    op.create_index(op.f("ix_console_session_expires_at"), "console_session", ["expires_at"])
    op.create_table(
        "idempotency_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", _JSON, server_default=_OBJECT, nullable=False),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", _TIME, server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_idempotency_key_tenant_id_tenant"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name=op.f("fk_idempotency_key_user_id_user_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_key")),
        sa.UniqueConstraint("user_id", "key", name=op.f("uq_idempotency_key_user_id_key")),
    )
    op.create_index(op.f("ix_idempotency_key_tenant_id"), "idempotency_key", ["tenant_id"])
    op.create_index(
        op.f("ix_idempotency_key_user_id_created_at"), "idempotency_key", ["user_id", "created_at"]
    )


def downgrade() -> None:
    for table in (
        "idempotency_key",
        "console_session",
        "sync_chunk",
        "delivery_attempt",
        "sync_batch",
        "run_attempt",
        "delivery",
        "automation_run",
        "slot_skip",
        "recording",
        "schedule_period",
        "backfill",
        "automation_state",
        "token_refresh",
        "recording_source",
        "oauth_attempt",
        "automation",
        "api_key",
        "user_account",
        "recording_template",
        "destination",
        "connection",
        "tenant",
        "usage_sighting",
        "reign",
        "request_count",
        "plan",
        "outbox",
        "leadership",
        "fact",
        "automation_type",
    ):
        op.drop_table(table)
