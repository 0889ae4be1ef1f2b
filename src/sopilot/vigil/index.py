"""From what ingest stored of a video to its index: chunks at four levels, each with the thumbnails
that stand for it and one vector.

Nothing is decoded again: cuts come from the report of the one pass, pictures from its thumbnails,
one per second. Called by the index job; pure but for the files it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import Progress, no_progress
from sopilot.core.timespan import union
from sopilot.embed.look import SAMPLE_COUNT, decoded
from sopilot.embed.projection import unit_rows
from sopilot.embed.stills import StillEmbedder
from sopilot.library.look import PassReport
from sopilot.media.chunks import Chunk, ChunkLevel, cut_chunks
from sopilot.media.keyframes import StripFile
from sopilot.vigil.levels import WINDOWS
from sopilot.vigil.schemas import ChunkRow, Domain

_PICTURES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """The index of a video. vectors: (chunks, dim) float32 in the order of chunks; a chunk without
    a picture has a row of zeros. covered_sec: what micro chunks with a picture cover."""

    chunks: tuple[ChunkRow, ...]
    vectors: NDArray[np.float32]
    counts: dict[str, int]
    covered_sec: float


def build_index(
    video_id: int,
    report: PassReport,
    thumbnails: Path,
    domain: Domain,
    stills: StillEmbedder,
    progress: Progress = no_progress,
) -> Index:
    """Index a video from what its ingest left. Raises StoreError, and what progress raises."""
    cut = cut_chunks(report.duration_sec, report.shots, WINDOWS[domain])
    with StripFile(thumbnails) as strip:
        places = _places(cut, strip.times_sec)
        looks = _looks(strip, stills, progress)
        times_sec = strip.times_sec
    rows = tuple(
        ChunkRow(
            video_id,
            str(chunk.level),
            chunk.index,
            chunk.span,
            tuple(round(float(times_sec[place]), 3) for place in chosen),
        )
        for chunk, chosen in zip(cut, places, strict=True)
    )
    return Index(rows, _means(looks, places), _counts(cut), _covered_sec(rows))


def _places(cut: list[Chunk], times_sec: NDArray[np.float64]) -> list[list[int]]:
    """Which thumbnails stand for each chunk: the nearest to its keyframes, each once."""
    reach_sec = 0.5 * float(np.median(np.diff(times_sec))) if len(times_sec) > 1 else 0.5
    found = []
    for chunk in cut:
        wanted = np.array(chunk.keyframes_sec)
        right = np.clip(np.searchsorted(times_sec, wanted), 1, max(1, len(times_sec) - 1))
        left = right - 1
        right = np.minimum(right, len(times_sec) - 1)
        is_left = wanted - times_sec[left] <= times_sec[right] - wanted
        nearest = np.unique(np.where(is_left, left, right))
        low, high = chunk.span.start_sec - reach_sec, chunk.span.end_sec + reach_sec
        inside = (times_sec[nearest] >= low) & (times_sec[nearest] <= high)
        found.append([int(place) for place in nearest[inside]])
    return found


def _looks(strip: StripFile, stills: StillEmbedder, progress: Progress) -> NDArray[np.float32]:
    """(thumbnails, dim)."""
    sample = np.unique(np.linspace(0, len(strip) - 1, SAMPLE_COUNT).round().astype(int))
    background = stills.background_of([decoded(strip.jpeg(int(place))) for place in sample])
    looks = np.empty((len(strip), stills.dim), np.float32)
    for first, stop in _batches(len(strip)):
        pictures = [decoded(strip.jpeg(place)) for place in range(first, stop)]
        looks[first:stop] = stills.of_pictures(pictures, background)
        progress(stop / len(strip))
    return looks


def _batches(count: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, _PICTURES_AT_ONCE):
        yield first, min(count, first + _PICTURES_AT_ONCE)


def _means(looks: NDArray[np.float32], places: list[list[int]]) -> NDArray[np.float32]:
    vectors = np.zeros((len(places), looks.shape[1]), np.float32)
    for row, chosen in enumerate(places):
        if chosen:
            vectors[row] = looks[chosen].mean(axis=0)
    return unit_rows(vectors)


def _counts(cut: list[Chunk]) -> dict[str, int]:
    counts = dict.fromkeys((str(level) for level in ChunkLevel), 0)
    for chunk in cut:
        counts[str(chunk.level)] += 1
    return counts


def _covered_sec(rows: tuple[ChunkRow, ...]) -> float:
    seen = [row.span for row in rows if row.level == ChunkLevel.MICRO and row.keyframes_sec]
    return round(sum(span.duration_sec for span in union(seen)), 3)
