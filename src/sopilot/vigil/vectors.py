"""The vectors of chunks in the store: one collection per model, all levels in it."""

from __future__ import annotations

import numpy as np

from sopilot.core.errors import StoreError
from sopilot.core.log import get_logger
from sopilot.embed.stills import StillEmbedder
from sopilot.runtime import Runtime
from sopilot.store.vectors import LEVELS, Collection, Points
from sopilot.vigil import queries
from sopilot.vigil.index import Index
from sopilot.vigil.schemas import FootageRow

ROLE_NUMBER = 3
"""Footage among the roles of the store; chunks of every video carry it."""

_log = get_logger(__name__)


def collection_of(stills: StillEmbedder) -> Collection:
    """Where the vectors of a model lie."""
    return Collection(stills.producer.fingerprint, stills.dim, "chunks")


def store_index(
    runtime: Runtime, collection: Collection, footage: FootageRow, task: int, index: Index
) -> None:
    """Put a video's chunks in the place of what it had; those without a picture are left out.

    task: the number of the task's row. Raises StoreError, DiskFull.
    """
    kept = np.flatnonzero(index.vectors.any(axis=1))
    chunks = [index.chunks[int(place)] for place in kept]
    spans = [(chunk.span.start_sec, chunk.span.end_sec) for chunk in chunks]
    runtime.vectors.upsert(
        collection,
        footage.video_id,
        Points(
            index.vectors[kept],
            np.round(np.array(spans, np.float64).reshape(-1, 2) * 1000.0).astype(np.int64),
            task,
            ROLE_NUMBER,
            np.array([_LEVEL_NUMBERS[chunk.level] for chunk in chunks], np.int16),
            np.array([chunk.index for chunk in chunks], np.int32),
            {
                "video_id": footage.uid,
                "domain": str(footage.domain),
                "camera_id": footage.camera_id,
                "site_id": footage.site_id,
                "task_id": footage.task_id,
            },
        ),
    )


_LEVEL_NUMBERS: dict[str, int] = {level: number for number, level in enumerate(LEVELS)}


def forget(runtime: Runtime, video_id: int) -> None:
    """Remove a video's points of footage from every collection; trouble is logged, for a search
    shows only what the database knows."""
    try:
        for collection in runtime.vectors.collections():
            if collection.kind != "moments":
                runtime.vectors.remove(collection, [video_id])
    except StoreError as error:
        _log.warning("vigil.vectors_left_behind", video_id=video_id, reason=error.message)


def forget_if_gone(runtime: Runtime, video_id: int) -> None:
    """Take back the vectors of footage that was deleted while they were made."""
    try:
        with runtime.database.read() as connection:
            is_gone = queries.find_footage(connection, video_id) is None
    except StoreError as error:
        _log.warning("vigil.not_looked_at", video_id=video_id, reason=error.message)
        return
    if is_gone:
        forget(runtime, video_id)
