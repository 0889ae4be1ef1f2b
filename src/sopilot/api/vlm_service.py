"""`sopilot vlm serve`: the earlier inference service's interface, on top of our client.

Keeps nothing: a video is looked through while its caller waits, in a folder that goes afterwards.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, Query, Request, Response, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile as StarletteUpload

from sopilot import __version__
from sopilot.api.bodies import BodyLimit
from sopilot.api.deps import MEANINGS
from sopilot.api.errors import STATUS, install_error_handlers
from sopilot.api.examples import error_example
from sopilot.api.schemas import ErrorEnvelope
from sopilot.core.config import Settings
from sopilot.core.errors import FileTooLarge, InputError, ModelUnavailable
from sopilot.incidents.one_shot import Wish, analyze_file, highlight_pictures
from sopilot.incidents.page import MEDIA_TYPES
from sopilot.incidents.schemas import Domain, Language
from sopilot.incidents.wire_report import analysis_report, highlights_of, read_analysis
from sopilot.media.picture_size import jpeg_size_px
from sopilot.vlm.client import Picture, Question, VlmClient
from sopilot.vlm.open import endpoint_of, named
from sopilot.vlm.wire import GenerateAnswer, GenerateRequest, WireAnalysis

_READ_BYTES = 1 << 20
_MOST_ANALYSIS_BYTES = 32 << 20
_MOST_PICTURES_BYTES = 64 << 20
_FORM_BYTES = 1 << 20
"""Room for what a form has besides its file."""

_REPORT_FORM = {
    "type": "object",
    "required": ["analysis_json"],
    "properties": {
        "analysis_json": {
            "type": "string",
            "description": "What `/analyze_video` or `GET /api/v1/incidents/{iid}` answered; a "
            "field or a file.",
        },
        "video": {
            "type": "string",
            "format": "binary",
            "description": "The video; events then have a picture.",
        },
    },
}


def create_vlm_app(settings: Settings) -> FastAPI:
    """The service. Raises ModelUnavailable when no model is configured."""
    endpoint = endpoint_of(settings)
    if endpoint is None or settings.vlm_protocol != "openai":
        raise ModelUnavailable(
            "sopilot vlm serve stands before an OpenAI-compatible server; set SOPILOT_VLM_URL to "
            "one and SOPILOT_VLM_PROTOCOL=openai"
        )
    app = FastAPI(title="SOPilot VLM service", version=__version__, redoc_url=None)
    app.state.settings = settings
    install_error_handlers(app)
    upload_bytes = settings.max_upload_mb << 20
    limits = {
        "/analyze_video": upload_bytes + _FORM_BYTES,
        "/generate": _MOST_PICTURES_BYTES,
        "/generate_report_from_json": upload_bytes + _MOST_ANALYSIS_BYTES + _FORM_BYTES,
    }
    app.add_middleware(BodyLimit, larger=limits)

    @app.get("/health", summary="Is the model there", responses=_failures(502, 503))
    def health() -> dict[str, Any]:
        with VlmClient(endpoint) as client:
            return {"status": "ok", "models": list(client.models())}

    @app.post(
        "/analyze_video",
        summary="Look through a video once",
        responses=_failures(400, 413, 422, 502, 503, 507),
    )
    def analyze_video(
        file: Annotated[UploadFile, File()],
        target_fps: Annotated[float, Query(ge=0.5, le=30)] = settings.incident_target_fps,
        window_sec: Annotated[float, Query(ge=0.2, le=60)] = settings.incident_window_sec,
        frames_per_window: Annotated[int, Query(ge=1, le=32)] = settings.incident_frames_per_window,
        max_highlights: Annotated[int, Query(ge=1, le=100)] = settings.incident_max_highlights,
        domain: Domain | None = None,
    ) -> WireAnalysis:
        wish = Wish(target_fps, window_sec, frames_per_window, max_highlights, domain)
        with _received(file, settings) as path, VlmClient(named(endpoint)) as client:
            name = file.filename or "the upload"
            return analyze_file(settings, client, path, name, wish, path.parent / "work")

    @app.post("/generate", summary="Text about pictures", responses=_failures(413, 422, 502, 503))
    def generate(order: GenerateRequest) -> GenerateAnswer:
        pictures = [Picture(None, _jpeg(text, settings.max_pixels)) for text in order.images_b64]
        question = Question((*pictures, order.prompt), None, order.max_tokens)
        with VlmClient(named(endpoint)) as client:
            return GenerateAnswer(text=client.ask(question).text)

    @app.post(
        "/generate_report_from_json",
        summary="A report from a stored analysis",
        response_class=Response,
        responses=_REPORT | _failures(400, 413, 422, 507),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": _REPORT_FORM}},
            }
        },
    )
    async def generate_report(
        request: Request,
        return_format: Annotated[Literal["docx", "pdf", "json"], Query()] = "docx",
        language: Annotated[Language | None, Query()] = None,
    ) -> Response:
        async with request.form(
            max_files=2, max_fields=10, max_part_size=_MOST_ANALYSIS_BYTES
        ) as form:
            text = await _analysis_text(form.get("analysis_json"))
            video = form.get("video")
            file = video if isinstance(video, StarletteUpload) and video.size else None
            data = await run_in_threadpool(
                _report, settings, text, file, return_format, language or settings.incident_language
            )
        headers = {"Content-Disposition": f'attachment; filename="report.{return_format}"'}
        return Response(data, media_type=MEDIA_TYPES[return_format], headers=headers)

    return app


_REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in MEDIA_TYPES.values()
        },
    }
}


def _failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "model": ErrorEnvelope,
            "description": MEANINGS[status],
            "content": {"application/json": {"example": error_example(status, STATUS)}},
        }
        for status in statuses
    }


async def _analysis_text(given: StarletteUpload | str | None) -> str:
    """The text of the field or file. Raises InputError, FileTooLarge."""
    if given is None:
        raise InputError("analysis_json is missing; send it as a form field or file")
    if isinstance(given, str):
        return given
    if (given.size or 0) > _MOST_ANALYSIS_BYTES:
        raise FileTooLarge(f"analysis_json has more than {_MOST_ANALYSIS_BYTES} bytes")
    try:
        return (await given.read()).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"analysis_json is no UTF-8 text ({error.reason})") from error


def _report(
    settings: Settings,
    text: str,
    video: StarletteUpload | None,
    form: Literal["docx", "pdf", "json"],
    language: Language,
) -> bytes:
    found = read_analysis(text)
    highlights = highlights_of(found)
    if video is None or not highlights:
        return analysis_report(found, form, language)
    with _received(video, settings) as path:
        name = video.filename or "the video"
        pictures = highlight_pictures(settings, path, name, highlights, path.parent / "work")
    return analysis_report(found, form, language, pictures)


@contextmanager
def _received(file: StarletteUpload, settings: Settings) -> Iterator[Path]:
    """An upload as a file in a folder of its own for a while. Raises FileTooLarge."""
    size_bytes, limit = 0, settings.max_upload_mb << 20
    with tempfile.TemporaryDirectory(prefix="sopilot-vlm-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "upload"
        with path.open("wb") as stream:
            while block := file.file.read(_READ_BYTES):
                size_bytes += len(block)
                if size_bytes > limit:
                    raise FileTooLarge(
                        f"the upload has more than {limit} bytes; send a smaller file"
                    )
                stream.write(block)
        yield path


def _jpeg(text: str, most_pixels: int) -> bytes:
    """The bytes of a picture that the model's server can open. Raises InputError."""
    try:
        data = base64.b64decode(text.partition(",")[2] or text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"an image is not base64 ({error}); send JPEG bytes so") from error
    size_px = jpeg_size_px(data)
    if size_px is None:
        raise InputError("an image is no JPEG; send JPEG bytes in base64")
    if size_px[0] * size_px[1] > most_pixels:
        raise InputError(
            f"an image has {size_px[0]}x{size_px[1]} pixels, at most {most_pixels} in all are "
            "taken; send a smaller one"
        )
    return data
