"""Which file of a video its viewers get: the upload, or its masked copy where masking is on.

Called by the routes that serve bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from sopilot.core.errors import Conflict
from sopilot.library.analyze import MASKED, is_masked, media_producer, renamed
from sopilot.library.schemas import VideoRow
from sopilot.runtime import Runtime
from sopilot.store.blobs import blob_key
from sopilot.store.derived import find_derived


@dataclass(frozen=True, slots=True)
class VideoFile:
    """Bytes to be served and their hash."""

    path: Path
    sha256: str
    is_masked: bool


def uploaded_file(runtime: Runtime, video: VideoRow) -> Path:
    """The bytes as they were uploaded. Raises BlobNotFound, which calls them as the sender did."""
    name = video.original_filename or "the upload"
    with renamed(Path(blob_key("raw", video.sha256)), name):
        return runtime.blobs.local_path("raw", video.sha256)


def file_of(
    runtime: Runtime, connection: Connection, video: VideoRow, *, is_raw: bool
) -> VideoFile:
    """The file of a ready video. is_raw: the upload itself, for those who may see it.

    Raises Conflict when the upload was not kept, or no copy with the mask of today exists: what is
    not masked as the settings say is not shown. Raises BlobNotFound.
    """
    if is_raw or not is_masked(runtime.settings):
        if not video.is_raw_kept:
            raise Conflict(
                f"the upload of video {video.id} was not kept (SOPILOT_PRIVACY_KEEP_RAW=false); "
                "upload the file again, or ask for the masked copy while masking is on"
            )
        return VideoFile(uploaded_file(runtime, video), video.sha256, False)
    producer = media_producer(runtime.settings).fingerprint
    stored = find_derived(connection, video.sha256, MASKED, producer)
    if stored is None:
        raise Conflict(
            f"video {video.id} has no copy with the privacy mask in force; upload the file again "
            "to have it analysed with this mask"
        )
    path = runtime.blobs.local_path("derived", stored.blob_sha256)
    return VideoFile(path, stored.blob_sha256, True)
