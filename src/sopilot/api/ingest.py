"""An upload from request to answer: receive, store, wait for the ingest job, report.

By default the answer waits until the video is ready or failed, as the older interface does;
clients that ask for it, and waits that last too long or outlive the server, get 202 and poll.
"""

from __future__ import annotations

import math
import time
from typing import Any

import anyio
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from sopilot.api.auth import Principal
from sopilot.api.schemas import (
    ErrorEnvelope,
    VideoIngestResponse,
    ingest_failure,
    ingest_response,
)
from sopilot.api.uploads import UploadForm, clean_filename, drain, receive
from sopilot.core.errors import FileTooLarge
from sopilot.core.records import Role
from sopilot.jobs import queries as jobs
from sopilot.jobs.records import Job, JobState
from sopilot.library import queries
from sopilot.library.add import AddedVideo, add_staged, max_upload_bytes, require_quality
from sopilot.library.schemas import VideoRow
from sopilot.runtime import Runtime
from sopilot.sop.tasks import task_opener

_FIRST_LOOK_SEC = 0.05
_SLOWEST_LOOK_SEC = 0.3

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": VideoIngestResponse,
        "description": "Stored, not analysed yet; poll the address in `Location`.",
    }
}
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"video/*": {}}, "description": "The whole file."},
    206: {"content": {"video/*": {}}, "description": "The range that was asked for."},
    304: {"description": "The client has these bytes."},
    416: {"model": ErrorEnvelope, "description": "The range lies outside the file."},
}


def request_body(*, is_gold: bool) -> dict[str, Any]:
    """OpenAPI of the two forms of an upload, which are parsed while they stream."""
    fields = UploadForm.model_json_schema()["properties"]
    unused = ("role",) if is_gold else ("enforce_quality",)
    fields = {name: schema for name, schema in fields.items() if name not in unused}
    file = {"type": "string", "format": "binary", "description": "The video."}
    form = {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
    content = {
        "multipart/form-data": {"schema": form},
        "video/*": {
            "schema": {"type": "string", "format": "binary"},
        },
    }
    query = [
        {"name": name, "in": "query", "schema": {"type": kind}, "description": text}
        for name, kind, text in (
            ("async", "boolean", "Answer 202 at once."),
            ("filename", "string", "Name of the file, for a raw body (fields go to the query)."),
        )
    ]
    return {"requestBody": {"required": True, "content": content}, "parameters": query}


async def upload(
    request: Request, runtime: Runtime, principal: Principal, role: Role | None
) -> Response:
    """Receive, store and analyse one upload; `role` is what the route fixes.

    Raises what receiving, storing and the ingest job make of it; then nothing is left behind.
    """
    try:
        added = await _store(request, runtime, principal, role)
    except FileTooLarge:
        await drain(request, 4 * max_upload_bytes(runtime))
        raise
    if _wants_async(request) or runtime.settings.ingest_mode == "async":
        return _accepted(request, added.video, added.job, is_duplicate=added.is_duplicate)
    job = await _wait(request, runtime, added.job)
    video = await run_in_threadpool(_read_video, runtime, added.video.id)
    if not job.is_finished:
        return _accepted(request, video, job, is_duplicate=added.is_duplicate)
    if job.state is not JobState.COMPLETED:
        raise ingest_failure(video, job)
    if added.is_gate_wanted:
        require_quality(video)
    return _answer(200, video, job, is_duplicate=added.is_duplicate)


async def _store(
    request: Request, runtime: Runtime, principal: Principal, role: Role | None
) -> AddedVideo:
    with runtime.blobs.stage(max_bytes=max_upload_bytes(runtime)) as staged:
        received = await receive(request, staged)
        order = received.form().upload(
            role=role,
            task_id=runtime.settings.primary_task_id,
            filename=clean_filename(received.filename),
        )
        return await run_in_threadpool(
            add_staged,
            runtime,
            staged,
            order,
            open_task=task_opener(runtime.settings),
            by=principal.by,
        )


async def _wait(request: Request, runtime: Runtime, job: Job) -> Job:
    """The job at its end, or as it is after the longest wait or when server or client stop.

    Holds no thread while it waits.
    """
    is_bounded = runtime.settings.ingest_mode == "auto"
    most_sec = runtime.settings.ingest_wait_seconds if is_bounded else math.inf
    deadline_sec = time.monotonic() + most_sec
    pause_sec = _FIRST_LOOK_SEC
    while not job.is_finished and time.monotonic() < deadline_sec:
        if request.app.state.is_stopping() or await request.is_disconnected():
            break
        await anyio.sleep(pause_sec)
        pause_sec = min(1.5 * pause_sec, _SLOWEST_LOOK_SEC)
        job = await run_in_threadpool(_read_job, runtime, job.id)
    return job


def _read_job(runtime: Runtime, job_id: int) -> Job:
    with runtime.database.read() as connection:
        return jobs.get_job(connection, job_id)


def _read_video(runtime: Runtime, video_id: int) -> VideoRow:
    with runtime.database.read() as connection:
        return queries.get_video(connection, video_id)


def _wants_async(request: Request) -> bool:
    asked = request.query_params.get("async", "").lower()
    preferred = request.headers.get("prefer", "").lower()
    return asked in {"1", "true", "yes", "on"} or "respond-async" in preferred


def _accepted(request: Request, video: VideoRow, job: Job, *, is_duplicate: bool) -> Response:
    if job.is_finished:
        return _answer(200, video, job, is_duplicate=is_duplicate)
    response = _answer(202, video, job, is_duplicate=is_duplicate)
    prefix = request.url.path.rstrip("/").rpartition("/")[0]
    response.headers["Location"] = f"{prefix}/videos/jobs/{job.uid}"
    return response


def _answer(status: int, video: VideoRow, job: Job, *, is_duplicate: bool) -> Response:
    body = ingest_response(video, job, is_duplicate=is_duplicate)
    return JSONResponse(body.model_dump(mode="json"), status_code=status)
