"""The clip of a span of a ready video, cut once and kept: masked when masks are on.

Called by the routes that hand out highlights.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import Final

from sopilot.core.records import Producer
from sopilot.core.timespan import TimeSpan
from sopilot.library.analyze import masked_producer
from sopilot.library.child import CLIP_FILE
from sopilot.library.look import look_arguments, stored
from sopilot.library.remove import note, settle
from sopilot.library.schemas import VideoRow
from sopilot.library.workplace import WORK
from sopilot.media.isolate import run_limited
from sopilot.media.mask import parse_mask
from sopilot.runtime import Runtime
from sopilot.store.derived import record_derived

CLIP: Final = "clip"
_TARGET = "sopilot.library.child:cut"


def clip_of(runtime: Runtime, video: VideoRow, span: TimeSpan) -> Path:
    """The MP4 file of a span; made in a limited child where it does not exist yet.

    Raises MediaError, NoFrames for a span without pictures, BlobNotFound, DiskFull.
    """
    settings = (("start_sec", f"{span.start_sec:.3f}"), ("end_sec", f"{span.end_sec:.3f}"))
    made = masked_producer(Producer("clip", "clip-1", settings), parse_mask(runtime.settings))
    known = stored(runtime, video, CLIP, made.fingerprint)
    if known is not None:
        return known
    folder = runtime.blobs.root / WORK / f"clip-{uuid.uuid4().hex}-0"
    try:
        arguments = look_arguments(runtime, video, folder) | {"span": span.as_list()}
        run_limited(
            _TARGET,
            arguments,
            memory_mb=runtime.settings.decoder_memory_mb,
            cpu_seconds=runtime.settings.decoder_cpu_seconds,
        )
        return _keep(runtime, video, folder / CLIP_FILE, made.fingerprint)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(runtime: Runtime, video: VideoRow, path: Path, producer: str) -> Path:
    blob_sha256 = runtime.blobs.put_file("derived", path)
    noted = note(runtime, "derived", blob_sha256)
    try:
        with runtime.database.write() as connection:
            record_derived(
                connection,
                content_sha256=video.sha256,
                kind=CLIP,
                producer=producer,
                blob_sha256=blob_sha256,
                size_bytes=path.stat().st_size,
            )
    finally:
        settle(runtime, "derived", blob_sha256, noted)
    return runtime.blobs.local_path("derived", blob_sha256)
