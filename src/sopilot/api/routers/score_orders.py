"""Scores in numbers: batches, ensembles, and judging completed ones anew."""

from __future__ import annotations

from fastapi import APIRouter, Response

from sopilot.api.auth import Admin, GuardedRoute, Operator, Viewer
from sopilot.api.deps import RuntimeDep, TaskId, answer, failures
from sopilot.api.routers.scores import ScoreId
from sopilot.api.schemas import WeightsRequest, score_job
from sopilot.api.schemas_scores import (
    BatchRequest,
    BatchResponse,
    EnsembleRequest,
    EnsembleResponse,
    RescoreResponse,
    SoftDtwRequest,
    SoftDtwResponse,
    batch_response,
    ensemble_response,
    rescore_response,
    soft_dtw_response,
)
from sopilot.core.errors import Conflict
from sopilot.sop import queries
from sopilot.sop.evaluate import ScoreOrder, submit_all, submit_ensemble
from sopilot.sop.rescore import rescore_task
from sopilot.sop.soft_distance import soft_distance

router = APIRouter(tags=["scores"], route_class=GuardedRoute)


@router.post("/score/batch", summary="Score many pairs", responses=failures(422))
def create_batch(body: BatchRequest, who: Operator, runtime: RuntimeDep) -> BatchResponse:
    """Queue 1 to 50 pairs, all or none: every pair is checked first, and a refusal names every bad
    pair in `details.errors`."""
    orders = [
        ScoreOrder((p.gold_video_id,), p.trainee_video_id, _weights(p.weights)) for p in body.pairs
    ]
    with runtime.database.write() as connection:
        rows = submit_all(runtime, connection, orders, who.by)
    for row in rows:
        runtime.transport.wake(row.job_id)
    return batch_response(rows)


@router.post(
    "/score/ensemble", summary="Score against several golds", responses=failures(404, 409, 422)
)
def create_ensemble(
    body: EnsembleRequest, who: Operator, runtime: RuntimeDep, response: Response
) -> EnsembleResponse:
    """Queue one comparison with 1 to 10 golds, which decides, and one with each gold alone, which
    say how far the golds agree. Poll the address in `Location`, or `GET /score/{job_id}`."""
    golds = tuple(body.gold_video_ids)
    order = ScoreOrder(golds, body.trainee_video_id, _weights(body.weights), kind="ensemble")
    with runtime.database.write() as connection:
        row = submit_ensemble(runtime, connection, order, who.by)
    runtime.transport.wake(row.job_id)
    found = _ensemble(row)
    response.headers["Location"] = found.poll
    return found


@router.get(
    "/score/{job_id}/ensemble",
    summary="Look at an ensemble",
    response_model=EnsembleResponse,
    responses=failures(404, 409),
)
def get_ensemble(job_id: ScoreId, _: Viewer, runtime: RuntimeDep) -> Response:
    """State of the job, and what it found when it is completed."""
    with runtime.database.read() as connection:
        row = queries.get_score(connection, job_id)
    if row.kind != "ensemble":
        raise Conflict(
            f"score job {row.id} is no ensemble; look at GET /score/{row.id}", {"job_id": row.id}
        )
    return answer(_ensemble(row))


@router.post("/admin/rescore", summary="Judge scores anew", responses=failures(404, 409, 422))
def rescore(
    who: Admin, runtime: RuntimeDep, task_id: TaskId = None, dry_run: bool = False
) -> RescoreResponse:
    """Apply the present thresholds, weights, severities and step names to the stored findings of
    all completed scores of a task; nothing is compared again. A dry run writes nothing."""
    wanted = task_id or runtime.settings.primary_task_id
    done = rescore_task(runtime, wanted, who.by, is_dry_run=dry_run)
    return rescore_response(wanted, done, is_dry_run=dry_run)


@router.post(
    "/research/soft-dtw",
    summary="Soft-DTW of two videos",
    tags=["research"],
    responses=failures(404, 409, 422),
)
def research_soft_dtw(body: SoftDtwRequest, _: Operator, runtime: RuntimeDep) -> SoftDtwResponse:
    """Soft dynamic time warping (Cuturi & Blondel 2017) over the clips of a gold and a video of at
    most 2000 clips each; no score is made of it."""
    found = soft_distance(runtime, body.gold_video_id, body.trainee_video_id, body.gamma)
    return soft_dtw_response(found)


def _weights(given: WeightsRequest | None) -> dict[str, float] | None:
    return given.model_dump(exclude_none=True) if given else None


def _ensemble(row: queries.ScoreRow) -> EnsembleResponse:
    return ensemble_response(row, score_job(row), f"/score/{row.id}/ensemble")
