"""Counts of completed scores by dekad instead of by month: a period cuts fewer scores apart."""

from __future__ import annotations

from alembic import op

from sopilot.store.score_cells import create_score_cells, drop_score_cells

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make tables and triggers anew; all is counted at the first question."""
    drop_score_cells(op.get_bind())
    create_score_cells(op.get_bind())


def downgrade() -> None:
    """Drop them. The program of 0013 wants counts by month: it makes them itself from 0012 on."""
    drop_score_cells(op.get_bind())
