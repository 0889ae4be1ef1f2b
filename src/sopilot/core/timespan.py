"""Spans of video time in seconds; every band speaks of time through them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sopilot.core.errors import InputError


@dataclass(frozen=True, slots=True, order=True)
class TimeSpan:
    """A span [start_sec, end_sec] of a video's presentation time; end may equal start.

    Raises InputError when the end lies before the start or either is not finite.
    """

    start_sec: float
    end_sec: float

    def __post_init__(self) -> None:
        finite = float("-inf") < self.start_sec <= self.end_sec < float("inf")
        if not finite:
            raise InputError(
                f"a time span must have finite start <= end, got "
                f"[{self.start_sec}, {self.end_sec}]; exchange or correct the two times"
            )

    @property
    def duration_sec(self) -> float:
        """Length in seconds, >= 0."""
        return self.end_sec - self.start_sec

    @property
    def centre_sec(self) -> float:
        """Midpoint in seconds."""
        return 0.5 * (self.start_sec + self.end_sec)

    def contains(self, moment_sec: float) -> bool:
        """Whether a moment lies in it; its end does not."""
        return self.start_sec <= moment_sec < self.end_sec

    def overlap_sec(self, other: TimeSpan) -> float:
        """Seconds that both spans share, >= 0."""
        shared = min(self.end_sec, other.end_sec) - max(self.start_sec, other.start_sec)
        return max(0.0, shared)

    def iou(self, other: TimeSpan) -> float:
        """Temporal intersection over union, 0-1; two equal instants give 0."""
        shared = self.overlap_sec(other)
        total = self.duration_sec + other.duration_sec - shared
        return shared / total if total > 0 else 0.0

    def clamp(self, low_sec: float, high_sec: float) -> TimeSpan:
        """The part of the span inside [low_sec, high_sec]; an empty span at the nearer edge."""
        start = min(max(self.start_sec, low_sec), high_sec)
        return TimeSpan(start, max(start, min(self.end_sec, high_sec)))

    def as_list(self) -> list[float]:
        """[start, end] rounded to milliseconds, the form in public records."""
        return [round(self.start_sec, 3), round(self.end_sec, 3)]


def union(spans: Iterable[TimeSpan], gap_sec: float = 0.0) -> list[TimeSpan]:
    """Merge spans that overlap or lie at most gap_sec apart; ascending."""
    merged: list[TimeSpan] = []
    for span in sorted(spans):
        if merged and span.start_sec <= merged[-1].end_sec + gap_sec:
            last = merged[-1]
            merged[-1] = TimeSpan(last.start_sec, max(last.end_sec, span.end_sec))
        else:
            merged.append(span)
    return merged


def timecode(seconds: float) -> str:
    """Human form m:ss.s, or h:mm:ss.s from one hour on."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"
