"""Counts of completed scores by task, site, operator and period, made at the first question."""

from __future__ import annotations

from alembic import op

from sopilot.store.score_cells import create_score_cells, drop_score_cells

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and the triggers that mark what is to be counted anew."""
    create_score_cells(op.get_bind())


def downgrade() -> None:
    """Drop them; they hold nothing that the scores do not say."""
    drop_score_cells(op.get_bind())
