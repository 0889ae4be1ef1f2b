"""Adaptation: begin a training, follow it, look when the next night's begins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path

from sopilot.api.auth import Admin, GuardedRoute, Viewer
from sopilot.api.deps import RuntimeDep, failures
from sopilot.api.schemas_training import (
    NightlyStatus,
    TrainingAccepted,
    TrainingJobResponse,
    nightly_status,
    training_accepted,
    training_job,
)
from sopilot.sop.training import request
from sopilot.sop.training_queries import get_training

router = APIRouter(prefix="/train", tags=["training"], route_class=GuardedRoute)

TrainingId = Annotated[str, Path(max_length=36, description="UUID or integer id.")]


@router.post("/nightly", summary="Begin a training", responses=failures(409))
def begin_training(who: Admin, runtime: RuntimeDep) -> TrainingAccepted:
    """Learn now from confirmed executions; poll `GET /train/jobs/{id}`. One runs at a time."""
    with runtime.database.write() as connection:
        row = request(runtime, connection, "manual", who.by)
    runtime.transport.wake(row.job_id)
    return training_accepted(row)


@router.get("/jobs/{training_id}", summary="Look at a training", responses=failures(404, 422))
def look_at_training(
    training_id: TrainingId, _: Viewer, runtime: RuntimeDep
) -> TrainingJobResponse:
    """State of the training; its result says per task what was adopted and what proved it."""
    with runtime.database.read() as connection:
        return training_job(get_training(connection, training_id))


@router.get("/nightly/status", summary="Look at the schedule", responses=failures())
def look_at_schedule(_: Viewer, runtime: RuntimeDep) -> NightlyStatus:
    """Whether the scheduler is on, and when it begins the next training."""
    return nightly_status(runtime.settings, datetime.now().astimezone())
