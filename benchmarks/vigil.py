"""What indexing footage costs against decoding it, what it leaves on the disk, and what a search
over 50 000 chunks costs against the bare product of the numbers it must look at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.decode import decode_only
from benchmarks.footage import LENGTH_SEC, sample_720p
from benchmarks.harness import Options, Row, absolute, against, interleave, one_core
from sopilot.core.config import load_settings
from sopilot.core.records import Actor
from sopilot.jobs.loop import run_until_finished
from sopilot.library import queries as library
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.tasks import task_opener
from sopilot.store.vector_files import VectorFiles
from sopilot.store.vectors import LEVELS, Collection, PointFilter, Points
from sopilot.vigil import queries
from sopilot.vigil.add import Order, add_footage_file, request_index
from sopilot.worker import kinds_of

INDEX_TARGET = 1.7
SEARCH_TARGET = 3.0
_VIDEOS, _CHUNKS, _DIM = 50, 1000, 512
_CHOSEN = 20
"""Videos that the filter lets pass."""
_BY = Actor("bench", "admin")


def rows(options: Options) -> Iterator[Row]:
    """Indexing with its ingest, storage, searches with and without a filter."""
    path = sample_720p(options.folder)
    with one_core():
        floor, indexed = interleave(
            [lambda: decode_only(path), lambda: _index(path)], options.rounds
        )
        row = Row("vigil", "index a video", "decode only (PyAV)", target=INDEX_TARGET)
        yield against(row, indexed, floor)
    stored, upload, counts = _left_behind(path)
    per_hour = 3600.0 / LENGTH_SEC
    yield absolute(Row("vigil", "stored per video hour", ""), [stored * per_hour / 1e6], "MB")
    yield absolute(Row("vigil", "stored beside the upload", "the upload"), [stored / upload], "x")
    for level, count in counts.items():
        yield absolute(Row("vigil", f"{level} chunks per video hour", ""), [count * per_hour], "")
    with tempfile.TemporaryDirectory() as folder:
        yield from _search_rows(Path(folder), options)


def _index(path: Path) -> None:
    _with_indexed(path, lambda runtime, video_id: None)


def _with_indexed(path: Path, look: Callable[[Runtime, int], None]) -> None:
    """Take a file in and index it as the worker does, then look at the outcome."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(data_dir=Path(folder))
        runtime = open_runtime(settings)
        try:
            added = add_footage_file(
                runtime, path, Order(), open_task=task_opener(settings), by=_BY
            )
            video_id = added.footage.video_id
            with runtime.database.write() as connection:
                request_index(runtime, connection, video_id, _BY)
                ingest = library.get_video(connection, video_id).ingest_job_id
            assert ingest is not None
            run_until_finished(runtime.database, kinds_of(runtime), ingest, _still)
            with runtime.database.read() as connection:
                job = queries.get_footage(connection, video_id).job_id
            assert job is not None
            run_until_finished(runtime.database, kinds_of(runtime), job, _still)
            look(runtime, video_id)
        finally:
            close_runtime(runtime)


def _left_behind(path: Path) -> tuple[float, float, dict[str, int]]:
    """(bytes beside the upload, bytes of the upload, chunks by level)."""
    found: list[tuple[float, float, dict[str, int]]] = []

    def look(runtime: Runtime, video_id: int) -> None:
        root = runtime.blobs.root
        sizes = {
            name: sum(item.stat().st_size for item in (root / name).rglob("*") if item.is_file())
            for name in ("raw", "derived", "vectors")
        }
        with runtime.database.read() as connection:
            counts = dict(queries.get_footage(connection, video_id).counts)
        found.append((sizes["derived"] + sizes["vectors"], sizes["raw"], counts))

    _with_indexed(path, look)
    return found[0]


def _search_rows(folder: Path, options: Options) -> Iterator[Row]:
    """Ten searches each: all chunks, and those of some videos at one level."""
    store, collection = VectorFiles(folder), Collection("0" * 16, _DIM, "chunks")
    dice = np.random.default_rng(3)
    store.replace(collection, ((video, _points(dice)) for video in range(1, _VIDEOS + 1)))
    asked = _unit(dice.normal(size=(10, _DIM)))
    everything = np.concatenate([_points(np.random.default_rng(3)).vectors] * _VIDEOS)
    levels = np.tile(_levels(), _VIDEOS)
    videos = np.repeat(np.arange(1, _VIDEOS + 1), _CHUNKS)
    chosen = PointFilter(levels=frozenset({"micro"}), video_ids=frozenset(range(1, _CHOSEN + 1)))
    few = everything[(levels == LEVELS.index("micro")) & (videos <= _CHOSEN)].copy()
    for name, passing, searched in (
        ("search of all 50 000 chunks", everything, PointFilter()),
        (f"search of {len(few)} chunks by a filter", few, chosen),
    ):
        product, found = interleave(
            [
                lambda kept=passing: [kept @ one for one in asked],
                lambda only=searched: [store.search(collection, one, only, 20) for one in asked],
            ],
            options.rounds,
        )
        row = Row("vigil", name, "the bare product (NumPy)", target=SEARCH_TARGET)
        yield against(row, found, product)


def _levels() -> NDArray[np.int16]:
    """The levels of a video's chunks, in the proportion that windows have."""
    shares = (("micro", 760), ("meso", 190), ("macro", 48), ("shot", 2))
    names = [LEVELS.index(name) for name, count in shares for _ in range(count)]  # type: ignore[arg-type]
    return np.array(names, np.int16)


def _points(dice: np.random.Generator) -> Points:
    starts = np.arange(_CHUNKS, dtype=np.int64) * 1500
    return Points(
        _unit(dice.normal(size=(_CHUNKS, _DIM))),
        np.stack([starts, starts + 3000], axis=1),
        1,
        3,
        _levels(),
        np.arange(_CHUNKS, dtype=np.int32),
    )


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    made: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
        np.float32
    )
    return made


def _still(_share: float) -> None:
    """The Progress of nobody."""
