"""What the limited child does with an upload: probe, one decode pass, files for the parent.

Runs in a process of its own (`media.isolate`), because the bytes are untrusted. The parent is
`library.ingest`; the two share the names of the files and of what produced them. The child gets
plain values: importing the settings would cost it more than a short video.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sopilot.core.errors import SopilotError
from sopilot.core.records import Limits, Producer, Progress, Role, plain
from sopilot.embed.base import Embedder
from sopilot.embed.open import embedder_named
from sopilot.media.decode import FrameConsumer, run_pass
from sopilot.media.keyframes import ThumbnailStrip
from sopilot.media.mask import Mask, parse_mask
from sopilot.media.masked import MaskedCopy
from sopilot.media.pictures import PictureStrip, plan_of
from sopilot.media.probe import probe
from sopilot.media.quality import QualityMeter
from sopilot.media.shots import ShotMeter
from sopilot.media.signals import SignalMeter

if TYPE_CHECKING:
    from sopilot.core.config import Settings

FEATURES: Final = "features"
THUMBNAILS: Final = "thumbnails"
MASKED: Final = "masked"
MASKED_FILE: Final = "masked.mp4"
SIGNALS: Final = "signals"
PICTURES: Final = "pictures"
REPORT: Final = "report"
MOST_FOOTAGE_THUMBNAILS: Final = 21_600
"""Six hours of one per second: footage is searched by them."""
_MEDIA = Producer("media", "media-1")
"""Version of what the media meters store: quality report, shots, thumbnails."""


def feature_producer(settings: Settings, embedder: Embedder, role: Role) -> Producer:
    """What features are keyed by: the embedder's producer, and the privacy mask in force."""
    return masked_producer(embedder.producer_for(role), parse_mask(settings))


def fitting_producers(settings: Settings, embedder: Embedder, role: Role) -> tuple[str, ...]:
    """Fingerprints of the features that serve a video in this role today, the best first.

    A gold's features contain a trainee's, so they serve for it too. None where it is not scored.
    """
    roles = (role, Role.GOLD) if role.is_scored else ()
    return tuple(feature_producer(settings, embedder, item).fingerprint for item in roles)


def media_producer(settings: Settings) -> Producer:
    """What quality report, shots and thumbnails are keyed by."""
    return masked_producer(_MEDIA, parse_mask(settings))


def is_masked(settings: Settings) -> bool:
    """Do the settings ask for a masked copy of every video?"""
    return parse_mask(settings) is not None


def analysis_arguments(
    settings: Settings,
    path: Path,
    *,
    name: str,
    sha256: str,
    role: Role,
    folder: Path,
    backend: str,
    plan: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The JSON-ready arguments of `analyze`; name: what messages call the file.

    backend: the embedder, by the name that a `Choice` gives it. plan: pictures to take along, a
    `PicturePlan` as a mapping.
    """
    mask = parse_mask(settings)
    return {
        "path": str(path),
        "name": name,
        "sha256": sha256,
        "role": str(role),
        "folder": str(folder),
        "limits": plain(settings.limits),
        "mask": None if mask is None else plain(mask),
        "embedder": backend,
        "plan": plan,
    }


def analyze(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Analyze the file at `path` and write `thumbnails`, for what is scored `features`, for footage
    `signals`, and, where asked for, its masked copy and pictures into `folder`.

    arguments: see `analysis_arguments`. Returns the report: info, quality, shots and duration_sec,
    JSON-ready. Memory does not grow with the length of the video. Raises what the probe and the
    pass raise, and DiskFull.
    """
    path = Path(arguments["path"])
    with renamed(path, arguments["name"]):
        return _analyze(arguments, path, progress)


@contextmanager
def renamed(path: Path, name: str) -> Iterator[None]:
    """Let errors call a file by `name`: blobs are named by their hash, which the sender does not
    know."""
    try:
        yield
    except SopilotError as error:
        message = error.message.replace(str(path), name).replace(path.name, name)
        raise type(error)(message, error.details) from error


def _analyze(arguments: Mapping[str, Any], path: Path, progress: Progress) -> dict[str, Any]:
    role = Role(arguments["role"])
    mask = given_mask(arguments["mask"])
    embedder = embedder_named(arguments["embedder"])
    info = probe(path, Limits(**arguments["limits"]), arguments["sha256"])
    quality, shots = QualityMeter(info), ShotMeter()
    strip = ThumbnailStrip() if role.is_scored else ThumbnailStrip(MOST_FOOTAGE_THUMBNAILS)
    signals = None if role.is_scored else SignalMeter(info.fps)
    extractor = embedder.consumer(info, role) if role.is_scored else None
    folder = Path(arguments["folder"])
    copy = None if mask is None else MaskedCopy(folder / MASKED_FILE, info)
    plan = arguments["plan"]
    pictures = None if plan is None else PictureStrip(folder / PICTURES, plan_of(plan))
    wanted = (quality, shots, strip, signals, extractor, copy, pictures)
    consumers: list[FrameConsumer] = [consumer for consumer in wanted if consumer is not None]
    summary = run_pass(path, info, consumers, mask, progress)
    if copy is not None:
        copy.close()
    if pictures is not None:
        pictures.close()
    if extractor is not None:
        producer = masked_producer(embedder.producer_for(role), mask)
        extractor.write(folder / FEATURES, summary.duration_sec, producer)
    if signals is not None:
        signals.write(folder / SIGNALS, summary.duration_sec)
    strip.write(folder / THUMBNAILS)
    found = replace(info, is_vfr=summary.is_vfr, duration_sec=summary.duration_sec)
    return {
        "info": plain(found) | {"sampled_fps": None if extractor is None else extractor.rate_fps},
        "quality": plain(quality.report(summary)),
        "shots": plain(shots.finish(summary.duration_sec)),
        "duration_sec": summary.duration_sec,
        "frame_count": summary.frame_count,
    }


def given_mask(given: Mapping[str, Any] | None) -> Mask | None:
    """The mask that `plain` made a mapping of."""
    if given is None:
        return None
    rects = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in given["rects"])
    return Mask(rects, given["mode"], given["has_face_blur"])


def masked_producer(producer: Producer, mask: Mask | None) -> Producer:
    """The producer of what is made of masked pictures."""
    if mask is None:
        return producer
    return replace(producer, settings=(*producer.settings, ("mask", mask.fingerprint)))
