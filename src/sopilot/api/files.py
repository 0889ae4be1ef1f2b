"""Files to HTTP responses: ranges, entity tags and safe types for bytes that users uploaded."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from sopilot.api.errors import envelope
from sopilot.library.play import VideoFile
from sopilot.library.schemas import VideoRow

_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".ts": "video/mp2t",
}
# Uploaded bytes must never run as a page of this origin, whatever a browser makes of them.
_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; media-src 'self'",
    "Cache-Control": "private, no-cache",
}


def etag_matches(header: str | None, etag: str) -> bool:
    """Does an If-None-Match header name this tag (weak comparison)?"""
    if header is None:
        return False
    tags = {part.strip().removeprefix("W/") for part in header.split(",")}
    return "*" in tags or etag in tags


_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")
_MAX_RANGES = 100


def parse_ranges(header: str, size_bytes: int) -> list[tuple[int, int]] | None:
    """The satisfiable [first, last] byte positions of a Range header, in its order.

    None when it is malformed, of another unit or unreasonable: such a header counts as absent
    (RFC 9110 14.2). An empty list when it is well formed and nothing of it can be satisfied.
    """
    unit, equals, text = header.partition("=")
    parts = text.split(",")
    if unit.strip().lower() != "bytes" or not equals or len(parts) > _MAX_RANGES:
        return None
    found = []
    for part in parts:
        match = _RANGE.fullmatch(part.strip())
        if match is None or match.group() == "-":
            return None
        first, last = (int(digits) if digits else None for digits in match.groups())
        if first is None:
            assert last is not None
            first, last = max(0, size_bytes - last), size_bytes - 1
        elif last is not None and last < first:
            return None
        if first < size_bytes:
            found.append((first, size_bytes - 1 if last is None else min(last, size_bytes - 1)))
    return found


class _RangedFile(FileResponse):
    """A file response for which a bad Range header is as good as none, and 416 is the envelope."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope)
        asked, condition = given.get("range"), given.get("if-range")
        if asked is None or condition not in {None, self.headers["etag"]}:
            # A date as condition is not looked at: the client gets the whole file, which is right.
            await super().__call__(_with_range(scope, None), receive, send)
            return
        size_bytes = Path(self.path).stat().st_size
        ranges = parse_ranges(asked, size_bytes)
        if ranges == []:
            refusal = envelope(
                416,
                "RANGE_NOT_SATISFIABLE",
                f"the range {asked[:80]!r} lies outside the file of {size_bytes} bytes; ask for "
                "bytes inside it",
                headers={"Content-Range": f"bytes */{size_bytes}"},
            )
            await refusal(scope, receive, send)
            return
        text = ranges and "bytes=" + ",".join(f"{first}-{last}" for first, last in ranges)
        await super().__call__(_with_range(scope, text or None), receive, send)


def _with_range(scope: Scope, text: str | None) -> Scope:
    """The scope of the same request with this Range header, or without one."""
    changed = {**scope, "headers": list(scope["headers"])}
    headers = MutableHeaders(scope=changed)
    del headers["range"]
    if text is not None:
        headers["range"] = text
    return changed


def video_file(video: VideoRow, file: VideoFile, request: Request) -> Response:
    """The bytes of a video, or 304 when the client has them. The tag is the content hash."""
    etag = f'"{file.sha256}"'
    is_download = request.url.path.rstrip("/").endswith("/file")
    headers = _HEADERS | {"ETag": etag}
    if etag_matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    name = video.original_filename or f"video-{video.id}.mp4"
    if file.is_masked:
        name = PurePosixPath(name).stem + ".mp4"
    kind = _TYPES.get(PurePosixPath(name.lower()).suffix, "application/octet-stream")
    disposition = "attachment" if is_download else "inline"
    return _RangedFile(
        file.path,
        media_type=kind,
        filename=name,
        headers=headers,
        content_disposition_type=disposition,
    )


def clip_file(path: Path, name: str, request: Request) -> Response:
    """The bytes of a clip that was cut here. The tag is the name of its file, a content hash."""
    etag = f'"{path.name}"'
    headers = _HEADERS | {"ETag": etag}
    if etag_matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return _RangedFile(
        path,
        media_type="video/mp4",
        filename=name,
        headers=headers,
        content_disposition_type="inline",
    )
