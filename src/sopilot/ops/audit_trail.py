"""The audit log as readers see it: rows, newest first, each with the job that it is about.

Called by the route `/audit/trail` and by exports. The fields of the row itself are those that the
chain of hashes covers; those of the job are what the job table says at the moment of reading.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sopilot.ops import audit_queries as queries
from sopilot.ops.audit_queries import JobFacts, JobType, TrailFilter

_NO_JOB = dict.fromkeys(
    ("status", "model_name", "score", "error_message", "queued_at", "started_at", "finished_at")
)
_TYPES: dict[str, JobType] = {"video": "ingest", "score": "score", "training": "training"}


def read_trail(connection: Connection, chosen: TrailFilter, limit: int) -> list[dict[str, Any]]:
    """At most `limit` items, newest first: first the fields of the older product, then ours."""
    rows = queries.list_rows(connection, chosen, limit)
    facts = queries.job_facts(connection, {row["resource"] for row in rows})
    return [_item(row, facts.get(row["resource"])) for row in rows]


def _item(row: dict[str, Any], job: JobFacts | None) -> dict[str, Any]:
    about = {
        "job_id": None if job is None else job.job_id,
        "job_type": _TYPES.get(row["resource"].partition(":")[0]),
        "requested_by": row["actor"] if job is None else job.requested_by,
        "task_id": row["task_id"],
        "subject": row["resource"],
    }
    state = _NO_JOB if job is None else {name: getattr(job, name) for name in _NO_JOB}
    return about | state | {"created_at": row["ts"]} | row
