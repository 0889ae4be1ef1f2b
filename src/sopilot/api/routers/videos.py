"""Videos: upload, list, look, quality, bytes."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import FileResponse

from sopilot.api import ingest
from sopilot.api.auth import Access, Admin, GuardedRoute, Operator, Viewer, require
from sopilot.api.deps import Offset, RuntimeDep, TaskId, answer, failures
from sopilot.api.files import video_file
from sopilot.api.schemas import (
    IngestJobResponse,
    QualityReportResponse,
    VideoDetailResponse,
    VideoIngestResponse,
    VideoPage,
    ingest_job,
    video_detail,
    video_item,
)
from sopilot.api.schemas_videos import (
    DatasetSummary,
    VideoDeleted,
    VideoUpdate,
    dataset_summary,
    video_deleted,
)
from sopilot.core.records import Role
from sopilot.jobs import queries as jobs
from sopilot.library import queries
from sopilot.library.play import file_of
from sopilot.library.schemas import VideoFilter, VideoStatus
from sopilot.sop.forget import change_video, delete_video
from sopilot.sop.tasks import get_profile

router = APIRouter(tags=["videos"], route_class=GuardedRoute)

VideoId = Annotated[str, Path(max_length=36, description="Integer id or UUID.")]


@router.post(
    "/gold",
    summary="Upload a gold (reference) video",
    response_model=VideoIngestResponse,
    responses=ingest.ACCEPTED | failures(400, 409, 413, 422),
    openapi_extra=ingest.request_body(is_gold=True),
)
async def upload_gold(request: Request, principal: Operator, runtime: RuntimeDep) -> Response:
    """Store and analyse a gold. With `enforce_quality=true` a recording below the quality limits
    is refused with 422 and removed."""
    return await ingest.upload(request, runtime, principal, Role.GOLD)


@router.post(
    "/videos",
    summary="Upload a trainee video",
    response_model=VideoIngestResponse,
    responses=ingest.ACCEPTED | failures(400, 409, 413, 422),
    openapi_extra=ingest.request_body(is_gold=False),
)
async def upload_video(request: Request, principal: Operator, runtime: RuntimeDep) -> Response:
    """Store and analyse a video. Answers when it is ready; with `?async=true` or
    `Prefer: respond-async` at once, with 202 and the job's address in `Location`."""
    return await ingest.upload(request, runtime, principal, None)


@router.get("/videos", summary="List videos", responses=failures(422))
def list_videos(
    _: Viewer,
    runtime: RuntimeDep,
    task_id: Annotated[str | None, Query(max_length=128)] = None,
    role: Literal["gold", "trainee", "audit", "footage"] | None = None,
    site_id: Annotated[str | None, Query(max_length=128)] = None,
    is_gold: bool | None = None,
    operator_id_hash: Annotated[str | None, Query(max_length=128)] = None,
    status: Literal["processing", "ready", "failed"] | None = None,
    limit: Annotated[int, Query(ge=1, le=2000)] = 200,
    offset: Offset = 0,
) -> VideoPage:
    """Newest first; `total` counts what the filter matches. Footage only with `role=footage`."""
    state = VideoStatus(status) if status else None
    kind = Role(role) if role else None
    chosen = VideoFilter(task_id, kind, site_id, is_gold, operator_id_hash, state)
    with runtime.database.read() as connection:
        rows, total = queries.list_videos(connection, chosen, limit, offset)
    items = [video_item(row) for row in rows]
    return VideoPage(items=items, total=total, has_more=offset + len(items) < total)


@router.get("/videos/jobs/{job_id}", summary="Look at an ingest job", responses=failures(404))
def get_ingest_job(job_id: VideoId, _: Viewer, runtime: RuntimeDep) -> IngestJobResponse:
    """State and progress of the job that makes a video ready."""
    with runtime.database.read() as connection:
        job = jobs.get_job(connection, job_id)
        return ingest_job(queries.get_video_of_job(connection, job.id), job)


@router.get(
    "/videos/{video_id}",
    summary="Look at a video",
    response_model=VideoDetailResponse,
    responses=failures(404),
)
def get_video(video_id: VideoId, _: Viewer, runtime: RuntimeDep) -> Response:
    """Everything that is known about a video; a failed one has `error`."""
    with runtime.database.read() as connection:
        return answer(video_detail(queries.get_video(connection, video_id)))


@router.patch(
    "/videos/{video_id}",
    summary="Change what is said about a video",
    responses=failures(404, 422),
)
def patch_video(
    video_id: VideoId, changes: VideoUpdate, who: Operator, runtime: RuntimeDep
) -> VideoDetailResponse:
    """Change site, camera, operator or time of recording; null leaves a field as it is."""
    given = changes.model_dump(exclude_none=True)
    with runtime.database.write() as connection:
        return video_detail(change_video(connection, video_id, given, who.by))


@router.delete("/videos/{video_id}", summary="Delete a video", responses=failures(404, 409, 422))
def remove_video(
    video_id: VideoId, who: Admin, runtime: RuntimeDep, force: bool = False
) -> VideoDeleted:
    """Remove a video with all that was made of it. With `force=true` also its scores, their
    reviews, and the jobs that work on it; without, such a video answers 409."""
    with runtime.database.write() as connection:
        found = delete_video(runtime, connection, video_id, who.by, is_forced=force)
    return video_deleted(found)


@router.get("/dataset/summary", summary="Count what a task has collected", responses=failures(404))
def get_dataset_summary(_: Viewer, runtime: RuntimeDep, task_id: TaskId = None) -> DatasetSummary:
    """Videos by role and site, beside what a pilot should collect."""
    wanted = task_id or runtime.settings.primary_task_id
    with runtime.database.read() as connection:
        get_profile(connection, runtime.settings, wanted)
        return dataset_summary(wanted, queries.dataset_figures(connection, wanted))


@router.get(
    "/videos/{video_id}/quality", summary="Read the quality report", responses=failures(404, 409)
)
def get_quality(video_id: VideoId, _: Viewer, runtime: RuntimeDep) -> QualityReportResponse:
    """The report that was made when the video was analysed."""
    with runtime.database.read() as connection:
        video = queries.get_ready_video(connection, video_id)
    return QualityReportResponse.model_validate(video.quality)


@router.head("/videos/{video_id}/file", include_in_schema=False)
@router.get(
    "/videos/{video_id}/file",
    summary="Download the video",
    response_class=FileResponse,
    responses=ingest.BYTES | failures(404, 409, 422),
)
@router.head("/videos/{video_id}/stream", include_in_schema=False)
@router.get(
    "/videos/{video_id}/stream",
    summary="Play the video",
    response_class=FileResponse,
    responses=ingest.BYTES | failures(404, 409, 422),
)
def get_file(
    video_id: VideoId, request: Request, who: Viewer, runtime: RuntimeDep, raw: bool = False
) -> Response:
    """The masked copy where the privacy mask is on, else the upload; `raw=true` (admin) always the
    upload. Range, HEAD and If-None-Match are understood."""
    if raw:
        require(who, Access.ADMIN)
    with runtime.database.read() as connection:
        video = queries.get_ready_video(connection, video_id)
        file = file_of(runtime, connection, video, is_raw=raw)
    return video_file(video, file, request)
