"""Frozen records that cross bands: what a pass over a video found, what a procedure is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sopilot.core.timespan import TimeSpan

Progress = Callable[[float], None]
"""Called with the finished share, 0-1, from time to time; raises JobCancelled to stop the work."""


def no_progress(_share: float) -> None:
    """The Progress of a caller who does not look."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: stored as `requested_by` of jobs and in the audit log.

    name: anonymous, token:<role>, token:api, basic:<user>, watcher:folder, system:<what> or
    cli:<user>. request_id, ip: of the HTTP request, None where there is none.
    """

    name: str
    role: str = "system"
    request_id: str | None = None
    ip: str | None = None


WORKER = Actor("system:worker")
"""What a job's handler does on its own account."""


class Role(StrEnum):
    """What a video is for. footage: looked through and searched, never scored."""

    GOLD = "gold"
    TRAINEE = "trainee"
    AUDIT = "audit"
    FOOTAGE = "footage"

    @property
    def is_scored(self) -> bool:
        """Does it take part in scores, and so need features?"""
        return self is not Role.FOOTAGE


@dataclass(frozen=True, slots=True)
class Producer:
    """What made a derived array: name, version, and the settings that change its content."""

    name: str
    version: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def fingerprint(self) -> str:
        """16 hex digits over name, version and settings; part of every derived key."""
        text = json.dumps([self.name, self.version, sorted(self.settings)], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the container says about a video, after rotation has been applied."""

    width_px: int
    height_px: int
    rotation_deg: int
    fps: float
    is_vfr: bool
    duration_sec: float
    codec: str
    pixel_format: str
    has_audio: bool
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class QualityCheck:
    """One axis of the quality report; `threshold` is the limit that was missed or the lower one."""

    name: str
    passed: bool
    value: float
    threshold: float
    message_ja: str
    message_en: str


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Verdict on a recording, in the axis order duration, resolution, brightness, sharpness,
    stability."""

    overall_pass: bool
    checks: tuple[QualityCheck, ...]
    recommendations_ja: tuple[str, ...]
    recommendations_en: tuple[str, ...]
    frame_count_sampled: int
    duration_sec: float
    resolution: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A JPEG picture that stands for the moment `time_sec`."""

    time_sec: float
    jpeg: bytes = field(repr=False)


class StepKind(StrEnum):
    """How a step goes on inside: an order of acts, or one motion again and again."""

    STAGED = "staged"
    CYCLIC = "cyclic"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a procedure. `span` lies in the (first) gold; None where nobody marked it.

    kind: None where nobody said; it is then judged from the golds.
    """

    index: int
    name_ja: str | None = None
    name_en: str | None = None
    span: TimeSpan | None = None
    expected_duration_sec: float | None = None
    min_duration_sec: float | None = None
    max_duration_sec: float | None = None
    is_critical: bool = False
    description: str | None = None
    kind: StepKind | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What an upload may cost: a file outside is refused before it is decoded."""

    max_pixels: int
    max_duration_sec: float
    min_duration_sec: float


def plain(value: Any) -> Any:
    """A record as JSON-ready dicts, lists and scalars (spans as [start, end])."""
    if isinstance(value, TimeSpan):
        return value.as_list()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
