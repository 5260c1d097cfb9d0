"""connected accounts

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KINDS = (
    "'facebook_user', 'tiktok_business', 'tiktok_organic', 'zoom_user', 'zoom_server', 'postgresql', 's3'"
)
_RECORDING_STATES = (
    "'INITIALIZED', 'DOWNLOADING', 'DOWNLOADED', 'TRANSCRIBING', 'TRANSCRIBED', 'UPLOADING', 'UPLOADED', "
    "'FAILED', 'SKIPPED'"
)
# Until now a token was pasted, whatever had granted it.
_KIND_OF_OLD = """
UPDATE connection SET kind = CASE platform WHEN 'facebook' THEN 'facebook_user'
                                           WHEN 'tiktok' THEN 'tiktok_business' ELSE 'zoom_user' END
"""


def upgrade() -> None:
    op.create_table(
        "usage_sighting",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("percent", sa.Float(), nullable=False),
        sa.Column("regain_seconds", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_usage_sighting")),
    )
    op.create_index("ix_usage_sighting_seen_at", "usage_sighting", ["seen_at"], unique=False)
    op.create_table(
        "recording_template",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "matching_rules",
            postgresql.JSONB(none_as_null=True),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "processing",
            postgresql.JSONB(none_as_null=True),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
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
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name=op.f("ck_oauth_attempt_kind")),
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
    op.create_index(op.f("ix_oauth_attempt_connection_id"), "oauth_attempt", ["connection_id"], unique=False)
    op.create_index("ix_oauth_attempt_expires_at", "oauth_attempt", ["expires_at"], unique=False)
    op.create_index(op.f("ix_oauth_attempt_tenant_id"), "oauth_attempt", ["tenant_id"], unique=False)
    op.create_index(op.f("ix_oauth_attempt_user_id"), "oauth_attempt", ["user_id"], unique=False)
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
        sa.Column("last_synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
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
    op.create_index("ix_recording_source_connection_id", "recording_source", ["connection_id"], unique=False)
    op.create_table(
        "token_refresh",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
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
        "ix_token_refresh_connection_id_started_at",
        "token_refresh",
        ["connection_id", "started_at"],
        unique=False,
    )
    op.create_table(
        "automation_state",
        sa.Column("automation_id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            postgresql.JSONB(none_as_null=True),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["automation_id"],
            ["automation.id"],
            name=op.f("fk_automation_state_automation_id_automation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("automation_id", name=op.f("pk_automation_state")),
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
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
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
        sa.Column(
            "files",
            postgresql.JSONB(none_as_null=True),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "processing",
            postgresql.JSONB(none_as_null=True),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "artifacts",
            postgresql.JSONB(none_as_null=True),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("download_token_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("download_token_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("files_deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trace_id", sa.Text(), nullable=True),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(f"status IN ({_RECORDING_STATES})", name=op.f("ck_recording_status")),
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
        unique=False,
        postgresql_where=sa.text("automation_id IS NOT NULL"),
    )
    op.create_index(
        "ix_recording_available",
        "recording",
        ["available_at"],
        unique=False,
        postgresql_where=sa.text("available_at IS NOT NULL AND worker IS NULL"),
    )
    op.create_index(
        "ix_recording_download_token_expires_at",
        "recording",
        ["download_token_expires_at"],
        unique=False,
        postgresql_where=sa.text("download_token_sealed IS NOT NULL"),
    )
    op.create_index(
        "ix_recording_leases",
        "recording",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("worker IS NOT NULL"),
    )
    op.create_index(
        "ix_recording_stored",
        "recording",
        ["completed_at"],
        unique=False,
        postgresql_where=sa.text("completed_at IS NOT NULL AND files_deleted_at IS NULL"),
    )
    op.create_index(
        "ix_recording_template_id",
        "recording",
        ["template_id"],
        unique=False,
        postgresql_where=sa.text("template_id IS NOT NULL"),
    )
    op.create_index(
        "ix_recording_tenant_id_started_at", "recording", ["tenant_id", "started_at", "id"], unique=False
    )
    op.create_index(
        "ix_recording_tenant_id_status", "recording", ["tenant_id", "status", "started_at"], unique=False
    )
    op.add_column("automation", sa.Column("paused_for_connection_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_automation_paused_for_connection_id",
        "automation",
        ["paused_for_connection_id"],
        unique=False,
        postgresql_where=sa.text("paused_for_connection_id IS NOT NULL"),
    )
    op.create_foreign_key(
        op.f("fk_automation_paused_for_connection_id_connection"),
        "automation",
        "connection",
        ["paused_for_connection_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.add_column("connection", sa.Column("kind", sa.Text(), nullable=True))
    op.execute(_KIND_OF_OLD)
    op.alter_column("connection", "kind", nullable=False)
    op.create_check_constraint(op.f("ck_connection_kind"), "connection", f"kind IN ({_KINDS})")
    op.drop_constraint(op.f("ck_connection_platform"), "connection", type_="check")
    op.create_check_constraint(
        op.f("ck_connection_platform"),
        "connection",
        "platform IN ('facebook', 'tiktok', 'zoom', 'postgresql', 's3')",
    )
    op.add_column("connection", sa.Column("problem", sa.Text(), nullable=True))
    op.add_column("connection", sa.Column("external_id", sa.Text(), nullable=True))
    op.add_column("connection", sa.Column("external_name", sa.Text(), nullable=True))
    op.add_column(
        "connection",
        sa.Column(
            "accounts",
            postgresql.JSONB(none_as_null=True),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column("connection", sa.Column("refresh_token_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("connection", sa.Column("credentials_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("connection", sa.Column("webhook_secret_sealed", sa.LargeBinary(), nullable=True))
    op.add_column(
        "connection", sa.Column("token_version", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column("connection", sa.Column("refresh_expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("connection", sa.Column("refresh_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("connection", sa.Column("refresh_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("connection", sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("connection", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("connection", sa.Column("reauth_required_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("connection", "token_sealed", existing_type=postgresql.BYTEA(), nullable=True)
    op.create_index(
        "ix_connection_refresh_at",
        "connection",
        ["refresh_at"],
        unique=False,
        postgresql_where=sa.text("status = 'active' AND refresh_at IS NOT NULL"),
    )
    op.create_index(
        "uq_connection_account",
        "connection",
        ["tenant_id", "kind", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_connection_account", table_name="connection", postgresql_where=sa.text("external_id IS NOT NULL")
    )
    op.drop_index(
        "ix_connection_refresh_at",
        table_name="connection",
        postgresql_where=sa.text("status = 'active' AND refresh_at IS NOT NULL"),
    )
    op.execute("DELETE FROM connection WHERE token_sealed IS NULL OR platform IN ('postgresql', 's3')")
    op.alter_column("connection", "token_sealed", existing_type=postgresql.BYTEA(), nullable=False)
    op.drop_column("connection", "reauth_required_at")
    op.drop_column("connection", "checked_at")
    op.drop_column("connection", "refreshed_at")
    op.drop_column("connection", "refresh_requested_at")
    op.drop_column("connection", "refresh_at")
    op.drop_column("connection", "refresh_expires_at")
    op.drop_column("connection", "token_version")
    op.drop_column("connection", "webhook_secret_sealed")
    op.drop_column("connection", "credentials_sealed")
    op.drop_column("connection", "refresh_token_sealed")
    op.drop_column("connection", "accounts")
    op.drop_column("connection", "external_name")
    op.drop_column("connection", "external_id")
    op.drop_column("connection", "problem")
    op.drop_constraint(op.f("ck_connection_platform"), "connection", type_="check")
    op.create_check_constraint(
        op.f("ck_connection_platform"), "connection", "platform IN ('facebook', 'tiktok', 'zoom')"
    )
    op.drop_constraint(op.f("ck_connection_kind"), "connection", type_="check")
    op.drop_column("connection", "kind")
    op.drop_constraint(
        op.f("fk_automation_paused_for_connection_id_connection"), "automation", type_="foreignkey"
    )
    op.drop_index(
        "ix_automation_paused_for_connection_id",
        table_name="automation",
        postgresql_where=sa.text("paused_for_connection_id IS NOT NULL"),
    )
    op.drop_column("automation", "paused_for_connection_id")
    op.drop_index("ix_recording_tenant_id_status", table_name="recording")
    op.drop_index("ix_recording_tenant_id_started_at", table_name="recording")
    op.drop_index(
        "ix_recording_template_id",
        table_name="recording",
        postgresql_where=sa.text("template_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_recording_stored",
        table_name="recording",
        postgresql_where=sa.text("completed_at IS NOT NULL AND files_deleted_at IS NULL"),
    )
    op.drop_index(
        "ix_recording_download_token_expires_at",
        table_name="recording",
        postgresql_where=sa.text("download_token_sealed IS NOT NULL"),
    )
    op.drop_index(
        "ix_recording_leases", table_name="recording", postgresql_where=sa.text("worker IS NOT NULL")
    )
    op.drop_index(
        "ix_recording_available",
        table_name="recording",
        postgresql_where=sa.text("available_at IS NOT NULL AND worker IS NULL"),
    )
    op.drop_index(
        "ix_recording_automation_id",
        table_name="recording",
        postgresql_where=sa.text("automation_id IS NOT NULL"),
    )
    op.drop_table("recording")
    op.drop_table("automation_state")
    op.drop_index("ix_token_refresh_connection_id_started_at", table_name="token_refresh")
    op.drop_table("token_refresh")
    op.drop_index("ix_recording_source_connection_id", table_name="recording_source")
    op.drop_table("recording_source")
    op.drop_index(op.f("ix_oauth_attempt_user_id"), table_name="oauth_attempt")
    op.drop_index(op.f("ix_oauth_attempt_tenant_id"), table_name="oauth_attempt")
    op.drop_index("ix_oauth_attempt_expires_at", table_name="oauth_attempt")
    op.drop_index(op.f("ix_oauth_attempt_connection_id"), table_name="oauth_attempt")
    op.drop_table("oauth_attempt")
    op.drop_table("recording_template")
    op.drop_index("ix_usage_sighting_seen_at", table_name="usage_sighting")
    op.drop_table("usage_sighting")
