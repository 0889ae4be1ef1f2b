"""Vectors in a Qdrant server, for more moments than one machine searches exactly.

One collection per (model, version, dimension), cosine. A point's id is made of where it lies, so
that writing a video again replaces it in place; what the video has no longer is removed afterwards
by the number of the change. A writer that is killed in between leaves points of both, which the
next writing of that video clears: its job is done again. Searches are exact.
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import BadSettings, StoreError
from sopilot.core.log import get_logger
from sopilot.store.vectors import (
    LEVELS,
    Collection,
    Hit,
    Level,
    PointFilter,
    PointName,
    Points,
    Vectors,
)

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

_log = get_logger(__name__)

_NAMES: Final = uuid.UUID("5f7f6f0e-9b2b-4f57-8d3e-0f6a4d1c9a11")
_BATCH: Final = 256
_MOST_TIES: Final = 32
_KEYWORDS: Final = ("video_id", "level", "domain", "camera_id", "task_id", "site_id")
_LABELS: Final = ("video_id", "domain", "camera_id", "task_id", "site_id")
_FLOATS: Final = ("start_sec", "end_sec")


def open_server(url: str, api_key: str | None, timeout_sec: float) -> VectorServer:
    """The store at an address; nothing is asked of it yet. Raises BadSettings without the
    package."""
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise BadSettings(
            "SOPILOT_VECTOR_BACKEND=qdrant needs the package qdrant-client; install sopilot[qdrant]"
        ) from error
    if api_key and url.startswith("http:"):
        _log.warning("vectors.key_in_the_clear", url=url)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Api key is used")  # said above, in the log
        client = QdrantClient(
            url=url, api_key=api_key, timeout=max(1, round(timeout_sec)), check_compatibility=False
        )
    return VectorServer(client, url)


@dataclass(frozen=True, slots=True)
class VectorServer:
    """The backend. url: as messages name it."""

    client: QdrantClient
    url: str

    def upsert(self, collection: Collection, video_id: int, points: Points) -> None:
        """See `VectorStore`."""
        from qdrant_client import models

        points.check(collection)
        change = uuid.uuid4().hex
        with self._named():
            self._ensure(collection)
            for first in range(0, len(points.vectors), _BATCH):
                batch = [
                    models.PointStruct(
                        id=point_id(collection, _name(video_id, points, row)),
                        vector=points.vectors[row].tolist(),
                        payload=_payload(video_id, points, row) | {"change": change},
                    )
                    for row in range(first, min(first + _BATCH, len(points.vectors)))
                ]
                self.client.upsert(collection.name, batch, wait=True)
            stale = models.Filter(
                must=[_equals("number", video_id)], must_not=[_equals("change", change)]
            )
            self.client.delete(collection.name, models.FilterSelector(filter=stale), wait=True)

    def delete_video(self, video_id: int) -> int:
        """See `VectorStore`."""
        return sum(self._remove(item, [video_id]) for item in self.collections())

    def search(
        self, collection: Collection, query: NDArray[np.float32], chosen: PointFilter, k: int
    ) -> list[Hit]:
        """See `VectorStore`. Exact on the server too; so are ties, up to 32 at the last place."""
        from qdrant_client import models

        if k < 1 or (chosen.video_ids is not None and not chosen.video_ids):
            return []
        with self._named():
            if not self.client.collection_exists(collection.name):
                return []
            found = self.client.query_points(
                collection.name,
                query=query.astype(np.float32).tolist(),
                query_filter=_filter(chosen),
                limit=k + _MOST_TIES,
                search_params=models.SearchParams(exact=True),
                with_payload=True,
            ).points
        hits = [_hit(point.score, point.payload or {}) for point in found]
        return sorted(
            hits,
            key=lambda h: (-h.similarity, h.video_id, LEVELS.index(h.level), h.clip_index),
        )[:k]

    def points_of(self, collection: Collection, video_id: int) -> Points | None:
        """See `VectorStore`."""
        from qdrant_client import models

        of_video = models.Filter(must=[_equals("number", video_id)])
        found: list[Any] = []
        offset: Any = None
        with self._named():
            if not self.client.collection_exists(collection.name):
                return None
            while True:
                points, offset = self.client.scroll(
                    collection.name,
                    scroll_filter=of_video,
                    limit=_BATCH,
                    offset=offset,
                    with_payload=True,
                    with_vectors=True,
                )
                found += points
                if offset is None:
                    break
        return _points(found) if found else None

    def fetch(self, collection: Collection, names: Iterable[PointName]) -> Vectors:
        """See `VectorStore`."""
        wanted = {point_id(collection, name): name for name in names}
        if not wanted:
            return {}
        with self._named():
            if not self.client.collection_exists(collection.name):
                return {}
            points = self.client.retrieve(
                collection.name, list(wanted), with_payload=False, with_vectors=True
            )
        return {wanted[str(p.id)]: np.array(p.vector, np.float32) for p in points}

    def replace(self, collection: Collection, videos: Iterable[tuple[int, Points]]) -> int:
        """See `VectorStore`. Video by video in place: the server has no half-built state beside."""
        before = self._changes(collection)
        for video_id, points in videos:
            if self._changes(collection, video_id).get(video_id) == before.get(video_id):
                self.upsert(collection, video_id, points)
        return self.count(collection)

    def count(self, collection: Collection) -> int:
        """See `VectorStore`."""
        with self._named():
            if not self.client.collection_exists(collection.name):
                return 0
            return int(self.client.count(collection.name, exact=True).count)

    def video_ids(self, collection: Collection) -> frozenset[int]:
        """See `VectorStore`."""
        return frozenset(self._changes(collection))

    def remove(self, collection: Collection, video_ids: Iterable[int]) -> int:
        """See `VectorStore`."""
        removed = self._remove(collection, list(video_ids))
        with self._named():
            if self.client.collection_exists(collection.name) and not self.count(collection):
                self.client.delete_collection(collection.name)
        return removed

    def collections(self) -> tuple[Collection, ...]:
        """See `VectorStore`."""
        with self._named():
            names = sorted(item.name for item in self.client.get_collections().collections)
        found = (Collection.of_name(name) for name in names)
        return tuple(item for item in found if item is not None)

    def _ensure(self, collection: Collection) -> None:
        from qdrant_client import models

        if self.client.collection_exists(collection.name):
            return
        self.client.create_collection(
            collection.name,
            vectors_config=models.VectorParams(
                size=collection.dim, distance=models.Distance.COSINE
            ),
        )
        kinds = {name: models.PayloadSchemaType.KEYWORD for name in (*_KEYWORDS, "change")}
        kinds |= {name: models.PayloadSchemaType.FLOAT for name in _FLOATS}
        kinds |= {name: models.PayloadSchemaType.INTEGER for name in ("number", "role", "task")}
        for name, kind in kinds.items():
            self.client.create_payload_index(collection.name, name, kind)

    def _remove(self, collection: Collection, video_ids: list[int]) -> int:
        from qdrant_client import models

        if not video_ids:
            return 0
        of_videos = models.Filter(must=[_among("number", sorted(video_ids))])
        with self._named():
            if not self.client.collection_exists(collection.name):
                return 0
            count = int(self.client.count(collection.name, of_videos, exact=True).count)
            if count:
                selector = models.FilterSelector(filter=of_videos)
                self.client.delete(collection.name, selector, wait=True)
        return count

    def _changes(self, collection: Collection, video_id: int | None = None) -> dict[int, str]:
        """By which change each video was written; of one video alone, if given."""
        from qdrant_client import models

        of_video = None if video_id is None else models.Filter(must=[_equals("number", video_id)])
        found: dict[int, str] = {}
        offset: Any = None
        with self._named():
            if not self.client.collection_exists(collection.name):
                return {}
            while True:
                points, offset = self.client.scroll(
                    collection.name,
                    scroll_filter=of_video,
                    limit=1 if video_id is not None else 4 * _BATCH,
                    offset=offset,
                    with_payload=["number", "change"],
                )
                for point in points:
                    payload = point.payload or {}
                    found[int(payload["number"])] = str(payload["change"])
                if offset is None or video_id is not None:
                    return found

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Trouble of the server as StoreError, so that a job is tried again."""
        from qdrant_client.http.exceptions import ApiException

        try:
            yield
        except (ApiException, OSError, ValueError) as error:
            raise StoreError(
                f"the vector server at {self.url} does not do what it is asked "
                f"({str(error)[:300]}); look whether it runs, and at SOPILOT_QDRANT_URL"
            ) from error


def point_id(collection: Collection, name: PointName) -> str:
    """UUIDv5 of a point: the same on every machine and at every writing."""
    video_id, level, index = name
    return str(uuid.uuid5(_NAMES, f"{collection.name}|{video_id}|{level}|{index}"))


def _name(video_id: int, points: Points, row: int) -> PointName:
    return video_id, LEVELS[int(points.levels[row])], int(points.indexes[row])


def _payload(video_id: int, points: Points, row: int) -> dict[str, Any]:
    start_ms, end_ms = (int(value) for value in points.spans_ms[row])
    labels = {name: value for name, value in points.labels.items() if value is not None}
    return {
        "video_id": str(video_id),
        **labels,
        "number": video_id,
        "level": LEVELS[int(points.levels[row])],
        "clip_idx": int(points.indexes[row]),
        "start_sec": start_ms / 1000.0,
        "end_sec": end_ms / 1000.0,
        "task": points.task,
        "role": points.role,
    }


def _hit(score: float, payload: dict[str, Any]) -> Hit:
    level: Level = payload["level"]
    return Hit(
        max(-1.0, min(1.0, float(score))),
        int(payload["number"]),
        int(payload["clip_idx"]),
        round(float(payload["start_sec"]) * 1000),
        round(float(payload["end_sec"]) * 1000),
        int(payload["role"]),
        level,
    )


def _points(found: list[Any]) -> Points:
    """What a video's stored points say, by level and clip."""
    found.sort(key=lambda p: (LEVELS.index(p.payload["level"]), p.payload["clip_idx"]))
    payloads = [point.payload for point in found]
    spans = [(p["start_sec"], p["end_sec"]) for p in payloads]
    return Points(
        np.array([point.vector for point in found], np.float32),
        np.round(np.array(spans, np.float64) * 1000.0).astype(np.int64),
        int(payloads[0]["task"]),
        int(payloads[0]["role"]),
        np.array([LEVELS.index(p["level"]) for p in payloads], np.int16),
        np.array([p["clip_idx"] for p in payloads], np.int32),
        {name: payloads[0].get(name) for name in _LABELS},
    )


def _filter(chosen: PointFilter) -> Any:
    from qdrant_client import models

    must: list[Any] = []
    must_not: list[Any] = []
    if chosen.task is not None:
        must.append(_equals("task", chosen.task))
    if chosen.role is not None:
        must.append(_equals("role", chosen.role))
    if chosen.levels is not None:
        must.append(_among("level", sorted(chosen.levels)))
    if chosen.video_ids is not None:
        must.append(_among("number", sorted(chosen.video_ids)))
    if chosen.without_video_ids:
        must_not.append(_among("number", sorted(chosen.without_video_ids)))
    if chosen.without_clip is not None:
        video_id, index = chosen.without_clip
        same = [_equals("number", video_id), _equals("clip_idx", index)]
        must_not.append(models.Filter(must=same))
    if chosen.spans_ms:
        must.append(_within(chosen.spans_ms))
    return models.Filter(must=must, must_not=must_not)


def _within(spans_ms: Any) -> Any:
    """Points of the named videos that meet one of their spans, and all of other videos."""
    from qdrant_client import models

    named = [
        models.Filter(
            must=[
                _equals("number", video_id),
                models.FieldCondition(key="start_sec", range=models.Range(lt=end_ms / 1000.0)),
                models.FieldCondition(key="end_sec", range=models.Range(gt=start_ms / 1000.0)),
            ]
        )
        for video_id, spans in spans_ms.items()
        for start_ms, end_ms in spans
    ]
    others = models.Filter(must_not=[_among("number", sorted(spans_ms))])
    return models.Filter(should=[*named, others])


def _equals(key: str, value: Any) -> Any:
    from qdrant_client import models

    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _among(key: str, values: list[Any]) -> Any:
    from qdrant_client import models

    return models.FieldCondition(key=key, match=models.MatchAny(any=values))
