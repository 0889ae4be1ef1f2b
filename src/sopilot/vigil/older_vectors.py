"""Vectors of an older product, put beside the videos of this library that they are of.

Called by `sopilot vectors migrate --from npy:FOLDER`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sopilot.core.errors import VideoNotFound
from sopilot.library import queries as library
from sopilot.runtime import Runtime
from sopilot.store.vector_legacy import LegacyMove, move_legacy, read_legacy, read_names
from sopilot.store.vectors import VectorStore
from sopilot.vigil import queries
from sopilot.vigil.vectors import ROLE_NUMBER


def import_legacy(
    runtime: Runtime,
    folder: Path,
    target: VectorStore,
    model: str,
    names: Path | None,
    *,
    is_dry: bool = False,
) -> LegacyMove:
    """The vectors of a folder as points of level `legacy`. names: see `read_names`.

    Raises InputError, StoreError, DiskFull.
    """
    here = read_names(names)

    def video_of(name: str) -> tuple[int, int] | None:
        with runtime.database.read() as connection:
            try:
                video = library.get_video(connection, here.get(name, name))
            except VideoNotFound:
                return None
            return video.id, library.task_number(connection, video.task_id)

    found = read_legacy(folder)
    return move_legacy(
        found, target, model, video_of, labels_in(runtime), ROLE_NUMBER, is_dry=is_dry
    )


def labels_in(runtime: Runtime) -> Callable[[int], dict[str, str | None]]:
    """What a vector server is told of a video; nothing of one that is gone."""

    def labels_of(video_id: int) -> dict[str, str | None]:
        with runtime.database.read() as connection:
            try:
                return dict(queries.labels_of(connection, video_id))
            except VideoNotFound:
                return {}

    return labels_of
