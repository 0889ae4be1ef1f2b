"""The SQL that only reports need. A connection comes first; nobody here commits."""

from __future__ import annotations

from sqlalchemy import Connection, select

from sopilot.report.record import ReviewNote
from sopilot.store.tables import score_reviews


def find_review_note(connection: Connection, score_id: int) -> ReviewNote | None:
    """A person's verdict on a score as reports show it, or None."""
    row = connection.execute(
        select(score_reviews).where(score_reviews.c.score_id == score_id)
    ).one_or_none()
    if row is None:
        return None
    when = row.updated_at[:16].replace("T", " ") + " UTC"
    return ReviewNote(row.verdict, row.note or "", when, row.reviewer)
