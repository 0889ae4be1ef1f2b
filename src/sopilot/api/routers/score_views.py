"""A score from other sides: timeline, interval, progress, exports, and a person's verdict."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, cast

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from sopilot.api.auth import Gate, GuardedRoute, Operator, Viewer
from sopilot.api.deps import RuntimeDep, answer, failures
from sopilot.api.routers.scores import ScoreId
from sopilot.api.schemas import ScoreJobResponse, score_job
from sopilot.api.schemas_scores import (
    ReviewRequest,
    ReviewResponse,
    TimelineResponse,
    UncertaintyResponse,
    review_response,
    timeline_response,
    uncertainty_response,
)
from sopilot.api.streams import score_stream
from sopilot.sop import queries
from sopilot.sop.export import csv_export, record_export
from sopilot.sop.queries import ExportFilter
from sopilot.sop.result_row import completed
from sopilot.sop.reviews import review_score
from sopilot.sop.schemas import Decision

router = APIRouter(tags=["scores"], route_class=GuardedRoute)

Text = Annotated[str | None, Query(max_length=128)]
_CSV: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "job_id,task_id,gold_video_id,trainee_video_id\n1,pilot_task,1,2\n",
            }
        },
        "description": "Lines of CSV; the first names the columns.",
    }
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/event-stream": {
                "example": 'event: done\ndata: {"job_id": 1, "final_status": "completed"}\n\n'
            }
        },
        "description": "Events `status`, `done`, `error`.",
    },
    204: {"description": "The client heard the end of this score already (Last-Event-ID)."},
}


@router.get(
    "/score/export/csv",
    summary="Export scores as CSV",
    response_class=StreamingResponse,
    responses=_CSV | failures(422),
)
def export_csv(
    who: Operator,
    runtime: RuntimeDep,
    task_id: Text = None,
    site_id: Text = None,
    operator_id: Text = None,
    decision: Decision | None = None,
    since: Annotated[date | None, Query(description="First UTC day of completion.")] = None,
    before: Annotated[date | None, Query(description="UTC day after the last one.")] = None,
) -> StreamingResponse:
    """Completed scores, newest first; cells that a spreadsheet would run are made harmless."""
    days = [day.isoformat() if day else None for day in (since, before)]
    chosen = ExportFilter(task_id, site_id, operator_id, decision, *days)
    return StreamingResponse(
        csv_export(runtime, chosen, who.by),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="sopilot_scores.csv"'},
    )


@router.get(
    "/score/{job_id}/export",
    summary="Export a score",
    response_model=ScoreJobResponse,
    responses=failures(404, 409),
)
def export_score(job_id: ScoreId, who: Operator, runtime: RuntimeDep) -> Response:
    """The same JSON as `GET /score/{job_id}`, of a completed score, as a file."""
    with runtime.database.write() as connection:
        row, _ = completed(connection, job_id)
        body = score_job(row, queries.find_review(connection, row.id))
        record_export(connection, who.by, f"score:{row.id}", row.task_id, form="json")
    response = answer(body)
    response.headers["Content-Disposition"] = f'attachment; filename="sopilot_job{row.id}.json"'
    return response


@router.put("/score/{job_id}/review", summary="Review a score", responses=failures(404, 409, 422))
def put_review(
    job_id: ScoreId, body: ReviewRequest, who: Operator, runtime: RuntimeDep
) -> ReviewResponse:
    """Store a person's verdict on a completed score; a later one takes its place."""
    with runtime.database.write() as connection:
        row, stored = review_score(connection, job_id, body.verdict, body.note, who.by)
    return review_response(row, stored)


@router.get("/score/{job_id}/timeline", summary="Steps of a score", responses=failures(404, 409))
def get_timeline(job_id: ScoreId, _: Viewer, runtime: RuntimeDep) -> TimelineResponse:
    """Where each step is in both videos, and what went differently in it."""
    with runtime.database.read() as connection:
        return timeline_response(*completed(connection, job_id))


@router.get(
    "/score/{job_id}/uncertainty", summary="Interval of a score", responses=failures(404, 409)
)
def get_uncertainty(job_id: ScoreId, _: Viewer, runtime: RuntimeDep) -> UncertaintyResponse:
    """The stored interval: the same as in the result."""
    with runtime.database.read() as connection:
        return uncertainty_response(*completed(connection, job_id))


@router.get(
    "/score/{job_id}/stream",
    summary="Follow a score",
    response_class=StreamingResponse,
    responses=_EVENTS | failures(404, 422),
)
async def stream_score(
    job_id: ScoreId,
    request: Request,
    _: Viewer,
    runtime: RuntimeDep,
    poll_interval: Annotated[float, Query(ge=0.5, le=10.0)] = 1.0,
    last_event_id: Annotated[str | None, Header(max_length=128)] = None,
) -> Response:
    """Server-sent events: `status` on every change, then `done`; `error` if the score is deleted.
    A client that sends `Last-Event-ID` goes on where it was."""
    is_stopping = lambda: bool(request.app.state.is_stopping())  # noqa: E731
    hold = cast(Gate, request.app.state.gate).hold_stream(request)
    return await score_stream(runtime, job_id, poll_interval, last_event_id, is_stopping, hold)
