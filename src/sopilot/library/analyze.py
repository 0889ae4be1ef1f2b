"""What the limited child does with an upload: probe, one decode pass, files for the parent.

Runs in a process of its own (`media.isolate`), because the bytes are untrusted. The parent is
`library.ingest`; the two share the names of the files and of what produced them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sopilot.core.config import Settings, load_settings
from sopilot.core.errors import DiskFull, SopilotError
from sopilot.core.records import Producer, Progress, Role, plain
from sopilot.embed.base import Embedder
from sopilot.embed.open import open_embedder
from sopilot.media.decode import run_pass
from sopilot.media.keyframes import ThumbnailStrip
from sopilot.media.mask import Mask, parse_mask
from sopilot.media.probe import probe
from sopilot.media.quality import QualityMeter
from sopilot.media.shots import ShotMeter

_MEDIA = Producer("media", "media-1")
"""Version of what the media meters store: quality report, shots, thumbnails."""


def feature_producer(settings: Settings, embedder: Embedder, role: Role) -> Producer:
    """What features are keyed by: the embedder's producer, and the privacy mask in force."""
    return _masked(embedder.producer_for(role), parse_mask(settings))


def media_producer(settings: Settings) -> Producer:
    """What quality report, shots and thumbnails are keyed by."""
    return _masked(_MEDIA, parse_mask(settings))


def analyze(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Analyze the file at `path` and write `features` and `thumbnails` into `folder`.

    arguments: path, name (for messages), sha256, role, folder, settings. Returns the report: info,
    quality, shots and duration_sec, JSON-ready. Raises what the probe and the pass raise.
    """
    path = Path(arguments["path"])
    try:
        return _analyze(arguments, path, progress)
    except SopilotError as error:
        # Blobs are named by their hash; the sender knows the file by its own name.
        message = error.message.replace(str(path), arguments["name"])
        message = message.replace(path.name, arguments["name"])
        raise type(error)(message, error.details) from error


def _analyze(arguments: Mapping[str, Any], path: Path, progress: Progress) -> dict[str, Any]:
    settings = load_settings(**arguments["settings"])
    role = Role(arguments["role"])
    mask = parse_mask(settings)
    embedder = open_embedder(settings)
    info = probe(path, settings.limits, arguments["sha256"])
    quality, shots, strip = QualityMeter(info), ShotMeter(), ThumbnailStrip()
    extractor = embedder.consumer(info, role)
    summary = run_pass(path, info, [quality, shots, strip, extractor], mask, progress)
    features = extractor.finish(summary.duration_sec)
    features = replace(features, producer=_masked(features.producer, mask))
    folder = Path(arguments["folder"])
    _write(folder / "features", features.to_bytes())
    _write(folder / "thumbnails", strip.finish().to_bytes())
    return {
        "info": plain(replace(info, is_vfr=summary.is_vfr, duration_sec=summary.duration_sec)),
        "quality": plain(quality.report(summary)),
        "shots": plain(shots.finish(summary.duration_sec)),
        "duration_sec": summary.duration_sec,
        "frame_count": summary.frame_count,
    }


def _masked(producer: Producer, mask: Mask | None) -> Producer:
    if mask is None:
        return producer
    return replace(producer, settings=(*producer.settings, ("mask", mask.fingerprint)))


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise DiskFull(
            f"{len(data)} bytes of {path.name} cannot be written ({error.strerror}); free space in "
            "the data folder, then retry"
        ) from error
