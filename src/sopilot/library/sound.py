"""The sound of a stored video, decoded in the limited child. Called by who recognises speech."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sopilot.core.records import Progress, no_progress
from sopilot.library.child import SOUND_FILE
from sopilot.library.look import file_arguments
from sopilot.library.play import uploaded_file
from sopilot.library.schemas import VideoRow
from sopilot.media.isolate import run_limited
from sopilot.runtime import Runtime

_TARGET: Final = "sopilot.library.child:extract"


def sound_of(
    runtime: Runtime, video: VideoRow, folder: Path, progress: Progress = no_progress
) -> Path | None:
    """16-bit mono samples at 16 kHz on the video's clock, in `folder`; None without a sound track,
    or where the upload was not kept: its masked copy is silent.

    Raises MediaError, BlobNotFound, DiskFull, and what `progress` raises.
    """
    if not video.is_raw_kept:
        return None
    settings = runtime.settings
    path = uploaded_file(runtime, video)
    name = video.original_filename or "the upload"
    found = run_limited(
        _TARGET,
        file_arguments(path, name, video.sha256, settings.limits, None, folder),
        memory_mb=settings.decoder_memory_mb,
        cpu_seconds=settings.decoder_cpu_seconds,
        progress=progress,
    )
    return folder / SOUND_FILE if found["has_sound"] else None
