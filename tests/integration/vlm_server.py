"""An OpenAI-compatible server for tests that looks at the pixels it is sent.

Strict about every request: an unknown field, a picture that is none, too many of them, a missing
schema, a wrong key or model get a 4xx. What it answers comes from the `see` of the test, which gets
the pictures and the times that were stated before them; faults are played by a script.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

MODEL = "tiny-vl"
KEY = "vlm-test-key"
CLOCK_BITS = 20

Pixels = NDArray[np.uint8]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Url(_Strict):
    url: str = Field(pattern=r"^data:image/jpeg;base64,")


class _Part(_Strict):
    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: _Url | None = None


class _Message(_Strict):
    role: Literal["user", "system"]
    content: list[_Part] = Field(min_length=1)


class _Schema(_Strict):
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    schema_: dict[str, Any] = Field(alias="schema")
    strict: Literal[True]


class _Format(_Strict):
    type: Literal["json_schema"]
    json_schema: _Schema


class _Request(_Strict):
    model: str
    messages: list[_Message] = Field(min_length=1)
    temperature: Literal[0]
    seed: int
    max_tokens: int = Field(ge=1, le=32768)
    response_format: _Format | None = None
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=20)


@dataclass(frozen=True)
class Seen:
    """A picture as the model gets it, with the time that was stated before it."""

    time_sec: float | None
    pixels: Pixels


@dataclass(frozen=True)
class Asked:
    """A request that was accepted."""

    pictures: tuple[Seen, ...]
    prompt: str
    schema: dict[str, Any] | None
    max_tokens: int
    picture_bytes: int


class _Embeddings(_Strict):
    model: str
    input: list[str] = Field(min_length=1, max_length=2048)
    encoding_format: Literal["float"]


See = Callable[[Asked], Any]
"""What the model answers: an object for JSON, or a text."""


@dataclass
class Script:
    """How the server behaves. faults: one per request, in order, then it answers well; each is a
    name: slow, drip, drip_headers, cut, truncated, busy, broken, html, prose, empty, foreign, none.
    replies: status, body, headers, given as they are before anything is looked at."""

    see: See
    key: str | None = None
    max_images: int = 16
    wants_schema: bool = False
    embed: Callable[[str], Sequence[float]] | None = None
    has_logprobs: bool = False
    faults: list[str] = field(default_factory=list)
    replies: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)
    lasting_fault: str | None = None
    slow_sec: float = 5.0
    asked: list[Asked] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    embedded: list[str] = field(default_factory=list)
    most_at_once: int = 0
    dripped_whole_count: int = 0
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self) -> str | None:
        with self._lock:
            return self.faults.pop(0) if self.faults else self.lasting_fault

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1


@contextmanager
def serving_model(script: Script) -> Iterator[str]:
    """The server's address while the context is open."""

    class Handler(_Handler):
        owner = script

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Script

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        else:
            self._send(404, {"error": {"message": "no such route"}})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with self.owner.counted():
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        script = self.owner
        if script.replies:
            return self._send_bytes(*script.replies.pop(0))
        is_embedding = self.path == "/v1/embeddings" and script.embed is not None
        if self.path != "/v1/chat/completions" and not is_embedding:
            return self._refuse(404, "no such route")
        if script.key is not None and self.headers.get("authorization") != f"Bearer {script.key}":
            return self._refuse(401, "wrong key")
        if is_embedding:
            assert script.embed is not None
            return self._embed(body, script.embed)
        try:
            request = _Request.model_validate_json(body)
            asked = _asked(request)
        except (ValidationError, ValueError) as error:
            return self._refuse(400, str(error))
        if request.model != MODEL:
            return self._refuse(404, f"The model `{request.model}` does not exist.")
        if len(asked.pictures) > script.max_images:
            return self._refuse(
                400, f"At most {script.max_images} image(s) may be provided in one prompt."
            )
        if script.wants_schema and asked.schema is None:
            return self._refuse(400, "a schema is wanted")
        script.asked.append(asked)
        self._play(script.fault(), asked)
        return None

    def _embed(self, body: bytes, embed: Callable[[str], Sequence[float]]) -> None:
        """Vectors in another order than the texts, as the protocol allows; not of unit length."""
        try:
            request = _Embeddings.model_validate_json(body)
        except ValidationError as error:
            return self._refuse(400, str(error))
        if request.model != MODEL:
            return self._refuse(404, f"The model `{request.model}` does not exist.")
        if (fault := self.owner.fault()) == "broken":
            return self._send(500, {"error": {"message": "CUDA error"}})
        self.owner.embedded += request.input
        rows = [
            {"object": "embedding", "index": place, "embedding": [3.0 * x for x in embed(text)]}
            for place, text in enumerate(request.input)
        ]
        if fault == "truncated":
            rows.pop()
        return self._send(200, {"object": "list", "model": MODEL, "data": rows[::-1]})

    def _play(self, fault: str | None, asked: Asked) -> None:
        script = self.owner
        if fault == "cut":
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.wfile.flush()
            # close() alone would leave the socket open: the handler's streams hold it too.
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if fault in {"drip", "drip_headers"}:
            self._drip(in_headers=fault == "drip_headers")
            return
        if fault == "busy":
            self._send(429, {"error": {"message": "busy"}}, {"retry-after": "1"})
            return
        if fault == "broken":
            self._send(500, {"error": {"message": "CUDA error"}})
            return
        if fault == "html":
            self._send_bytes(200, b"<html><body>Sign in</body></html>", {})
            return
        if fault == "slow":
            time.sleep(script.slow_sec)
        told = script.see(asked)
        text = told if isinstance(told, str) else json.dumps(told, separators=(", ", ": "))
        reason = "stop"
        if fault == "truncated":
            text, reason = text[: len(text) // 2], "length"
        text = {
            "prose": f"Here is what I see:\n{text}",
            "empty": "",
            "foreign": '{"animal": "cat"}',
        }.get(fault or "", text)
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": reason,
        }
        if script.has_logprobs and asked.schema is not None:
            choice["logprobs"] = {"content": _tokens(text)}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        self._send(200, {"id": "x", "model": MODEL, "choices": [choice], "usage": usage})

    def _refuse(self, status: int, why: str) -> None:
        self.owner.refused.append(why)
        self._send(status, {"error": {"message": why}})

    def _send(self, status: int, told: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(told).encode()
        self._send_bytes(status, data, {"content-type": "application/json", **(headers or {})})

    def _send_bytes(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _drip(self, *, in_headers: bool) -> None:
        """A byte now and then, until the client goes or 200 are sent; of a header that has no end,
        or of the body."""
        self.send_response(200)
        self.send_header("content-length", "200")
        if in_headers:
            self.flush_headers()
            self.wfile.write(b"x-padding:")
        else:
            self.end_headers()
        try:
            for _ in range(200):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.05)
            self.owner.dripped_whole_count += 1
        except OSError:
            self.close_connection = True


def _asked(request: _Request) -> Asked:
    """The pictures, each with the time stated in the text right before it, and the last text."""
    parts = [part for message in request.messages for part in message.content]
    pictures, texts, before = [], [], ""
    size_bytes = 0
    for part in parts:
        if part.type == "text":
            assert part.text is not None
            before = part.text
            texts.append(part.text)
            continue
        assert part.image_url is not None
        data = base64.b64decode(part.image_url.url.partition(",")[2], validate=True)
        size_bytes += len(data)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise ValueError("an image cannot be decoded")
        stated = before.removeprefix("<").removesuffix(" seconds>")
        time_sec = float(stated) if before.endswith(" seconds>") else None
        pictures.append(Seen(time_sec, np.asarray(pixels, np.uint8)))
        before = ""
    schema = request.response_format.json_schema.schema_ if request.response_format else None
    return Asked(tuple(pictures), "\n".join(texts), schema, request.max_tokens, size_bytes)


def _tokens(text: str) -> list[dict[str, Any]]:
    """Tokens of an answer; a true or false has its opposite as an alternative at 9 to 1."""
    tokens: list[dict[str, Any]] = []
    place = 0
    while place < len(text):
        word = next((w for w in ("true", "false") if text.startswith(w, place)), text[place])
        other = {"true": "false", "false": "true"}.get(word)
        top = [{"token": word, "logprob": -0.10536}]
        if other is not None:
            top.append({"token": other, "logprob": -2.302585})
        tokens.append({"token": word, "logprob": -0.10536, "top_logprobs": top})
        place += len(word)
    return tokens


# ---- eyes ------------------------------------------------------------------------------------


def red_share(pixels: Pixels) -> float:
    """Share of a picture that is saturated red, 0-1."""
    blue, green, red = (pixels[..., i].astype(int) for i in range(3))
    return float(np.mean((red > 150) & (green < 90) & (blue < 90)))


def burn_clock(pixels: Pixels, time_sec: float) -> None:
    """Write a time in milliseconds into the top of a picture: cells of black and white, with a
    parity cell at the end, that survive scaling and JPEG."""
    value = round(time_sec * 1000)
    bits = [(value >> i) & 1 for i in range(CLOCK_BITS)]
    bits.append(sum(bits) % 2)
    height, width = pixels.shape[0] // 8, pixels.shape[1] / len(bits)
    for place, bit in enumerate(bits):
        first, last = round(place * width), round((place + 1) * width)
        pixels[:height, first:last] = 255 * bit


def read_clock(pixels: Pixels) -> float | None:
    """The time that `burn_clock` wrote; None where the parity is wrong."""
    strip = pixels[: pixels.shape[0] // 8].mean(axis=(0, 2))
    cells = np.array_split(strip, CLOCK_BITS + 1)
    bits = [int(cell[len(cell) // 3 : -(len(cell) // 3) or None].mean() > 127) for cell in cells]
    if sum(bits[:-1]) % 2 != bits[-1]:
        return None
    return sum(bit << place for place, bit in enumerate(bits[:-1])) / 1000


def clocks(pictures: Sequence[Seen]) -> list[float | None]:
    """The burned-in times of pictures."""
    return [read_clock(item.pixels) for item in pictures]
