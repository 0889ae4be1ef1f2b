"""Scores: order, list, poll, cancel, run again."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from sopilot.api.auth import GuardedRoute, Operator, Viewer
from sopilot.api.deps import Offset, RuntimeDep, answer, failures
from sopilot.api.schemas import (
    ScoreJobResponse,
    ScorePage,
    ScoreRequest,
    score_item,
    score_job,
)
from sopilot.jobs.loop import cancel_job
from sopilot.sop import queries
from sopilot.sop.evaluate import ScoreOrder, resubmit, submit
from sopilot.sop.jobs import cancel_recorder
from sopilot.worker import kinds_of

router = APIRouter(tags=["scores"], route_class=GuardedRoute)

ScoreId = Annotated[str, Path(max_length=36, description="Integer id or UUID.")]
Status = Literal["queued", "running", "completed", "failed", "cancelled"]


@router.post("/score", summary="Score a video against a gold", responses=failures(404, 409, 422))
def create_score(order: ScoreRequest, who: Operator, runtime: RuntimeDep) -> ScoreJobResponse:
    """Queue a score job; poll `GET /score/{job_id}` until it is completed or failed."""
    weights = order.weights.model_dump(exclude_none=True) if order.weights else None
    wanted = ScoreOrder((order.gold_video_id,), order.trainee_video_id, weights)
    with runtime.database.write() as connection:
        row = submit(runtime, connection, wanted, who.by)
    runtime.transport.wake(row.job_id)
    return score_job(row)


@router.get("/score", summary="List score jobs", responses=failures(422))
def list_scores(
    _: Viewer,
    runtime: RuntimeDep,
    status: Status | None = None,
    task_id: Annotated[str | None, Query(max_length=128)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Offset = 0,
) -> ScorePage:
    """Newest first; `total` counts what the filter matches."""
    with runtime.database.read() as connection:
        rows, total = queries.list_scores(
            connection, status=status, task_id=task_id, limit=limit, offset=offset
        )
    items = [score_item(row) for row in rows]
    return ScorePage(items=items, total=total, has_more=offset + len(items) < total)


@router.get(
    "/score/{job_id}",
    summary="Look at a score job",
    response_model=ScoreJobResponse,
    responses=failures(404),
)
def get_score(job_id: ScoreId, _: Viewer, runtime: RuntimeDep) -> Response:
    """State of the job, with the result when it is completed and the error when it failed."""
    with runtime.database.read() as connection:
        row = queries.get_score(connection, job_id)
        return answer(score_job(row, queries.find_review(connection, row.id)))


@router.post("/score/{job_id}/cancel", summary="Cancel a score job", responses=failures(404, 409))
def cancel_score(job_id: ScoreId, who: Operator, runtime: RuntimeDep) -> ScoreJobResponse:
    """A waiting job is cancelled at once, a running one as soon as its worker looks."""
    with runtime.database.read() as connection:
        row = queries.get_score(connection, job_id)
    cancel_job(runtime.database, kinds_of(runtime), row.job_id, cancel_recorder(row, who.by))
    with runtime.database.read() as connection:
        return score_job(queries.get_score(connection, job_id))


@router.post("/score/{job_id}/rerun", summary="Score again", responses=failures(404, 409, 422))
def rerun_score(job_id: ScoreId, who: Operator, runtime: RuntimeDep) -> ScoreJobResponse:
    """Queue a new job for the same videos and weights."""
    with runtime.database.write() as connection:
        row = resubmit(runtime, connection, job_id, who.by)
    runtime.transport.wake(row.job_id)
    return score_job(row)
