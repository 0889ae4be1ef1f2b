"""The vector store: vectors of moments, found again by likeness within one collection.

`VectorStore` is the port; a collection holds what one producer made, so that vectors of different
producers never meet. Everything here can be built again from the database and the derived blobs.
The backend without a server is `store.vector_files`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError

_PRODUCER = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, order=True)
class Collection:
    """One kind of vectors. producer: a fingerprint, 16 hex digits. dim: length of a vector."""

    producer: str
    dim: int

    def __post_init__(self) -> None:
        if not _PRODUCER.fullmatch(self.producer) or self.dim < 1:
            raise InputError(
                f"collection {self.producer!r} of dimension {self.dim} cannot be used; give a "
                "fingerprint of 16 hex digits and a dimension of at least 1"
            )

    @property
    def name(self) -> str:
        """The collection's name in files and servers."""
        return f"{self.producer}-{self.dim}"


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """The vectors of one video, and what they can be filtered and shown by.

    vectors: (n, dim) float32, of unit length. spans_ms: (n, 2) int64, start and end in the video.
    Row k is clip k. task: the number of the task's row. role: a small number that the caller
    chooses.
    """

    vectors: NDArray[np.float32]
    spans_ms: NDArray[np.int64]
    task: int
    role: int

    def check(self, collection: Collection) -> None:
        """Raises InputError unless the arrays fit the collection and each other."""
        count = len(self.vectors)
        if self.vectors.shape != (count, collection.dim) or self.spans_ms.shape != (count, 2):
            raise InputError(
                f"vectors {self.vectors.shape} and spans {self.spans_ms.shape} must be "
                f"(n, {collection.dim}) and (n, 2)"
            )
        if not np.isfinite(self.vectors).all():
            raise InputError("vectors must be finite; ingest the video again")


@dataclass(frozen=True, slots=True)
class PointFilter:
    """Which points a search looks at; None = any.

    without_video_ids: videos to leave out. without_clip: one (video_id, clip_index) to leave out.
    """

    task: int | None = None
    role: int | None = None
    without_video_ids: frozenset[int] = frozenset()
    without_clip: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A found point. similarity: cosine, -1 to 1."""

    similarity: float
    video_id: int
    clip_index: int
    start_ms: int
    end_ms: int
    role: int


class VectorStore(Protocol):
    """The port. Safe between processes: a search sees the state before or after a change, never
    one in between, also when a process is killed. All raise StoreError or DiskFull."""

    def upsert(self, collection: Collection, video_id: int, points: Points) -> None:
        """Put these points in the place of all that the video has in this collection."""
        ...

    def delete_video(self, video_id: int) -> int:
        """Remove a video from every collection; how many points went."""
        ...

    def search(
        self, collection: Collection, query: NDArray[np.float32], chosen: PointFilter, k: int
    ) -> list[Hit]:
        """The k most similar points that the filter lets pass, the best first; ties by video and
        clip. Exact. An unknown collection is an empty one."""
        ...

    def replace(self, collection: Collection, videos: Iterable[tuple[int, Points]]) -> int:
        """Build these videos anew beside the old state, then switch; how many points there are.

        Videos that were upserted or deleted meanwhile keep that newer state, and videos that are
        not among these keep what they have, unless the old state cannot be read.
        """
        ...

    def count(self, collection: Collection) -> int:
        """Points in a collection."""
        ...

    def video_ids(self, collection: Collection) -> frozenset[int]:
        """The videos that have points in a collection."""
        ...

    def remove(self, collection: Collection, video_ids: Iterable[int]) -> int:
        """Remove videos from one collection; how many points went. A collection without points, or
        one that cannot be read, goes too."""
        ...

    def collections(self) -> tuple[Collection, ...]:
        """The collections that exist, by name."""
        ...
