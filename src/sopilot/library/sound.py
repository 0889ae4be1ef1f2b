"""The sound of a stored video, decoded in the limited child. Called by who recognises speech."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sopilot.core.records import Limits, Progress, no_progress
from sopilot.library.analyze import renamed
from sopilot.library.look import file_arguments
from sopilot.library.play import uploaded_file
from sopilot.library.schemas import VideoRow
from sopilot.media.audio import write_sound
from sopilot.media.isolate import run_limited
from sopilot.media.probe import probe
from sopilot.runtime import Runtime

_TARGET: Final = "sopilot.library.sound:extract"
_FILE: Final = "sound.s16"


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
    return folder / _FILE if found["has_sound"] else None


def extract(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The child's side of `sound_of`."""
    path, folder = Path(arguments["path"]), Path(arguments["folder"])
    limits = Limits(**{**arguments["limits"], "min_duration_sec": 0.0})
    with renamed(path, arguments["name"]):
        info = probe(path, limits, arguments["sha256"])
        return {"has_sound": write_sound(path, folder / _FILE, info.duration_sec, progress)}
