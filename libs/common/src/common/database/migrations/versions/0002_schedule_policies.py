"""schedule policies

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_UNFINISHED = "status IN ('queued', 'running', 'retrying')"
_UNFINISHED_NOW = "status IN ('waiting', 'queued', 'running', 'retrying')"
_STATES = "'queued', 'running', 'retrying', 'completed', 'failed', 'cancelled'"
_DELIVERY_STATES = "'queued', 'sending', 'retrying', 'delivered', 'failed'"
_TRIGGERS = "'schedule', 'manual', 'backfill'"


def _allow(table: str, column: str, states: str) -> None:
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({states})")


def _index_unfinished(condition: str) -> None:
    op.drop_index("ix_automation_run_unfinished", table_name="automation_run")
    op.create_index(
        "ix_automation_run_unfinished",
        "automation_run",
        ["automation_id"],
        postgresql_where=sa.text(condition),
    )


def upgrade() -> None:
    op.create_table(
        "fact",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_fact")),
    )
    op.create_table(
        "plan",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("max_automations", sa.Integer(), nullable=True),
        sa.Column("min_interval_minutes", sa.Float(), nullable=True),
        sa.Column("max_automation_jobs", sa.Integer(), nullable=True),
        sa.Column("min_automation_interval_hours", sa.Float(), nullable=True),
        sa.Column("max_concurrent_runs", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_plan")),
    )
    op.execute("INSERT INTO plan VALUES ('standard', 100, 1, 5, 1, NULL)")
    op.create_table(
        "reign",
        sa.Column("term", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("vacant_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "acquired_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("term", name=op.f("pk_reign")),
    )
    op.create_index("ix_reign_acquired_at", "reign", ["acquired_at"], unique=False)
    op.create_table(
        "backfill",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("first_slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("runs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
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
    op.create_index(
        "ix_backfill_active", "backfill", ["id"], unique=False, postgresql_where=sa.text("status = 'active'")
    )
    op.create_index(
        "ix_backfill_automation_id_created_at", "backfill", ["automation_id", "created_at"], unique=False
    )
    op.add_column(
        "automation",
        sa.Column(
            "policy",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column("automation", sa.Column("next_slot", sa.DateTime(timezone=True), nullable=True))
    op.add_column("automation", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("automation", sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("automation", sa.Column("catch_up_on_resume", sa.Text(), nullable=True))
    op.add_column(
        "automation", sa.Column("fired_count", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "automation", sa.Column("failure_streak", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index(
        "ix_automation_paused_until",
        "automation",
        ["paused_until"],
        unique=False,
        postgresql_where=sa.text("status = 'paused' AND paused_until IS NOT NULL"),
    )
    op.create_index("ix_automation_user_id_type", "automation", ["user_id", "type"], unique=False)
    op.add_column("automation_run", sa.Column("as_of", sa.DateTime(timezone=True), nullable=True))
    op.add_column("automation_run", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("automation_run", sa.Column("backfill_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_automation_run_backfill_id",
        "automation_run",
        ["backfill_id"],
        unique=False,
        postgresql_where=sa.text("backfill_id IS NOT NULL"),
    )
    op.create_index(
        "ix_automation_run_tenant_unfinished",
        "automation_run",
        ["tenant_id", "status"],
        unique=False,
        postgresql_where=sa.text("status IN ('waiting', 'queued', 'running', 'retrying')"),
    )
    op.create_foreign_key(
        op.f("fk_automation_run_backfill_id_backfill"),
        "automation_run",
        "backfill",
        ["backfill_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.add_column(
        "destination",
        sa.Column("quiet_hours", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column(
        "tenant",
        sa.Column(
            "quota",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column("tenant", sa.Column("alerts_destination_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_tenant_plan_plan"), "tenant", "plan", ["plan"], ["name"])
    op.add_column(
        "user_account",
        sa.Column(
            "quota",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.create_index(
        "ix_automation_run_waiting",
        "automation_run",
        ["available_at"],
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_index(
        "ix_automation_run_expiring",
        "automation_run",
        ["expires_at"],
        postgresql_where=sa.text("status IN ('waiting', 'queued') AND expires_at IS NOT NULL"),
    )
    _allow("automation_run", "status", f"'waiting', {_STATES}, 'skipped'")
    _allow("automation_run", "trigger", f"{_TRIGGERS}, 'dry_run'")
    _allow("delivery", "status", f"{_DELIVERY_STATES}, 'dropped'")
    _index_unfinished(_UNFINISHED_NOW)
    op.create_index(
        "ix_automation_failing",
        "automation",
        ["id"],
        postgresql_where=sa.text("status = 'active' AND failure_streak > 0"),
    )


def downgrade() -> None:
    op.execute("UPDATE automation_run SET status = 'queued' WHERE status = 'waiting'")
    op.execute("UPDATE automation_run SET status = 'cancelled' WHERE status = 'skipped'")
    op.execute("DELETE FROM automation_run WHERE trigger = 'dry_run'")
    _allow("automation_run", "status", _STATES)
    _allow("automation_run", "trigger", _TRIGGERS)
    _index_unfinished(_UNFINISHED)
    op.execute("UPDATE delivery SET status = 'failed' WHERE status = 'dropped'")
    _allow("delivery", "status", _DELIVERY_STATES)
    op.drop_index("ix_automation_failing", table_name="automation")
    op.drop_index("ix_automation_run_expiring", table_name="automation_run")
    op.drop_index("ix_automation_run_waiting", table_name="automation_run")
    op.drop_column("user_account", "quota")
    op.drop_constraint(op.f("fk_tenant_plan_plan"), "tenant", type_="foreignkey")
    op.drop_column("tenant", "alerts_destination_id")
    op.drop_column("tenant", "quota")
    op.drop_column("destination", "quiet_hours")
    op.drop_constraint(op.f("fk_automation_run_backfill_id_backfill"), "automation_run", type_="foreignkey")
    op.drop_index(
        "ix_automation_run_tenant_unfinished",
        table_name="automation_run",
        postgresql_where=sa.text("status IN ('waiting', 'queued', 'running', 'retrying')"),
    )
    op.drop_index(
        "ix_automation_run_backfill_id",
        table_name="automation_run",
        postgresql_where=sa.text("backfill_id IS NOT NULL"),
    )
    op.drop_column("automation_run", "backfill_id")
    op.drop_column("automation_run", "expires_at")
    op.drop_column("automation_run", "as_of")
    op.drop_index("ix_automation_user_id_type", table_name="automation")
    op.drop_index(
        "ix_automation_paused_until",
        table_name="automation",
        postgresql_where=sa.text("status = 'paused' AND paused_until IS NOT NULL"),
    )
    op.drop_column("automation", "failure_streak")
    op.drop_column("automation", "fired_count")
    op.drop_column("automation", "catch_up_on_resume")
    op.drop_column("automation", "paused_until")
    op.drop_column("automation", "paused_at")
    op.drop_column("automation", "next_slot")
    op.drop_column("automation", "policy")
    op.drop_index("ix_backfill_automation_id_created_at", table_name="backfill")
    op.drop_index("ix_backfill_active", table_name="backfill", postgresql_where=sa.text("status = 'active'"))
    op.drop_table("backfill")
    op.drop_index("ix_reign_acquired_at", table_name="reign")
    op.drop_table("reign")
    op.drop_table("plan")
    op.drop_table("fact")
