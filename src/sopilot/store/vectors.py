"""The vector store: vectors of moments, found again by likeness within one collection.

`VectorStore` is the port; a collection holds what one producer made, so that vectors of different
producers never meet. Everything here can be built again from the database and the derived blobs.
The backend without a server is `store.vector_files`, that with one `store.vector_server`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError

Kind = Literal["moments", "chunks", "texts", "legacy"]
"""moments: clips of what is scored. chunks: of footage, at several levels. texts: what is said or
noted of a video; the index of a point is the id of its annotation. legacy: of an older product,
not to be made anew."""

Level = Literal["clip", "shot", "micro", "meso", "macro", "micro_text", "legacy"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""How coarse the span of a point is; stored by its place here."""

_PRODUCER = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"(?:(chunks|texts|legacy)-)?([0-9a-f]{16})-([1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True, order=True)
class Collection:
    """One kind of vectors. producer: a fingerprint, 16 hex digits. dim: length of a vector."""

    producer: str
    dim: int
    kind: Kind = "moments"

    def __post_init__(self) -> None:
        if not _PRODUCER.fullmatch(self.producer) or self.dim < 1:
            raise InputError(
                f"collection {self.producer!r} of dimension {self.dim} cannot be used; give a "
                "fingerprint of 16 hex digits and a dimension of at least 1"
            )

    @property
    def name(self) -> str:
        """The collection's name in files and servers."""
        name = f"{self.producer}-{self.dim}"
        return name if self.kind == "moments" else f"{self.kind}-{name}"

    @classmethod
    def of_name(cls, name: str) -> Collection | None:
        """The inverse of `name`; None for the name of something else."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
        return cls(match[2], int(match[3]), kinds[match[1] or "moments"])


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """The vectors of one video, and what they can be filtered and shown by.

    vectors: (n, dim) float32, of unit length. spans_ms: (n, 2) int64, start and end in the video.
    task: the number of the task's row. role: a small number that the caller chooses. levels: (n,)
    places in LEVELS. indexes: (n,) the number of each row within its level; row k of what has one
    level is its clip k. labels: what others may know the video by on a server, such as its uid as
    `video_id`, `camera_id`, `site_id`; searches here choose by video.
    """

    vectors: NDArray[np.float32]
    spans_ms: NDArray[np.int64]
    task: int
    role: int
    levels: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    indexes: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    labels: Mapping[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.vectors)
        if len(self.levels) == 0 and len(self.indexes) == 0:
            object.__setattr__(self, "levels", np.zeros(count, np.int16))
            object.__setattr__(self, "indexes", np.arange(count, dtype=np.int32))

    def check(self, collection: Collection) -> None:
        """Raises InputError unless the arrays fit the collection and each other."""
        count = len(self.vectors)
        if self.vectors.shape != (count, collection.dim) or self.spans_ms.shape != (count, 2):
            raise InputError(
                f"vectors {self.vectors.shape} and spans {self.spans_ms.shape} must be "
                f"(n, {collection.dim}) and (n, 2)"
            )
        if self.levels.shape != (count,) or self.indexes.shape != (count,):
            raise InputError(
                f"levels {self.levels.shape} and indexes {self.indexes.shape} must be (n,) of "
                f"{count} vectors"
            )
        if not np.isfinite(self.vectors).all():
            raise InputError("vectors must be finite; ingest the video again")


@dataclass(frozen=True, slots=True)
class PointFilter:
    """Which points a search looks at; None = any.

    without_video_ids: videos to leave out. without_clip: one (video_id, clip_index) to leave out.
    levels, video_ids: only these. spans_ms: of a video that is named here, only points that share
    time with one of its spans; of others, all.
    """

    task: int | None = None
    role: int | None = None
    without_video_ids: frozenset[int] = frozenset()
    without_clip: tuple[int, int] | None = None
    levels: frozenset[Level] | None = None
    video_ids: frozenset[int] | None = None
    spans_ms: Mapping[int, Sequence[tuple[int, int]]] | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A found point. similarity: cosine, -1 to 1."""

    similarity: float
    video_id: int
    clip_index: int
    start_ms: int
    end_ms: int
    role: int
    level: Level = "clip"


PointName = tuple[int, Level, int]
"""(video_id, level, clip_index)."""

Vectors = Mapping[PointName, NDArray[np.float32]]


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
        """The k most similar points that the filter lets pass, the best first; ties by video, level
        and clip. Exact. An unknown collection is an empty one."""
        ...

    def points_of(self, collection: Collection, video_id: int) -> Points | None:
        """Everything that a video has in a collection, by level and clip; None = nothing."""
        ...

    def fetch(self, collection: Collection, names: Iterable[PointName]) -> Vectors:
        """The vectors of points by name; names without a point are left out."""
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
