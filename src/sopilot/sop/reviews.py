"""A person's verdict on a completed score. Called by the service; in the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection

from sopilot.core.errors import Conflict, InputError
from sopilot.core.records import Actor
from sopilot.sop import queries
from sopilot.sop.queries import ReviewRow, ScoreRow
from sopilot.store.audit import Action, record

MAX_NOTE_LENGTH = 5000


def review_score(
    connection: Connection, score: int | str, verdict: str, note: str | None, by: Actor
) -> tuple[ScoreRow, ReviewRow]:
    """Store a verdict in the place of an earlier one; the audit log keeps both. Two at once come
    one after the other.

    verdict: a Decision. Raises ScoreNotFound, Conflict when the score is not completed, InputError
    for a note that cannot be stored.
    """
    if note is not None and (len(note) > MAX_NOTE_LENGTH or "\x00" in note):
        raise InputError(
            f"the note has {len(note)} characters; give at most {MAX_NOTE_LENGTH}, without NUL"
        )
    row = queries.lock_score(connection, score)
    if row.status != "completed":
        raise Conflict(
            f"score job {row.id} is {row.status}; only a completed one can be reviewed",
            {"job_id": row.id, "status": row.status},
        )
    old = queries.find_review(connection, row.id)
    queries.put_review(connection, row.id, verdict, note, by.name)
    before = None if old is None else {"verdict": old.verdict, "note": old.note}
    detail = {
        "decision": row.decision,
        "old": before,
        "new": {"verdict": verdict, "note": note},
    }
    record(
        connection,
        by,
        Action.SCORE_REVIEWED,
        f"score:{row.id}",
        task_id=row.task_id,
        detail=detail,
    )
    stored = queries.find_review(connection, row.id)
    assert stored is not None
    return row, stored
