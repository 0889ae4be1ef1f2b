"""Shapes of `/train/*`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from sopilot.core.config import Settings
from sopilot.sop.training import next_run
from sopilot.sop.training_queries import TrainingRow

Status = Literal["queued", "running", "completed", "failed", "cancelled", "skipped"]


class TrainingAccepted(BaseModel):
    training_job_id: str
    status: Status
    trigger: str


class TrainingJobResponse(TrainingAccepted):
    requested_by: str
    error_message: str | None
    queued_at: str
    started_at: str | None
    finished_at: str | None
    result: dict[str, Any] | None = Field(
        description="`status`, `mode`, `reason`, `new_videos`, `threshold`, `since`, and what the "
        "mode adds: `tasks` with version and proof, or the command's end."
    )


class NightlyStatus(BaseModel):
    enabled: bool
    next_run_local: str | None = Field(description="By the server's clock; null = switched off.")
    hour_local: int
    min_new_videos: int


def training_accepted(row: TrainingRow) -> TrainingAccepted:
    """A training that was just begun."""
    return TrainingAccepted(training_job_id=row.uid, status=_status(row), trigger=row.trigger)


def training_job(row: TrainingRow) -> TrainingJobResponse:
    """A training as it is now."""
    return TrainingJobResponse(
        **training_accepted(row).model_dump(),
        requested_by=row.requested_by,
        error_message=row.error_message,
        queued_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        result=None if row.result is None else dict(row.result),
    )


def nightly_status(settings: Settings, now: datetime) -> NightlyStatus:
    """Whether and when the scheduler begins the next training."""
    due = next_run(settings, now)
    return NightlyStatus(
        enabled=settings.nightly_enabled,
        next_run_local=due.isoformat() if due else None,
        hour_local=settings.nightly_hour_local,
        min_new_videos=settings.nightly_min_new_videos,
    )


def _status(row: TrainingRow) -> Status:
    is_skipped = row.status == "completed" and (row.result or {}).get("status") == "skipped"
    return "skipped" if is_skipped else row.status  # type: ignore[return-value]
