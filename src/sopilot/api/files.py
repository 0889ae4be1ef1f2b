"""Files to HTTP responses: ranges, entity tags and safe types for bytes that users uploaded."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from fastapi import Response
from starlette.responses import FileResponse

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


def video_file(
    video: VideoRow, path: Path, if_none_match: str | None, *, is_download: bool
) -> Response:
    """The bytes of a video, or 304 when the client has them. The tag is the content hash."""
    etag = f'"{video.sha256}"'
    headers = _HEADERS | {"ETag": etag}
    if etag_matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    name = video.original_filename or f"video-{video.id}.mp4"
    kind = _TYPES.get(PurePosixPath(name.lower()).suffix, "application/octet-stream")
    disposition = "attachment" if is_download else "inline"
    return FileResponse(
        path, media_type=kind, filename=name, headers=headers, content_disposition_type=disposition
    )
