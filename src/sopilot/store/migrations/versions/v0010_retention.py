"""Retention of footage: rules by camera and age, and holds that forbid deletion."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the two columns."""
    op.create_table(
        "retention_rules",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("camera_id", sa.String(length=128), nullable=True),
        sa.Column("max_age_days", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_rules")),
        sa.UniqueConstraint("uid", name=op.f("uq_retention_rules_uid")),
        sa.UniqueConstraint("camera_id", name=op.f("uq_retention_rules_camera_id")),
        sqlite_autoincrement=True,
    )
    op.add_column("vigil_videos", sa.Column("held_by", sa.String(length=128), nullable=True))
    op.add_column("vigil_videos", sa.Column("hold_reason", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("vigil_videos") as table:
        table.drop_column("hold_reason")
        table.drop_column("held_by")
    op.drop_table("retention_rules")
