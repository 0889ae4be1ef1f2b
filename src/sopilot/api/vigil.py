"""What the VIGIL routes do beyond one call: receive footage, limit questions, show a keyframe."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from urllib.parse import unquote, urlsplit

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from sopilot.api.auth import Principal
from sopilot.api.schemas_vigil import FootageForm, Transcript, added_shape, transcript_shape
from sopilot.api.uploads import clean_filename, drain, receive
from sopilot.core.errors import (
    BadUpload,
    BlobNotFound,
    FileTooLarge,
    Forbidden,
    InputError,
    RateLimited,
)
from sopilot.core.records import Actor
from sopilot.library import queries as library
from sopilot.library.add import max_upload_bytes
from sopilot.library.look import thumbnails_file
from sopilot.media.keyframes import StripFile
from sopilot.runtime import Runtime
from sopilot.sop.tasks import task_opener
from sopilot.vigil.add import AddedFootage, add_footage, add_footage_file
from sopilot.vigil.transcript import import_transcript, transcript_of

_WAIT_SEC = 10.0


async def receive_footage(request: Request, runtime: Runtime, principal: Principal) -> Response:
    """Take in a file, or one that lies on the server; 200 where its bytes are known, else 201.

    Raises BadUpload, FileTooLarge, Forbidden, RequestValidationError, DiskFull, StoreError; then
    nothing is left behind.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        form = _form(await _json_body(request))
        path = _allowed_path(runtime, form)
        added = await run_in_threadpool(
            add_footage_file,
            runtime,
            path,
            form.order(None),
            open_task=task_opener(runtime.settings),
            by=principal.by,
        )
    else:
        added = await _uploaded(request, runtime, principal)
    body = added_shape(added.footage, is_duplicate=added.is_duplicate)
    response = Response(
        body.model_dump_json(),
        200 if added.is_duplicate else 201,
        media_type="application/json",
    )
    response.headers["Location"] = f"/vigil/videos/{added.footage.uid}"
    return response


async def _uploaded(request: Request, runtime: Runtime, principal: Principal) -> AddedFootage:
    try:
        with runtime.blobs.stage(max_bytes=max_upload_bytes(runtime)) as staged:
            received = await receive(request, staged)
            form = _form(received.fields)
            return await run_in_threadpool(
                add_footage,
                runtime,
                staged,
                form.order(clean_filename(received.filename)),
                open_task=task_opener(runtime.settings),
                by=principal.by,
            )
    except FileTooLarge:
        await drain(request, 4 * max_upload_bytes(runtime))
        raise


async def _json_body(request: Request) -> object:
    try:
        return json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is no JSON ({error}); send an object") from error


def _form(fields: object) -> FootageForm:
    try:
        return FootageForm.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        ) from error


def _allowed_path(runtime: Runtime, form: FootageForm) -> Path:
    """The file that an order names, where files may be taken in from there."""
    if form.uri is None:
        raise BadUpload("the order names no file; set uri, or send the file itself as a form")
    parts = urlsplit(form.uri)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        raise BadUpload(
            f"uri is {form.uri[:200]!r}; name a file of the server, as a path or file:///…"
        )
    named = Path(unquote(parts.path) if parts.scheme else form.uri)
    folders = runtime.settings.vigil_source_dirs
    if not folders:
        raise Forbidden(
            "files of the server are not taken in; name their folders in SOPILOT_VIGIL_SOURCE_DIRS"
        )
    try:
        path = named.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        path = None
    roots = [folder.resolve() for folder in folders]
    if path is None or not any(path.is_relative_to(root) for root in roots):
        # One message for both: a caller must not learn which files there are.
        raise BadUpload(
            f"{form.uri[:200]!r} is no file within SOPILOT_VIGIL_SOURCE_DIRS; check the path"
        )
    return path


@contextmanager
def slot(slots: BoundedSemaphore) -> Iterator[None]:
    """One of the places for searches and questions. Raises RateLimited after ten seconds."""
    if not slots.acquire(timeout=_WAIT_SEC):
        raise RateLimited(
            "too many searches and questions at the same time; retry in a moment, or raise "
            "SOPILOT_VIGIL_CONCURRENT_QUERIES",
            {"retry_after_sec": math.ceil(_WAIT_SEC)},
        )
    try:
        yield
    finally:
        slots.release()


def keyframe(runtime: Runtime, video: str, time_sec: float) -> Response:
    """The stored thumbnail nearest to a moment, masked when masks are on.

    Raises VideoNotFound, VideoNotReady, BlobNotFound, InputError beyond the video.
    """
    with runtime.database.read() as connection:
        row = library.get_ready_video(connection, video)
    duration_sec = row.duration_sec or 0.0
    if time_sec > duration_sec:
        raise InputError(f"time_sec is {time_sec}, the video has 0 to {duration_sec:.1f} s")
    path = thumbnails_file(runtime, row)
    with StripFile(path) as strip:
        if not len(strip):
            raise BlobNotFound(f"video {row.uid} has no thumbnail; upload the file again")
        place = strip.nearest(time_sec)
        jpeg, shown_sec = strip.jpeg(place), float(strip.times_sec[place])
    headers = {"Cache-Control": "private, max-age=3600", "X-Time-Sec": f"{shown_sec:.3f}"}
    return Response(jpeg, media_type="image/jpeg", headers=headers)


async def store_transcript(runtime: Runtime, video: str, data: bytes, by: Actor) -> Transcript:
    """Import a subtitle file. Raises as `vigil.transcript.put_transcript`."""
    return await run_in_threadpool(_store_transcript, runtime, video, data, by)


def _store_transcript(runtime: Runtime, video: str, data: bytes, by: Actor) -> Transcript:
    read = import_transcript(runtime, video, data, by)
    with runtime.database.read() as connection:
        uid, rows = transcript_of(connection, video)
    return transcript_shape(uid, rows, read.notes)
