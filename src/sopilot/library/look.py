"""Another look at a stored video: its pictures by a plan, and its signals, without an upload.

The first pass takes them along where it is asked to (`library.analyze`); what it did not take is
decoded again here, in a limited child of the same kind. Called by features that show windows of a
video to a model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sopilot.core.config import Settings
from sopilot.core.errors import BlobNotFound, DiskFull
from sopilot.core.records import Limits, Progress, no_progress, plain
from sopilot.core.timespan import TimeSpan
from sopilot.library.analyze import (
    MASKED,
    PICTURES,
    REPORT,
    SIGNALS,
    THUMBNAILS,
    masked_producer,
    media_producer,
)
from sopilot.library.play import uploaded_file
from sopilot.library.schemas import VideoRow
from sopilot.media.isolate import run_limited
from sopilot.media.mask import parse_mask
from sopilot.media.pictures import PicturePlan
from sopilot.runtime import Runtime
from sopilot.store.derived import find_derived

_TARGET = "sopilot.library.child:look"


def picture_producer(runtime: Runtime, plan: PicturePlan) -> str:
    """What pictures of a plan are keyed by: the plan, and the privacy mask in force."""
    return masked_producer(plan.producer, parse_mask(runtime.settings)).fingerprint


def stored(runtime: Runtime, video: VideoRow, kind: str, producer: str) -> Path | None:
    """The file of this kind that an earlier pass left; None where there is none."""
    with runtime.database.read() as connection:
        row = find_derived(connection, video.sha256, kind, producer)
    if row is None or not runtime.blobs.exists("derived", row.blob_sha256):
        return None
    return runtime.blobs.local_path("derived", row.blob_sha256)


def _needed(runtime: Runtime, video: VideoRow, kind: str) -> Path:
    path = stored(runtime, video, kind, media_producer(runtime.settings).fingerprint)
    if path is None:
        raise BlobNotFound(
            f"what ingest made of video {video.id} ({kind}) is not stored any more, or was made "
            "with another privacy mask; upload the file again"
        )
    return path


@dataclass(frozen=True, slots=True)
class PassReport:
    """What the one pass of ingest counted. shots: between the cuts, in time order."""

    duration_sec: float
    frame_count: int
    shots: tuple[TimeSpan, ...]


def report_file(runtime: Runtime, video: VideoRow) -> Path:
    """The report of ingest, as `read_report` takes it. Raises BlobNotFound."""
    return _needed(runtime, video, REPORT)


def read_report(path: Path) -> PassReport:
    """A stored report."""
    found = json.loads(path.read_text(encoding="utf-8"))
    shots = tuple(TimeSpan(float(start), float(end)) for start, end in found["shots"])
    return PassReport(float(found["duration_sec"]), int(found["frame_count"]), shots)


def thumbnails_file(runtime: Runtime, video: VideoRow) -> Path:
    """The strip of thumbnails that ingest made. Raises BlobNotFound."""
    return _needed(runtime, video, THUMBNAILS)


def signals_file(
    runtime: Runtime, video: VideoRow, folder: Path, progress: Progress = no_progress
) -> Path:
    """The motion and light of a video; where ingest did not take them, it is decoded again into
    `folder`. Raises what `look_again` raises."""
    path = stored(runtime, video, SIGNALS, media_producer(runtime.settings).fingerprint)
    if path is not None:
        return path
    return look_again(runtime, video, folder, wants_signals=True, progress=progress)[SIGNALS]


def look_again(
    runtime: Runtime,
    video: VideoRow,
    folder: Path,
    plan: PicturePlan | None = None,
    *,
    wants_signals: bool = False,
    progress: Progress = no_progress,
) -> Mapping[str, Path]:
    """Decode a ready video once more; the files by kind (PICTURES, SIGNALS), in `folder`.

    What was not kept raw is read from its masked copy. Raises MediaError, BlobNotFound, DiskFull,
    and what `progress` raises.
    """
    source = look_arguments(runtime, video, folder)
    look_at(runtime.settings, source, plan, wants_signals=wants_signals, progress=progress)
    kinds = [PICTURES] * (plan is not None) + [SIGNALS] * wants_signals
    return {kind: folder / kind for kind in kinds}


def look_at(
    settings: Settings,
    source: Mapping[str, Any],
    plan: PicturePlan | None = None,
    *,
    wants_signals: bool = False,
    progress: Progress = no_progress,
) -> Mapping[str, Any]:
    """Decode a file in the limited child; its duration_sec and frame_count. source: see
    `look_arguments`."""
    return run_limited(
        _TARGET,
        {
            **source,
            "plan": None if plan is None else plain(plan),
            "wants_signals": wants_signals,
        },
        memory_mb=settings.decoder_memory_mb,
        cpu_seconds=settings.decoder_cpu_seconds,
        progress=progress,
    )


def look_arguments(runtime: Runtime, video: VideoRow, folder: Path) -> dict[str, Any]:
    """What a child must know that decodes a stored video again; makes the folder it writes into.

    A video that was admitted once is not refused for its length. Raises BlobNotFound, DiskFull.
    """
    path, mask = _source(runtime, video)
    name = video.original_filename or "the upload"
    limits = replace(runtime.settings.limits, min_duration_sec=0.0)
    return file_arguments(path, name, video.sha256, limits, mask, folder)


def file_arguments(
    path: Path,
    name: str,
    sha256: str,
    limits: Limits,
    mask: Mapping[str, Any] | None,
    folder: Path,
) -> dict[str, Any]:
    """`look_arguments` of a file that is no video of the library."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskFull(f"{folder} cannot be made ({error.strerror}); free space") from error
    return {
        "path": str(path),
        "name": name,
        "sha256": sha256,
        "limits": plain(limits),
        "mask": mask,
        "folder": str(folder),
    }


def _source(runtime: Runtime, video: VideoRow) -> tuple[Path, Mapping[str, Any] | None]:
    """The file to decode and the mask to lay over it: none over a copy that has one."""
    mask = parse_mask(runtime.settings)
    if video.is_raw_kept or mask is None:
        return uploaded_file(runtime, video), None if mask is None else plain(mask)
    producer = media_producer(runtime.settings).fingerprint
    copy = stored(runtime, video, MASKED, producer)
    return copy or uploaded_file(runtime, video), None
