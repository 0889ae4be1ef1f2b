"""Analytics count completed scores from two indexes alone."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WIDE = {
    "ix_scores_completed_at": "completed_at id task_id kind trainee_video_id score decision",
    "ix_scores_trainee_video_id": "trainee_video_id completed_at kind task_id score decision",
}
_NARROW = {
    "ix_scores_completed_at": "completed_at id",
    "ix_scores_trainee_video_id": "trainee_video_id",
}


def upgrade() -> None:
    """Widen the indexes."""
    _replace(_WIDE)


def downgrade() -> None:
    """Narrow them."""
    _replace(_NARROW)


def _replace(indexes: dict[str, str]) -> None:
    for name, columns in indexes.items():
        op.drop_index(name, table_name="scores")
        op.create_index(name, "scores", columns.split(), unique=False)
