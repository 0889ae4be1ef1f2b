"""Vectors from one store into another, whichever backends they are, and the proof of it.

Idempotent: a video whose points are there already is not written again. Called by
`sopilot vectors migrate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sopilot.core.records import Progress, no_progress
from sopilot.store.vectors import Collection, Points, VectorStore

_TOLERANCE = 1e-5
"""By which a number of a vector may differ: a server brings vectors to unit length itself."""

LabelsOf = Callable[[int], dict[str, str | None]]
"""What a server is to know of a video besides."""


@dataclass(frozen=True, slots=True)
class CollectionMove:
    """What became of a collection. different: videos whose points are not the same afterwards."""

    collection: str
    videos: int
    points: int
    copied_videos: int
    different: tuple[int, ...]

    @property
    def is_same(self) -> bool:
        """Does the target hold what the source holds?"""
        return not self.different


def move_vectors(
    source: VectorStore,
    target: VectorStore,
    labels_of: LabelsOf,
    *,
    is_dry: bool = False,
    progress: Progress = no_progress,
) -> list[CollectionMove]:
    """Copy every collection; is_dry: only count. Raises StoreError, DiskFull."""
    places = [(item, video) for item in source.collections() for video in _videos(source, item)]
    copied: dict[Collection, int] = {}
    for number, (collection, video_id) in enumerate(places, start=1):
        points = source.points_of(collection, video_id)
        if points is not None and not same_points(points, target.points_of(collection, video_id)):
            copied[collection] = copied.get(collection, 0) + 1
            if not is_dry:
                target.upsert(collection, video_id, _labelled(points, labels_of(video_id)))
        progress(0.7 * number / len(places))
    moves = []
    for collection in source.collections():
        videos = _videos(source, collection)
        different = [
            video_id
            for video_id in videos
            if not same_points(
                source.points_of(collection, video_id), target.points_of(collection, video_id)
            )
        ]
        moves.append(
            CollectionMove(
                collection.name,
                len(videos),
                source.count(collection),
                copied.get(collection, 0),
                tuple(different),
            )
        )
    progress(1.0)
    return moves


def _videos(store: VectorStore, collection: Collection) -> list[int]:
    return sorted(store.video_ids(collection))


def _labelled(points: Points, labels: dict[str, str | None]) -> Points:
    return Points(
        points.vectors,
        points.spans_ms,
        points.task,
        points.role,
        points.levels,
        points.indexes,
        labels,
    )


def same_points(one: Points | None, other: Points | None) -> bool:
    """Are they the same points, but for what a server changes in the last digits?"""
    if one is None or other is None:
        return one is other
    return (
        one.vectors.shape == other.vectors.shape
        and np.array_equal(one.spans_ms, other.spans_ms)
        and np.array_equal(one.levels, other.levels)
        and np.array_equal(one.indexes, other.indexes)
        and (one.task, one.role) == (other.task, other.role)
        and bool(np.allclose(one.vectors, other.vectors, atol=_TOLERANCE))
    )
