"""An incident's upload from request to row, and the clips of its events."""

from __future__ import annotations

from pathlib import PurePosixPath

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from sopilot.api.auth import Principal
from sopilot.api.files import clip_file
from sopilot.api.schemas_incidents import IncidentForm, Uploaded, UploadedAnswer, order_of
from sopilot.api.uploads import Received, clean_filename, drain, receive
from sopilot.core.errors import FileTooLarge, MediaTypeRefused
from sopilot.incidents.highlight import highlight
from sopilot.incidents.prompting import parse_custom
from sopilot.incidents.submit import submit
from sopilot.library.add import max_upload_bytes
from sopilot.runtime import Runtime
from sopilot.sop.tasks import task_opener

_TYPES = frozenset(
    {
        "video/mp4",
        "video/webm",
        "video/quicktime",
        "video/x-msvideo",
        "video/mpeg",
        "video/x-matroska",
    }
)
_ENDINGS = frozenset({".mp4", ".m4v", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".mkv"})
_UNSTATED = frozenset({"", "application/octet-stream", "video/*"})


async def upload_incident(request: Request, runtime: Runtime, principal: Principal) -> Response:
    """Receive and store a video, and queue its analysis; 202.

    Raises MediaTypeRefused, FileTooLarge, BadUpload, RequestValidationError, DiskFull, StoreError;
    then nothing is left behind.
    """
    try:
        with runtime.blobs.stage(max_bytes=max_upload_bytes(runtime)) as staged:
            received = await receive(request, staged)
            form = _form(received)
            _require_video(received)
            order = order_of(
                form,
                parse_custom(form.events) if form.events else {},
                runtime.settings.incident_language,
                clean_filename(received.filename),
            )
            row = await run_in_threadpool(
                submit,
                runtime,
                staged,
                order,
                open_task=task_opener(runtime.settings),
                by=principal.by,
            )
    except FileTooLarge:
        await drain(request, 4 * max_upload_bytes(runtime))
        raise
    stream_url = f"/api/v1/incidents/{row.id}/status/stream"
    told = Uploaded(incident_iid=row.id, status=str(row.status), stream_url=stream_url)
    response = Response(
        UploadedAnswer(data=told).model_dump_json(), 202, media_type="application/json"
    )
    response.headers["Location"] = f"/api/v1/incidents/{row.id}"
    return response


def _form(received: Received) -> IncidentForm:
    try:
        return IncidentForm.model_validate(received.fields)
    except ValidationError as error:
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        ) from error


def _require_video(received: Received) -> None:
    """Raise MediaTypeRefused unless type or, where none is stated, name is that of a video."""
    kind = (received.content_type or "").partition(";")[0].strip().lower()
    ending = PurePosixPath((received.filename or "").lower()).suffix
    if kind in _TYPES or (kind in _UNSTATED and ending in _ENDINGS):
        return
    stated = kind or f"named {received.filename!r}"
    raise MediaTypeRefused(
        f"the file is {stated}; send {', '.join(sorted(_TYPES))}, or a name that ends in "
        f"{', '.join(sorted(_ENDINGS))}"
    )


def highlight_file(runtime: Runtime, incident: str, number: int, request: Request) -> Response:
    """The clip of an event. Raises as `incidents.highlight.highlight`."""
    path, name = highlight(runtime, incident, number)
    return clip_file(path, name, request)
