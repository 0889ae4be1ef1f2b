"""Receives an uploaded file while it arrives: multipart form or raw body, straight to its blob.

The body is written once and hashed on the way, with memory for one block; the size limit is
enforced before the first byte where the client names a length, else while it streams.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from sopilot.core.errors import BadUpload, FileTooLarge, InputError
from sopilot.core.records import Role
from sopilot.library.add import Upload
from sopilot.library.schemas import UploadMeta
from sopilot.store.blobs import StagedBlob

BLOCK_BYTES = 1 << 20
_FORM_OVERHEAD_BYTES = 1 << 16
_MAX_FIELD_BYTES = 1 << 14
_MAX_PARTS = 32
_BLANK = re.compile(r"[\x00-\x1f\x7f]")
_FILE_PARTS = frozenset({"file", "video"})


def none_if_blank(value: str | None) -> str | None:
    """Text without spaces around it, None for a blank one. Raises ValueError."""
    value = value.strip() if value else None
    if value and any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in value):
        raise ValueError("write it on one line of plain characters")
    return value or None


Label = Annotated[str | None, Field(max_length=128), AfterValidator(none_if_blank)]


class UploadForm(BaseModel):
    """Fields beside the file; a raw body carries them in the query."""

    model_config = ConfigDict(extra="ignore")

    task_id: Annotated[str | None, Field(max_length=128), AfterValidator(none_if_blank)] = None
    role: Literal["gold", "trainee", "audit"] | None = None
    site_id: Label = None
    camera_id: Label = None
    operator_id_hash: Label = None
    recorded_at: Annotated[str | None, Field(max_length=64), AfterValidator(none_if_blank)] = None
    enforce_quality: bool = False
    force: bool = False

    def upload(self, *, role: Role | None, task_id: str, filename: str | None) -> Upload:
        """The library's form of it. role: what the route fixes; task_id: the default."""
        meta = UploadMeta(
            filename, self.site_id, self.camera_id, self.operator_id_hash, self.recorded_at
        )
        chosen = role or Role(self.role or Role.TRAINEE)
        gate = self.enforce_quality and chosen is Role.GOLD
        return Upload(self.task_id or task_id, chosen, meta, gate, is_forced=self.force)


@dataclass(slots=True)
class Received:
    """What came besides the bytes of the file. content_type: as the sender states it."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None
    content_type: str | None = None

    def form(self) -> UploadForm:
        """The checked fields. Raises RequestValidationError."""
        try:
            return UploadForm.model_validate(self.fields)
        except ValidationError as error:
            raise RequestValidationError(
                [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
            ) from error


def clean_filename(name: str | None) -> str | None:
    """The last part of a sender's path without control characters; None when nothing is left."""
    if name is None:
        return None
    last = re.split(r"[/\\]", name)[-1]
    return _BLANK.sub("", last).strip()[-255:] or None


async def receive(request: Request, staged: StagedBlob) -> Received:
    """Stream the request's file into `staged`.

    Raises FileTooLarge, BadUpload (no file part, broken form, connection lost), DiskFull.
    """
    limit = staged.max_bytes
    announced = int(request.headers.get("content-length") or 0)
    if limit is not None and announced > limit + _FORM_OVERHEAD_BYTES:
        raise _too_large(announced, limit)
    kind, options = parse_options_header(request.headers.get("content-type"))
    try:
        if kind == b"multipart/form-data":
            return await _receive_form(request, staged, options.get(b"boundary"))
        if kind.startswith(b"video/") or kind == b"application/octet-stream":
            return await _receive_raw(request, staged)
    except ClientDisconnect as error:
        raise BadUpload("the connection ended before the file was complete; retry") from error
    raise BadUpload(
        f"the content type is {kind.decode(errors='replace')!r}; send a multipart form with the "
        "part `file`, or the bytes themselves as video/*"
    )


def _too_large(size_bytes: int, limit: int) -> FileTooLarge:
    return FileTooLarge(
        f"the upload has {size_bytes} bytes, allowed are {limit}; send a smaller file or raise "
        "SOPILOT_MAX_UPLOAD_MB"
    )


async def drain(request: Request, most_bytes: int) -> None:
    """Read and drop the rest of a refused body, so that a client which sends first sees the answer.

    A body longer than most_bytes is cut by closing the connection.
    """
    dropped = 0
    try:
        async for block in request.stream():
            dropped += len(block)
            if dropped > most_bytes:
                return
    except (ClientDisconnect, RuntimeError):
        return


async def _receive_raw(request: Request, staged: StagedBlob) -> Received:
    sink = _Sink(staged)
    async for block in request.stream():
        sink.take(block)
        await sink.write_full_blocks()
    await sink.finish()
    fields = dict(request.query_params)
    _, options = parse_options_header(request.headers.get("content-disposition"))
    named = options.get(b"filename", b"").decode(errors="replace") or fields.get("filename")
    return Received(fields, clean_filename(named), request.headers.get("content-type"))


async def _receive_form(request: Request, staged: StagedBlob, boundary: bytes | None) -> Received:
    if not boundary:
        raise BadUpload("the multipart form has no boundary; let your client set Content-Type")
    sink = _Sink(staged)
    form = _Form(sink.take)
    parser = MultipartParser(boundary, form.callbacks())
    limit, size_bytes = staged.max_bytes, 0
    try:
        async for block in request.stream():
            size_bytes += len(block)  # also of what follows the last part, which nobody keeps
            if limit is not None and size_bytes > limit + _FORM_OVERHEAD_BYTES:
                raise _too_large(size_bytes, limit)
            parser.write(block)
            await sink.write_full_blocks()
        parser.finalize()
    except FormParserError as error:
        raise BadUpload(f"the multipart form is broken ({error}); send it again") from error
    if not form.has_file:
        raise InputError("the form has no part `file` with a file; add it", {"field": "file"})
    if not form.is_complete:
        raise BadUpload("the multipart form ended early; send it again")
    await sink.finish()
    received = form.received
    received.fields = dict(request.query_params) | received.fields
    return received


class _Sink:
    """Gathers small network blocks into large ones, which a thread writes and hashes."""

    def __init__(self, staged: StagedBlob) -> None:
        self._staged = staged
        self._pending = bytearray()

    def take(self, block: bytes) -> None:
        self._pending += block

    async def write_full_blocks(self) -> None:
        if len(self._pending) >= BLOCK_BYTES:
            await self.finish()

    async def finish(self) -> None:
        if self._pending:
            block, self._pending = self._pending, bytearray()
            await run_in_threadpool(self._staged.write, memoryview(block))


class _Form:
    """State of one multipart body: which part is read, and what the parts said."""

    def __init__(self, take_file: Callable[[bytes], None]) -> None:
        self._take_file = take_file
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._name = ""
        self._is_file = False
        self._text = b""
        self._part_count = 0
        self.received = Received()
        self.has_file = False
        self.is_complete = False

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        self._part_count += 1
        if self._part_count > _MAX_PARTS:
            raise InputError(f"the form has more than {_MAX_PARTS} parts; send fewer fields")
        self._headers, self._header_name, self._header_value = {}, b"", b""
        self._text = b""

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name, self._header_value = b"", b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode(errors="replace")
        filename = options.get(b"filename")
        self._is_file = filename is not None and self._name in _FILE_PARTS
        if filename is None:
            return
        if self._is_file and self.has_file:
            raise InputError("the form has two files; upload them one by one", {"field": "file"})
        if self._is_file:
            self.has_file = True
            self.received.filename = clean_filename(filename.decode(errors="replace"))
            kind = self._headers.get(b"content-type")
            self.received.content_type = kind.decode("latin-1") if kind else None

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._take_file(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _MAX_FIELD_BYTES:
            raise InputError(
                f"the form field {self._name[:64]!r} is longer than {_MAX_FIELD_BYTES} bytes; "
                "shorten it (the file belongs in the part `file`, with a file name)"
            )

    def _end(self) -> None:
        if not self._is_file and self._name:
            if self._name in self.received.fields:
                raise InputError(
                    f"the form has the field {self._name[:64]!r} twice; give it once",
                    {"field": self._name[:64]},
                )
            self.received.fields[self._name] = self._text.decode(errors="replace")

    def _finish(self) -> None:
        self.is_complete = True
