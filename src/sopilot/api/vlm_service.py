"""`sopilot vlm serve`: the earlier inference service's interface, on top of our client.

Keeps nothing: a video is looked through while its caller waits, in a folder that goes afterwards.
"""

from __future__ import annotations

import base64
import binascii
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, Form, Query, Response, UploadFile

from sopilot import __version__
from sopilot.api.errors import install_error_handlers
from sopilot.core.config import Settings
from sopilot.core.errors import FileTooLarge, InputError, ModelUnavailable
from sopilot.incidents.one_shot import Wish, analyze_file
from sopilot.incidents.page import MEDIA_TYPES
from sopilot.incidents.wire_report import report_from_json
from sopilot.vlm.client import Picture, Question, VlmClient
from sopilot.vlm.open import endpoint_of, named
from sopilot.vlm.wire import GenerateAnswer, GenerateRequest, WireAnalysis

Domain = Literal["traffic", "production", "violence", "other"]
_READ_BYTES = 1 << 20


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

    @app.get("/health", summary="Is the model there")
    def health() -> dict[str, Any]:
        with VlmClient(endpoint) as client:
            return {"status": "ok", "models": list(client.models())}

    @app.post("/analyze_video", summary="Look through a video once")
    def analyze_video(
        file: Annotated[UploadFile, File()],
        target_fps: Annotated[float, Query(ge=0.5, le=30)] = settings.incident_target_fps,
        window_sec: Annotated[float, Query(ge=0.2, le=60)] = settings.incident_window_sec,
        frames_per_window: Annotated[int, Query(ge=1, le=32)] = settings.incident_frames_per_window,
        max_highlights: Annotated[int, Query(ge=1, le=100)] = settings.incident_max_highlights,
        domain: Domain | None = None,
    ) -> WireAnalysis:
        wish = Wish(target_fps, window_sec, frames_per_window, max_highlights, domain)
        folder = Path(tempfile.mkdtemp(prefix="sopilot-vlm-"))
        try:
            path = _received(file, folder, settings.max_upload_mb)
            with VlmClient(named(endpoint)) as client:
                name = file.filename or "the upload"
                return analyze_file(settings, client, path, name, wish, folder / "work")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @app.post("/generate", summary="Text about pictures")
    def generate(order: GenerateRequest) -> GenerateAnswer:
        pictures = [Picture(None, _jpeg(text)) for text in order.images_b64]
        question = Question((*pictures, order.prompt), None, order.max_tokens)
        with VlmClient(named(endpoint)) as client:
            return GenerateAnswer(text=client.ask(question).text)

    @app.post("/generate_report_from_json", summary="A report from a stored analysis")
    def generate_report(
        analysis_json: Annotated[str, Form(max_length=20_000_000)],
        return_format: Annotated[Literal["docx", "pdf", "json"], Query()] = "docx",
        language: Annotated[Literal["ru", "en", "ja"] | None, Query()] = None,
    ) -> Response:
        data = report_from_json(
            analysis_json, return_format, language or settings.incident_language
        )
        headers = {"Content-Disposition": f'attachment; filename="report.{return_format}"'}
        return Response(data, media_type=MEDIA_TYPES[return_format], headers=headers)

    return app


def _received(file: UploadFile, folder: Path, most_mb: int) -> Path:
    path = folder / "upload"
    size_bytes, limit = 0, most_mb << 20
    with path.open("wb") as stream:
        while block := file.file.read(_READ_BYTES):
            size_bytes += len(block)
            if size_bytes > limit:
                raise FileTooLarge(f"the upload has more than {limit} bytes; send a smaller file")
            stream.write(block)
    return path


def _jpeg(text: str) -> bytes:
    try:
        return base64.b64decode(text.partition(",")[2] or text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"an image is not base64 ({error}); send JPEG bytes so") from error
