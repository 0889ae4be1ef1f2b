"""Indexed spans of a video at four levels; every level covers [0, duration].

shot: between cuts. micro, meso, macro: overlapping windows of fixed length. Used by `vigil`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from sopilot.core.errors import InputError
from sopilot.core.timespan import TimeSpan
from sopilot.media.clips import clip_spans


class ChunkLevel(StrEnum):
    """How coarse a chunk is."""

    SHOT = "shot"
    MICRO = "micro"
    MESO = "meso"
    MACRO = "macro"


@dataclass(frozen=True, slots=True)
class WindowSize:
    """Length and stride of the windows of a level, and how many keyframes stand for one."""

    length_sec: float
    stride_sec: float
    keyframe_count: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span at a level; index counts from 0 within the level."""

    level: ChunkLevel
    index: int
    span: TimeSpan
    keyframes_sec: tuple[float, ...]


# Contract vigil-incidents 1.3.
DEFAULT_WINDOWS: Mapping[ChunkLevel, WindowSize] = {
    ChunkLevel.MICRO: WindowSize(3.0, 1.5, 8),
    ChunkLevel.MESO: WindowSize(12.0, 6.0, 12),
    ChunkLevel.MACRO: WindowSize(48.0, 24.0, 16),
}
SHOT_KEYFRAME_COUNT = 4
LONGEST_SHOT_SEC = 120.0
"""A fixed camera makes no cut for hours, and four pictures do not stand for that."""


def cut_chunks(
    duration_sec: float,
    shots: Sequence[TimeSpan],
    windows: Mapping[ChunkLevel, WindowSize] = DEFAULT_WINDOWS,
) -> list[Chunk]:
    """All chunks of a video, level by level, ascending in time.

    The last window of a level ends at the duration; a video shorter than a window gives one chunk
    [0, duration]. shots: as `shots.ShotMeter.finish` gives them; one of more than 120 s is split
    into equal parts. Raises InputError when duration is not > 0.
    """
    if not duration_sec > 0:
        raise InputError(f"a video of {duration_sec} s has no chunks; duration must be > 0")
    parts = [part for shot in shots for part in _parts(shot)]
    chunks = [
        _chunk(ChunkLevel.SHOT, index, part, SHOT_KEYFRAME_COUNT)
        for index, part in enumerate(parts)
    ]
    for level, size in windows.items():
        spans = clip_spans(duration_sec, size.length_sec, size.stride_sec)
        for index, (start_sec, end_sec) in enumerate(spans.tolist()):
            chunks.append(_chunk(level, index, TimeSpan(start_sec, end_sec), size.keyframe_count))
    return chunks


def _parts(shot: TimeSpan) -> list[TimeSpan]:
    count = max(1, math.ceil(shot.duration_sec / LONGEST_SHOT_SEC - 1e-9))
    edges = [shot.start_sec + shot.duration_sec * i / count for i in range(count)]
    return [TimeSpan(a, b) for a, b in pairwise([*edges, shot.end_sec])]


def _chunk(level: ChunkLevel, index: int, span: TimeSpan, keyframe_count: int) -> Chunk:
    """Keyframes at (i + 1) / (n + 1) of the span."""
    gap_sec = span.duration_sec / (keyframe_count + 1)
    times = tuple(span.start_sec + gap_sec * (i + 1) for i in range(keyframe_count))
    return Chunk(level, index, span, times)
