"""recording job names

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NAME = "uq_automation_job_name"
_JOBS = sa.text("type = 'recording_sync'")


def upgrade() -> None:
    op.create_index(_NAME, "automation", ["user_id", "name"], unique=True, postgresql_where=_JOBS)


def downgrade() -> None:
    op.drop_index(_NAME, table_name="automation", postgresql_where=_JOBS)
