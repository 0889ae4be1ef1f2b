"""The job record and its states. A job is one row; the row is the truth about the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row


class JobState(StrEnum):
    """Where a job is in its life: queued → running → one of three ends."""

    QUEUED = "queued"  # waits for a worker, perhaps until `run_after`
    RUNNING = "running"  # a worker holds its lease
    COMPLETED = "completed"  # end: the result was written in the same transaction
    FAILED = "failed"  # end: a final error, or the last attempt was used up
    CANCELLED = "cancelled"  # end: somebody asked for it


END_STATES = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when the row was read."""

    id: int
    uid: str  # UUID, the same job for clients that want one
    kind: str  # which handler works on it
    queue: str
    state: JobState
    payload: Mapping[str, Any]  # the handler's arguments, JSON
    requested_by: str
    attempt: int  # how often it was claimed; a worker that gives it back is not counted
    max_attempts: int
    run_after: str  # not before this moment
    lease_owner: str | None  # the worker that holds it
    lease_until: str | None  # when others may take it
    fence: int  # grows with every claim; a result is accepted from the newest one only
    progress: float  # finished share, 0-1
    cancel_requested: bool
    error_code: str | None  # of the last failed attempt, or of the end
    error_message: str | None
    error_details: Mapping[str, Any] | None
    created_at: str
    updated_at: str
    started_at: str | None  # first claim
    finished_at: str | None

    @property
    def is_finished(self) -> bool:
        """Whether the job is in an end state, which it never leaves."""
        return self.state in END_STATES


_FIELDS = tuple(Job.__dataclass_fields__)


def job_of(row: Row[Any]) -> Job:
    """The record of a row of the jobs table."""
    values = {name: getattr(row, name) for name in _FIELDS}
    values["state"] = JobState(values["state"])
    values["progress"] = float(values["progress"])  # SQLite returns an integer for 0.0
    return Job(**values)
