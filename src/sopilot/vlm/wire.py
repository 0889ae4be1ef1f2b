"""The wire form of the earlier inference service, as shapes and as a client.

`POST /analyze_video` takes a whole video and gives events and a timeline, `POST /generate` takes
pictures and a prompt and gives text. Source: contract vigil-incidents 1.4.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sopilot.core.errors import ModelReplyError
from sopilot.vlm.client import Endpoint, Picture, Question, Reply, connections, picture_text
from sopilot.vlm.retry import exchange, failed_with, repeated
from sopilot.vlm.told import MOST_CHARACTERS, readable_json

Shape = TypeVar("Shape", bound=BaseModel)

_MOST_REPLY_BYTES = 16 << 20
_TOLERANCE_SEC = 0.5
_MOST_SEC = 1e7

Seconds = Annotated[float, Field(ge=0, le=_MOST_SEC)]
"""A time in a video, 0 to what no video reaches."""

Count = Annotated[int, Field(ge=0, le=10**9)]


class WireEvent(BaseModel):
    """An event; times in seconds of the video."""

    model_config = ConfigDict(extra="ignore")

    interval_start_sec: Seconds
    interval_end_sec: Seconds
    highlight_start_sec: Seconds
    highlight_end_sec: Seconds
    event_type: str = Field(min_length=1, max_length=64)
    description: str = Field(max_length=4000)

    @model_validator(mode="after")
    def _ordered(self) -> WireEvent:
        if self.interval_end_sec < self.interval_start_sec:
            raise ValueError("interval_end_sec lies before interval_start_sec")
        if self.highlight_end_sec < self.highlight_start_sec:
            raise ValueError("highlight_end_sec lies before highlight_start_sec")
        return self


class WireWindow(BaseModel):
    """A line of the timeline."""

    model_config = ConfigDict(extra="ignore")

    window_idx: Count
    timestamp_sec: Seconds
    interval_end_sec: Seconds | None = None
    label: str | None = Field(default=None, max_length=64)
    has_event: bool | None = None
    caption: str | None = Field(default=None, max_length=4000)
    risk_score: float | None = Field(default=None, ge=0, le=1)
    event_type: str | None = Field(default=None, max_length=64)


class WireMetadata(BaseModel):
    model_config = ConfigDict(extra="ignore")

    duration_sec: Seconds
    num_frames: Count
    num_windows: Count


class WireAnalysis(BaseModel):
    """The answer of `POST /analyze_video`."""

    model_config = ConfigDict(extra="ignore")

    status: str
    inferred_domain: Literal["traffic", "production", "violence", "other"] | None = None
    has_event: bool
    events: list[WireEvent] = Field(max_length=1000)
    timeline: list[WireWindow] = Field(default_factory=list, max_length=100_000)
    metadata: WireMetadata


class GenerateRequest(BaseModel):
    """The body of `POST /generate`."""

    prompt: str = Field(min_length=1, max_length=100_000)
    images_b64: list[str] = Field(max_length=64)
    max_tokens: int = Field(ge=1, le=8192)


class GenerateAnswer(BaseModel):
    """The answer of `POST /generate`."""

    text: str


class WireClient:
    """Talks to such a service; a context manager. Safe between threads.

    Every failure is a ModelError: ModelUnavailable (nobody there, busy, cut off), ModelRefused (the
    request is not accepted), ModelReplyError (the answer is not of the form, or speaks of times
    outside the video).
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._base = endpoint.url.rstrip("/")
        self._http = connections(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def model(self) -> str:
        """What results name as their model."""
        return self._endpoint.model or "analyze_video"

    def analyze_video(
        self,
        path: Path,
        filename: str,
        *,
        duration_sec: float,
        target_fps: float,
        window_sec: float,
        frames_per_window: int,
        max_highlights: int,
        domain: str | None,
    ) -> WireAnalysis:
        """Send a video; the checked answer. duration_sec: of the video, no time may lie beyond."""
        query: dict[str, str | int | float] = {
            "target_fps": target_fps,
            "window_sec": window_sec,
            "frames_per_window": frames_per_window,
            "max_highlights": max_highlights,
        }
        if domain is not None:
            query["domain"] = domain

        kind = mimetypes.guess_type(filename)[0] or "video/mp4"

        def send(_attempt: int) -> WireAnalysis:
            with path.open("rb") as stream:
                files = {"file": (filename, stream, kind)}
                body = self._post("/analyze_video", params=query, files=files)
            found = _checked(WireAnalysis, body)
            _require_sense(found, duration_sec)
            return found

        return repeated(send, self._endpoint.attempts)

    def generate(self, prompt: str, pictures: list[bytes], max_tokens: int) -> str:
        """Text about pictures (JPEG)."""
        images = [base64.b64encode(jpeg).decode() for jpeg in pictures]
        request = GenerateRequest(prompt=prompt, images_b64=images, max_tokens=max_tokens)
        body = self._post("/generate", json=request.model_dump())
        return _checked(GenerateAnswer, body).text

    def ask_for(self, question: Question) -> tuple[BaseModel, Reply]:
        """Put a question through `/generate`; the answer must be JSON of the question's shape."""
        assert question.schema is not None
        shape = question.schema
        texts: list[str] = []
        pictures: list[bytes] = []
        for part in question.parts:
            if isinstance(part, Picture):
                time_text = "" if part.time_sec is None else picture_text(part.time_sec)
                texts.append(f"{time_text} [image {len(pictures) + 1}]")
                pictures.append(part.jpeg)
            else:
                texts.append(part)
        schema = json.dumps(shape.model_json_schema(), ensure_ascii=False)
        texts.append(f"Answer with one JSON object of this schema and nothing else: {schema}")
        begun = time.monotonic()

        def ask(attempt: int) -> tuple[BaseModel, Reply]:
            text = self.generate("\n".join(texts), pictures, question.max_tokens)
            if len(text) > MOST_CHARACTERS:
                error = ModelReplyError(f"the answer has {len(text)} characters")
                raise failed_with(error, text)
            found = _checked(shape, json_in(text))
            taken = time.monotonic() - begun
            return found, Reply(text, self.model, "stop", None, None, attempt, taken)

        return repeated(ask, self._endpoint.attempts)

    def _post(self, route: str, **request: Any) -> bytes:
        return exchange(self._http, "POST", f"{self._base}{route}", _MOST_REPLY_BYTES, **request)


def _checked(shape: type[Shape], body: bytes | str) -> Shape:
    text = body if isinstance(body, str) else body.decode(errors="replace")
    try:
        return shape.model_validate_json(readable_json(text))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the answer"
        failure = ModelReplyError(
            f"the service's answer is not of the form: {place}: {first['msg']}"
        )
        raise failed_with(failure, text) from error


def _require_sense(found: WireAnalysis, duration_sec: float) -> None:
    """Times are the service's own; what lies outside the video was not seen in it. An event of
    which nothing is told would be none in every list."""
    for event in found.events:
        latest = max(event.interval_end_sec, event.highlight_end_sec)
        if latest > duration_sec + _TOLERANCE_SEC:
            raise ModelReplyError(
                f"the service tells of an event at {latest:.2f} s of a video of "
                f"{duration_sec:.2f} s"
            )
    latest = max((line.timestamp_sec for line in found.timeline), default=0.0)
    if latest > duration_sec + _TOLERANCE_SEC:
        raise ModelReplyError(
            f"the service tells of a window at {latest:.2f} s of a video of {duration_sec:.2f} s"
        )
    is_told = bool(found.events) or any(line.has_event for line in found.timeline)
    if found.has_event and not is_told:
        raise ModelReplyError("the service says that there is an event and tells of none")


def json_in(text: str) -> str:
    """The JSON object in a text that may have words around it. Raises ModelReplyError."""
    first, last = text.find("{"), text.rfind("}")
    if first < 0 or last < first:
        raise failed_with(ModelReplyError("the answer holds no JSON object"), text)
    return text[first : last + 1]
