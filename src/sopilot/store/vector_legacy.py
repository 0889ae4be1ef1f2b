"""Vector files of the products before this one, into a vector store.

A folder holds, per task, `<task>.npy` (n vectors) and beside it `<task>.json` or `<task>.meta.json`
(n records: video_id, clip_idx, start_sec, end_sec). They become points of level `legacy` of the
videos that this library knows. Called by `sopilot vectors migrate --from npy:FOLDER`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sopilot.core.errors import InputError
from sopilot.core.records import Producer
from sopilot.store.vector_moving import CollectionMove, LabelsOf, same_points
from sopilot.store.vectors import LEVELS, Collection, Points, VectorStore

_LEVEL = LEVELS.index("legacy")
_MOST_INDEX = 2**31 - 1
Number = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class _Record(BaseModel):
    """What the older index knew of a vector; without times they are 0, as it had it."""

    model_config = ConfigDict(extra="ignore")

    video_id: int | str
    clip_idx: Annotated[int, Field(ge=0, le=_MOST_INDEX)]
    start_sec: Number = 0.0
    end_sec: Number = 0.0


_RECORDS = TypeAdapter(list[_Record])


@dataclass(frozen=True, slots=True, eq=False)
class LegacyVectors:
    """Vectors by the older video id. dim: of all of them."""

    dim: int
    by_video: Mapping[str, tuple[NDArray[np.float32], Sequence[_Record]]]


@dataclass(frozen=True, slots=True)
class LegacyMove:
    """What became of it. unknown: older video ids that no video of this library stands for; their
    vectors are left where they are."""

    move: CollectionMove
    unknown: tuple[str, ...]


def read_legacy(folder: Path) -> LegacyVectors:
    """All vectors of a folder. Raises InputError, which names the file."""
    paths = sorted(folder.glob("*.npy"))
    if not paths:
        raise InputError(f"{folder} holds no .npy file; name the folder of the older index")
    rows: dict[str, list[tuple[NDArray[np.float32], _Record]]] = {}
    dims: dict[int, Path] = {}
    for path in paths:
        vectors, records = _read(path)
        dims.setdefault(vectors.shape[1], path)
        if len(dims) > 1:
            told = ", ".join(f"{name.name} has {dim}" for dim, name in dims.items())
            raise InputError(f"the vectors have different lengths ({told}); move them one by one")
        for vector, record in zip(vectors, records, strict=True):
            rows.setdefault(str(record.video_id), []).append((vector, record))
    return LegacyVectors(
        next(iter(dims)),
        {
            video: (np.stack([vector for vector, _ in own]), [record for _, record in own])
            for video, own in sorted(rows.items())
        },
    )


def _read(path: Path) -> tuple[NDArray[np.float32], list[_Record]]:
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as an array of numbers ({error})") from error
    if vectors.ndim != 2 or vectors.shape[1] < 1 or vectors.dtype.kind not in "fiu":
        raise InputError(f"{path} has the shape {vectors.shape}; rows of numbers are expected")
    made = vectors.astype(np.float64)
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not (lengths > 0).all():
        place = int(np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)).ravel())[0])
        raise InputError(f"{path}: vector {place} is zero or not finite; remove it with its record")
    records = _records(path)
    if len(records) != len(made):
        raise InputError(f"{path} has {len(made)} vectors, its records are {len(records)}")
    return np.asarray(made / lengths, np.float32), records


def _records(path: Path) -> list[_Record]:
    places = [path.with_suffix(".json"), path.with_suffix(".meta.json")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(f"{path} has no records beside it; expected {places[0].name}")
    try:
        return _RECORDS.validate_json(found.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{found}: {place}: {first['msg']}") from error


def read_names(path: Path | None) -> Mapping[str, str]:
    """`{older video id: id here}` from a JSON file; none without one. Raises InputError."""
    if path is None:
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a JSON object") from error
    if not isinstance(found, dict):
        raise InputError(f'{path} is no JSON object; give {{"older id": "id here"}}')
    return {str(old): str(new) for old, new in found.items()}


def move_legacy(
    found: LegacyVectors,
    target: VectorStore,
    model: str,
    video_of: Callable[[str], tuple[int, int] | None],
    labels_of: LabelsOf,
    role: int,
    *,
    is_dry: bool = False,
) -> LegacyMove:
    """Put them into the collection of a model's name, and compare what is there afterwards.

    video_of: the numbers of the video's and the task's row for an older id, None where there is no
    such video. Idempotent. Raises InputError where two vectors of a video have one clip_idx or two
    older ids are one video, StoreError, DiskFull.
    """
    collection = Collection(Producer("legacy", model).fingerprint, found.dim, "legacy")
    wanted: dict[int, Points] = {}
    unknown = []
    for name, (vectors, records) in found.by_video.items():
        place = video_of(name)
        if place is None:
            unknown.append(name)
            continue
        if place[0] in wanted:
            raise InputError(f"the older id {name} is a video that another older id is as well")
        wanted[place[0]] = _points(name, vectors, records, place[1], role, labels_of(place[0]))
    copied = 0
    for video_id, points in wanted.items():
        if same_points(points, target.points_of(collection, video_id)):
            continue
        copied += 1
        if not is_dry:
            target.upsert(collection, video_id, points)
    different = [
        video_id
        for video_id, points in wanted.items()
        if not same_points(points, target.points_of(collection, video_id))
    ]
    count = sum(len(points.vectors) for points in wanted.values())
    return LegacyMove(
        CollectionMove(collection.name, len(wanted), count, copied, tuple(different)),
        tuple(unknown),
    )


def _points(
    name: str,
    vectors: NDArray[np.float32],
    records: Sequence[_Record],
    task: int,
    role: int,
    labels: Mapping[str, str | None],
) -> Points:
    indexes = np.array([record.clip_idx for record in records], np.int32)
    if len(np.unique(indexes)) < len(indexes):
        raise InputError(f"the older video {name} has two vectors of one clip_idx; remove one")
    order = np.argsort(indexes)
    spans = np.array([(record.start_sec, record.end_sec) for record in records], np.float64)
    return Points(
        vectors[order],
        np.round(spans[order] * 1000.0).astype(np.int64),
        task,
        role,
        np.full(len(records), _LEVEL, np.int16),
        indexes[order],
        labels,
    )
