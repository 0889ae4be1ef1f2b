"""Vectors in files: exact search by one matrix product over memory-mapped rows. No server.

A collection is a folder: `rows-<n>.f32` (float32 rows, only ever appended), `points-<n>.npy` (one
record per living row: where it lies and what it is) and `current.json`, which names the two and is
replaced by a rename. Rows beyond what `current.json` tells of do not exist: a killed writer leaves
the old state. Writers of all processes take turns by a file lock; readers need none.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sopilot.core.errors import StoreError
from sopilot.core.log import get_logger
from sopilot.store.faults import file_fault
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
from sopilot.store.whole_files import STAGED, place, write_whole

_log = get_logger(__name__)

LEAST_DEAD_ROWS = 4096
"""Fewer rows that nobody points to are not worth a new file."""

_POINT = np.dtype(
    [
        ("row", "<i8"),
        ("video_id", "<i8"),
        ("level", "<i2"),
        ("clip_index", "<i4"),
        ("start_ms", "<i8"),
        ("end_ms", "<i8"),
        ("task", "<i8"),
        ("role", "<i4"),
        ("change", "<i8"),  # the number of the change that wrote it
    ]
)
_BLOCK_ROWS = 65_536
_LEAST_RUN = 64  # rows: below it a copy is cheaper than another product
_ATTEMPTS = 50
_STALE_SEC = 3600.0


@dataclass(frozen=True, slots=True)
class _Current:
    """What `current.json` says. change: grows with every write. row_count: rows that exist."""

    change: int
    rows: str
    points: str
    row_count: int


@dataclass(frozen=True, slots=True)
class VectorFiles:
    """The backend; root: the folder of all collections, made when the first is written."""

    root: Path

    def upsert(self, collection: Collection, video_id: int, points: Points) -> None:
        """See `VectorStore`."""
        points.check(collection)
        with self._writing(collection) as folder:
            now, table = _load(folder)
            kept = table[table["video_id"] != video_id]
            change = now.change + 1
            rows = now.rows or f"rows-{change}.f32"
            _append(folder / rows, now.row_count, points.vectors, collection.dim)
            added = _records(video_id, points, now.row_count, change)
            table = np.concatenate([kept, added])
            count = now.row_count + len(added)
            if count - len(table) > max(LEAST_DEAD_ROWS, len(table)):
                rows, count = _compact(folder, rows, table, collection.dim, change)
            _switch(folder, _Current(change, rows, "", count), table)

    def delete_video(self, video_id: int) -> int:
        """See `VectorStore`."""
        removed = 0
        for collection in self.collections():
            with self._writing(collection) as folder:
                now, table = _load(folder)
                kept = table[table["video_id"] != video_id]
                if len(kept) < len(table):
                    removed += len(table) - len(kept)
                    following = _Current(now.change + 1, now.rows, "", now.row_count)
                    _switch(folder, following, kept)
        return removed

    def search(
        self, collection: Collection, query: NDArray[np.float32], chosen: PointFilter, k: int
    ) -> list[Hit]:
        """See `VectorStore`. Time and memory: the chosen points, in blocks."""
        rows, table = self._read(collection)
        table = table[_passing(table, chosen)]
        if not len(table) or k < 1:
            return []
        table = table[np.argsort(table["row"], kind="stable")]  # in the order of the file
        found = np.empty(len(table), np.float32)
        for first in range(0, len(table), _BLOCK_ROWS):
            part = table["row"][first : first + _BLOCK_ROWS]
            found[first : first + len(part)] = _products(rows, part, query)
        if k < len(table):
            # All that are at least as similar as the k-th, so that ties are cut the same way.
            least = np.partition(found, len(found) - k)[len(found) - k]
            near = np.flatnonzero(found >= least)
            table, found = table[near], found[near]
        keys = (table["clip_index"], table["level"], table["video_id"], -found)
        order = np.lexsort(keys)[:k]
        return [_hit(table[i], float(found[i])) for i in order]

    def points_of(self, collection: Collection, video_id: int) -> Points | None:
        """See `VectorStore`. The files know no labels."""
        rows, table = self._read(collection)
        own = table[table["video_id"] == video_id]
        if not len(own):
            return None
        own = own[np.lexsort((own["clip_index"], own["level"]))]
        return Points(
            np.array(rows[own["row"]], np.float32),
            np.stack([own["start_ms"], own["end_ms"]], axis=1),
            int(own["task"][0]),
            int(own["role"][0]),
            own["level"].copy(),
            own["clip_index"].copy(),
        )

    def fetch(self, collection: Collection, names: Iterable[PointName]) -> Vectors:
        """See `VectorStore`."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        rows, table = self._read(collection)
        videos, levels, clips = zip(*wanted, strict=True)
        asked = _numbers(videos, [LEVELS.index(level) for level in levels], clips)
        present = table[np.isin(_numbers(table["video_id"], table["level"], table["clip_index"]),
                                asked)]  # fmt: skip
        return {
            (int(record["video_id"]), _level(record), int(record["clip_index"])): np.array(
                rows[int(record["row"])], np.float32
            )
            for record in present
        }

    def replace(self, collection: Collection, videos: Iterable[tuple[int, Points]]) -> int:
        """See `VectorStore`. The lock is held for the switch only."""
        with self._writing(collection) as folder:
            before, old = _load_sound(folder, collection.dim)
            _sweep(folder)
        staged = folder / f"staged-{os.getpid()}-{os.urandom(4).hex()}.f32"
        try:
            parts, count, ids = [np.empty(0, _POINT)], 0, set[int]()
            for video_id, points in videos:
                points.check(collection)
                ids.add(video_id)
                _append(staged, count, points.vectors, collection.dim)
                parts.append(_records(video_id, points, count, 0))
                count += len(points.vectors)
            _append(staged, count, np.empty((0, collection.dim), np.float32), collection.dim)
            built = np.concatenate(parts)
            with self._writing(collection) as folder:
                table, count = _merged(folder, staged, collection.dim, built, ids, (before, old))
                now, _ = _load_sound(folder, collection.dim)
                change = now.change + 1
                table["change"][table["change"] == 0] = change
                rows = f"rows-{change}.f32"
                place(staged, folder / rows)
                _switch(folder, _Current(change, rows, "", count), table)
        finally:
            staged.unlink(missing_ok=True)
        return len(table)

    def count(self, collection: Collection) -> int:
        """See `VectorStore`."""
        return len(self._read(collection)[1])

    def video_ids(self, collection: Collection) -> frozenset[int]:
        """See `VectorStore`."""
        return frozenset(self._read(collection)[1]["video_id"].tolist())

    def remove(self, collection: Collection, video_ids: Iterable[int]) -> int:
        """See `VectorStore`."""
        with self._writing(collection) as folder:
            now, table = _load_sound(folder, collection.dim)
            kept = table[~np.isin(table["video_id"], sorted(video_ids))]
            if not len(kept):
                (folder / "current.json").unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
            elif len(kept) < len(table):
                _switch(folder, _Current(now.change + 1, now.rows, "", now.row_count), kept)
        return len(table) - len(kept)

    def collections(self) -> tuple[Collection, ...]:
        """See `VectorStore`."""
        names = sorted(path.parent.name for path in self.root.glob("*-*/current.json"))
        found = (Collection.of_name(name) for name in names)
        return tuple(collection for collection in found if collection is not None)

    @contextmanager
    def _writing(self, collection: Collection) -> Iterator[Path]:
        """The collection's folder, with every other writer kept out."""
        folder = self.root / collection.name
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # Beside the folder: a dropped collection must not take its lock along.
            with (self.root / f"{collection.name}.lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                folder.mkdir(exist_ok=True)
                yield folder
        except OSError as error:
            raise file_fault(error, folder) from error

    def _read(self, collection: Collection) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """(rows, dim) memory-mapped rows and the records of the living ones, of one state."""
        folder = self.root / collection.name
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                now, table = _load(folder)
                return _mapped(folder / now.rows, now.row_count, collection.dim), table
            except (OSError, ValueError, TypeError) as error:
                # Most likely a writer replaced these files since `current.json` was read.
                if attempt == _ATTEMPTS:
                    raise StoreError(
                        f"the vectors in {folder.name} cannot be read ({error}); "
                        "run sopilot vectors rebuild"
                    ) from error
        raise AssertionError("unreachable")


def _load(folder: Path) -> tuple[_Current, NDArray[Any]]:
    try:
        text = (folder / "current.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return _Current(0, "", "", 0), np.empty(0, _POINT)
    now = _Current(**json.loads(text))
    return now, _of_today(np.load(folder / now.points, allow_pickle=False), now.points)


def _of_today(table: NDArray[Any], name: str) -> NDArray[Any]:
    """The records, those of a version without levels as clips."""
    if table.dtype == _POINT:
        return table
    if set(table.dtype.names or ()) != set(_POINT.names or ()) - {"level"}:
        raise ValueError(f"{name} is of another version")
    found = np.zeros(len(table), _POINT)
    for field in table.dtype.names or ():
        found[field] = table[field]
    return found


def _load_sound(folder: Path, dim: int) -> tuple[_Current, NDArray[Any]]:
    """Like `_load`; nothing where the state cannot be read, for a new one is to replace it."""
    try:
        now, table = _load(folder)
        _mapped(folder / now.rows, now.row_count, dim)
        return now, table
    except (OSError, ValueError, TypeError) as error:
        _log.warning("vectors.unreadable", folder=folder.name, reason=str(error))
        return _Current(0, "", "", 0), np.empty(0, _POINT)


def _sweep(folder: Path) -> None:
    """Remove what killed builds left."""
    limit = time.time() - _STALE_SEC
    for path in folder.glob("staged-*"):
        if path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)


def _mapped(path: Path, count: int, dim: int) -> NDArray[np.float32]:
    if count == 0:
        return np.empty((0, dim), np.float32)
    return np.memmap(path, np.float32, "r", shape=(count, dim))


def _products(
    rows: NDArray[np.float32], chosen: NDArray[np.int64], query: NDArray[np.float32]
) -> NDArray[np.float32]:
    """rows[chosen] @ query of ascending numbers; long runs without gaps are not copied."""
    ends = np.append(np.flatnonzero(np.diff(chosen) != 1) + 1, len(chosen))
    if len(ends) * _LEAST_RUN > len(chosen):
        return np.asarray(rows[chosen] @ query, np.float32)
    out = np.empty(len(chosen), np.float32)
    begin = 0
    for end in ends.tolist():
        np.dot(rows[int(chosen[begin]) : int(chosen[end - 1]) + 1], query, out=out[begin:end])
        begin = end
    return out


def _records(video_id: int, points: Points, first_row: int, change: int) -> NDArray[Any]:
    count = len(points.vectors)
    made = np.empty(count, _POINT)
    made["row"] = np.arange(first_row, first_row + count)
    made["video_id"] = video_id
    made["level"], made["clip_index"] = points.levels, points.indexes
    made["start_ms"], made["end_ms"] = points.spans_ms[:, 0], points.spans_ms[:, 1]
    made["task"], made["role"], made["change"] = points.task, points.role, change
    return made


def _numbers(videos: ArrayLike, levels: ArrayLike, clips: ArrayLike) -> NDArray[np.int64]:
    """One number per point: the video in the high bits, then level and clip."""
    high = np.asarray(videos, np.int64) << 36
    return high | (np.asarray(levels, np.int64) << 32) | np.asarray(clips, np.int64)


def _passing(table: NDArray[Any], chosen: PointFilter) -> NDArray[np.bool_]:
    kept = np.ones(len(table), np.bool_)
    if chosen.task is not None:
        kept &= table["task"] == chosen.task
    if chosen.role is not None:
        kept &= table["role"] == chosen.role
    if chosen.without_video_ids:
        kept &= ~np.isin(table["video_id"], sorted(chosen.without_video_ids))
    if chosen.without_clip is not None:
        video_id, clip_index = chosen.without_clip
        kept &= (table["video_id"] != video_id) | (table["clip_index"] != clip_index)
    if chosen.levels is not None:
        kept &= np.isin(table["level"], [LEVELS.index(level) for level in chosen.levels])
    if chosen.video_ids is not None:
        kept &= np.isin(table["video_id"], sorted(chosen.video_ids))
    for video_id, spans in (chosen.spans_ms or {}).items():
        own = np.flatnonzero(kept & (table["video_id"] == video_id))
        kept[own] = _meets(table[own], spans)
    return kept


def _meets(table: NDArray[Any], spans_ms: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Which records share time with one of the spans."""
    met = np.zeros(len(table), np.bool_)
    for start_ms, end_ms in spans_ms:
        met |= (table["start_ms"] < end_ms) & (table["end_ms"] > start_ms)
    return met


def _hit(record: Any, similarity: float) -> Hit:
    return Hit(
        max(-1.0, min(1.0, similarity)),
        int(record["video_id"]),
        int(record["clip_index"]),
        int(record["start_ms"]),
        int(record["end_ms"]),
        int(record["role"]),
        _level(record),
    )


def _level(record: Any) -> Level:
    return LEVELS[int(record["level"])]


def _append(path: Path, first_row: int, vectors: NDArray[np.float32], dim: int) -> None:
    """Write rows at their place, over what a killed writer may have left there."""
    with path.open("r+b" if path.exists() else "w+b") as stream:
        stream.seek(first_row * dim * 4)
        stream.truncate()
        stream.write(np.ascontiguousarray(vectors, np.float32).tobytes())
        stream.flush()
        os.fsync(stream.fileno())


def _compact(
    folder: Path, rows: str, table: NDArray[Any], dim: int, change: int
) -> tuple[str, int]:
    """A new file of the living rows alone; renumbers the table's rows in place."""
    name = f"rows-{change}.f32"
    top = int(table["row"].max()) + 1 if len(table) else 0
    old = _mapped(folder / rows, top, dim)
    for first in range(0, len(table), _BLOCK_ROWS):
        _append(folder / name, first, old[table["row"][first : first + _BLOCK_ROWS]], dim)
    if not len(table):
        _append(folder / name, 0, np.empty((0, dim), np.float32), dim)
    table["row"] = np.arange(len(table))
    return name, len(table)


def _merged(
    folder: Path,
    staged: Path,
    dim: int,
    built: NDArray[Any],
    ids: set[int],
    start: tuple[_Current, NDArray[Any]],
) -> tuple[NDArray[Any], int]:
    """The staged records with those of other videos and what writers did since the start on top,
    and the number of rows. ids: the videos that were built, also those without records."""
    now, table = _load_sound(folder, dim)
    before, old = start
    kept = table[(table["change"] > before.change) | ~np.isin(table["video_id"], sorted(ids))]
    gone = np.setdiff1d(old["video_id"], table["video_id"])
    built = built[~np.isin(built["video_id"], np.union1d(kept["video_id"], gone))]
    count = staged.stat().st_size // (4 * dim)
    if len(kept):
        rows = _mapped(folder / now.rows, now.row_count, dim)
        _append(staged, count, rows[kept["row"]], dim)
        kept["row"] = np.arange(count, count + len(kept))
        count += len(kept)
    return np.concatenate([built, kept]), count


def _switch(folder: Path, following: _Current, table: NDArray[Any]) -> None:
    """Make a new state the present one, then remove the files of the older ones."""
    points = f"points-{following.change}.npy"
    write_whole(folder / points, lambda stream: np.save(stream, table, allow_pickle=False))
    stated = asdict(following) | {"points": points}
    write_whole(folder / "current.json", lambda s: s.write(json.dumps(stated).encode()))
    for path in (*folder.glob("rows-*"), *folder.glob("points-*"), *folder.glob(STAGED)):
        if path.name not in {points, following.rows}:
            path.unlink(missing_ok=True)
