"""Which job recognises, or recognised last, what is said in a video."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("vigil_videos") as table:
        table.add_column(sa.Column("speech_job_id", sa.Integer(), nullable=True))
        table.create_foreign_key(
            op.f("fk_vigil_videos_speech_job_id_jobs"), "jobs", ["speech_job_id"], ["id"]
        )
        table.create_index(op.f("ix_vigil_videos_speech_job_id"), ["speech_job_id"])


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("vigil_videos") as table:
        table.drop_index(op.f("ix_vigil_videos_speech_job_id"))
        table.drop_constraint(op.f("fk_vigil_videos_speech_job_id_jobs"), type_="foreignkey")
        table.drop_column("speech_job_id")
