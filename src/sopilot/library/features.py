"""The stored features of a ready video, whole or with their blocks left in the file.

Called by scoring, search and training; raises the same sentence wherever they are gone.
"""

from __future__ import annotations

from sopilot.core.errors import BlobNotFound
from sopilot.embed.base import VideoFeatures
from sopilot.library.analyze import FEATURES
from sopilot.library.schemas import VideoRow
from sopilot.runtime import Runtime
from sopilot.store.derived import find_derived


def load_features(runtime: Runtime, video: VideoRow) -> VideoFeatures:
    """Everything in memory, for work that reads every block. Raises BlobNotFound."""
    blob_sha256 = _blob(runtime, video)
    return VideoFeatures.from_bytes(runtime.blobs.get_bytes("derived", blob_sha256))


def open_features(runtime: Runtime, video: VideoRow) -> VideoFeatures:
    """Blocks stay in their file until they are asked for. Raises BlobNotFound."""
    blob_sha256 = _blob(runtime, video)
    return VideoFeatures.from_file(runtime.blobs.local_path("derived", blob_sha256))


def _blob(runtime: Runtime, video: VideoRow) -> str:
    with runtime.database.read() as connection:
        row = find_derived(connection, video.sha256, FEATURES, video.producer or "")
    if row is None or not runtime.blobs.exists("derived", row.blob_sha256):
        raise BlobNotFound(
            f"the features of video {video.id} are not stored any more; send its file again, then "
            "it is analysed anew"
        )
    return row.blob_sha256
