"""A completed score's row with its record as a record. Called by the service's views of a score."""

from __future__ import annotations

from sqlalchemy import Connection

from sopilot.core.errors import Conflict
from sopilot.sop import queries
from sopilot.sop.queries import ScoreRow
from sopilot.sop.schemas import ScoreResult


def completed(connection: Connection, score: int | str) -> tuple[ScoreRow, ScoreResult]:
    """The row of an id or uid, and its result. Raises ScoreNotFound, Conflict without a result."""
    row = queries.get_score(connection, score)
    if row.result is None:
        raise Conflict(
            f"score job {row.id} is {row.status}; it has a result when it is completed",
            {"job_id": row.id, "status": row.status},
        )
    return row, ScoreResult.model_validate(row.result)
