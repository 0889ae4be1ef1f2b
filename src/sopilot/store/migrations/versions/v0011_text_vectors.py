"""Which texts of a video have vectors of their meaning, and whether speech is wanted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("vigil_videos", sa.Column("texts_producer", sa.String(length=64), nullable=True))
    op.add_column("vigil_videos", sa.Column("texts_count", sa.Integer(), nullable=True))
    op.add_column("vigil_videos", sa.Column("texts_last_id", sa.Integer(), nullable=True))
    op.create_index("ix_chunks_start_sec", "chunks", ["video_id", "level", "start_sec"])
    op.add_column(
        "vigil_videos",
        sa.Column("wants_speech", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_chunks_start_sec", "chunks")
    with op.batch_alter_table("vigil_videos") as table:
        table.drop_column("wants_speech")
        table.drop_column("texts_last_id")
        table.drop_column("texts_count")
        table.drop_column("texts_producer")
