"""Steps may be marked as staged or cyclic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; steps so far are judged from the golds."""
    op.add_column("task_steps", sa.Column("kind", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("task_steps", "kind")
