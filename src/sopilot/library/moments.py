"""Moments of videos in the vector store: one vector per clip, written by ingest, found by search.

The vector is the block `crop` (edges, movement and colours around the hands) brought to 512
numbers by a random projection. Measured on recorded hand washing, where a moment of one
person should find the same step of another one: 83 % of the first hits with it as with all 4200
numbers, 75 % with the block `layout`, 34 % with `rhythm`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import BlobNotFound, StoreError
from sopilot.core.log import get_logger
from sopilot.core.records import Producer, Role
from sopilot.embed.base import VideoFeatures
from sopilot.embed.projection import sign_projection, unit_rows
from sopilot.library import queries
from sopilot.library.features import open_features
from sopilot.library.schemas import VideoRow
from sopilot.runtime import Runtime
from sopilot.store.vectors import Collection, Points

BLOCK = "crop"
MOST_NUMBERS = 512
_VERSION = "moments-1"
ROLE_NUMBERS = {Role.GOLD: 0, Role.TRAINEE: 1, Role.AUDIT: 2, Role.FOOTAGE: 3}

_log = get_logger(__name__)
_BUILDING = Lock()


def collection_of(features: VideoFeatures) -> Collection:
    """Where a video's moments lie: with those of every video that it may be compared with.

    The number of re-recordings, which only golds have, does not part them.
    """
    made = features.producer
    settings = tuple(item for item in made.settings if item[0] != "versions")
    named = Producer(made.name, made.version, (*settings, ("moments", _VERSION)))
    width = features.block(_block(features)).shape[1]
    return Collection(named.fingerprint, min(width, MOST_NUMBERS))


def moment_vectors(features: VideoFeatures) -> NDArray[np.float32]:
    """(clip_count, dim) float32 rows of unit length; a row of zeros stays one."""
    rows = features.block(_block(features))
    if rows.shape[1] > MOST_NUMBERS:
        rows = rows @ sign_projection(_VERSION, rows.shape[1], MOST_NUMBERS)
    return unit_rows(rows)


def index_video(runtime: Runtime, video: VideoRow, task: int, path: Path) -> None:
    """Put a video's moments into the store, in the place of what it had there. Idempotent.

    task: the number of the task's row. path: the file of its features.
    """
    features = VideoFeatures.from_file(path)
    collection = collection_of(features)
    ensure(runtime, collection)
    runtime.vectors.upsert(collection, video.id, _points(features, video, task))


def forget_video(runtime: Runtime, video_id: int) -> None:
    """Remove a video's moments; trouble is logged, for a search shows ready videos only."""
    try:
        runtime.vectors.delete_video(video_id)
    except StoreError as error:
        _log.warning("moments.left_behind", video_id=video_id, reason=error.message)


def ensure(runtime: Runtime, collection: Collection) -> None:
    """Build the index anew where it has no such collection: it is gone, or what is there has other
    numbers, of another version. Before the first video of a new kind is added as well, or
    the older ones would stay left out."""
    if collection in runtime.vectors.collections():
        return
    with _BUILDING:
        if collection not in runtime.vectors.collections():
            rebuild(runtime)


def rebuild(runtime: Runtime) -> dict[str, int]:
    """Build every collection anew from the database and the stored features; points by name.

    Videos may come and go meanwhile: one that is still being ingested keeps what it has.
    """
    with runtime.database.read() as connection:
        ready = queries.list_ready(connection)
    chosen: dict[Collection, list[tuple[VideoRow, int]]] = {}
    for video, task in ready:
        features = _readable(runtime, video)
        if features is not None:
            chosen.setdefault(collection_of(features), []).append((video, task))
    counts = {
        collection.name: runtime.vectors.replace(collection, _all_points(runtime, videos))
        for collection, videos in chosen.items()
    }
    homes = {video.id: place for place, videos in chosen.items() for video, _ in videos}
    for collection in runtime.vectors.collections():
        if collection.kind == "moments":
            _clear(runtime, collection, homes)
    return counts


def _clear(runtime: Runtime, collection: Collection, homes: Mapping[int, Collection]) -> None:
    """Remove deleted videos from a collection, and those that belong to another one."""
    try:
        present = runtime.vectors.video_ids(collection)
    except StoreError as error:  # of an older version; the present one has just been built
        _log.warning("moments.unreadable", collection=collection.name, reason=error.message)
        present = frozenset()
    with runtime.database.read() as connection:  # after the index: a row is older than its points
        known = queries.all_ids(connection)
    moved = {number for number in present if homes.get(number, collection) != collection}
    runtime.vectors.remove(collection, (present - known) | moved)


def _all_points(
    runtime: Runtime, videos: list[tuple[VideoRow, int]]
) -> Iterator[tuple[int, Points]]:
    for video, task in videos:
        features = _readable(runtime, video)
        if features is not None:
            yield video.id, _points(features, video, task)


def _readable(runtime: Runtime, video: VideoRow) -> VideoFeatures | None:
    try:
        return open_features(runtime, video)
    except (BlobNotFound, StoreError) as error:
        _log.warning("moments.left_out", video_id=video.id, reason=error.message)
        return None


def _points(features: VideoFeatures, video: VideoRow, task: int) -> Points:
    spans = np.round(features.clip_spans * 1000.0).astype(np.int64)
    return Points(moment_vectors(features), spans, task, ROLE_NUMBERS[video.role])


def _block(features: VideoFeatures) -> str:
    return BLOCK if BLOCK in features.blocks else next(iter(features.blocks))
