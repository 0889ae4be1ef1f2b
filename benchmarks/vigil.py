"""What indexing footage costs against decoding it, what it leaves on the disk, what a search over
50 000 chunks costs against the bare product of the numbers it must look at, and what the service
adds to a question about an hour of footage against reading one row.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.decode import decode_only
from benchmarks.footage import LENGTH_SEC, repeated, sample_720p, small_sample
from benchmarks.harness import Options, Row, absolute, against, interleave, one_core, paired
from benchmarks.server import serving
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
from sopilot.vigil.transcript import import_transcript
from sopilot.worker import kinds_of

INDEX_TARGET = 1.7
SEARCH_TARGET = 3.0
QUERY_TARGET = 20.0
_VIDEOS, _CHUNKS, _DIM = 50, 1000, 512
_CHOSEN = 20
"""Videos that the filter lets pass."""
_BY = Actor("bench", "admin")
_HOUR_COUNT = 90
_REQUESTS = 15
_ONE_ROW = "GET one row"
_QUERIES: Mapping[str, tuple[str, object]] = {
    "search by words": ("/vigil/search", {"query": "pallet 5 moved by lift 3"}),
    "search by a moment": ("/vigil/search", {"like": {"video_id": "1", "time_sec": 100.0}}),
    "question, by quoting": ("/vigil/query", {"question": "Which lift moved pallet 5?"}),
}


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
    yield from _query_rows(options)


def _index(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        index_in(Path(folder), path, lambda runtime, video_id: None)


def index_in(folder: Path, path: Path, look: Callable[[Runtime, int], None]) -> None:
    """Take a file into an installation, index it as the worker does, then look at the outcome."""
    settings = load_settings(data_dir=folder)
    runtime = open_runtime(settings)
    try:
        added = add_footage_file(runtime, path, Order(), open_task=task_opener(settings), by=_BY)
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

    with tempfile.TemporaryDirectory() as folder:
        index_in(Path(folder), path, look)
    return found[0]


def _query_rows(options: Options) -> Iterator[Row]:
    """Median wall time over HTTP of searches and of a question without a model, an hour indexed,
    against reading one row, in turns."""
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        index_in(Path(folder), repeated(small_sample(options.folder), _HOUR_COUNT), _add_talk)
        with serving(Path(folder)) as server:
            connection = HTTPConnection("127.0.0.1", server.port)
            for _ in range(options.rounds):
                for name, (route, body) in {_ONE_ROW: ("/videos/1", None), **_QUERIES}.items():
                    work = partial(_call, connection, route, body)
                    taken.setdefault(name, []).append(_median_ms(work))
            connection.close()
    for name in _QUERIES:
        row = Row("vigil", name, _ONE_ROW, target=QUERY_TARGET, basis="ms p50")
        yield paired(row, taken[name], taken[_ONE_ROW])


def _add_talk(runtime: Runtime, video_id: int) -> None:
    """A sentence every three seconds."""
    cues = []
    for second in range(0, 3597, 3):
        stamp = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000"
        until = second + 2
        end = f"{until // 3600:02}:{until // 60 % 60:02}:{until % 60:02}.000"
        said = f"bay {second % 41} pallet {second % 97} is moved by lift {second % 7}"
        cues.append(f"{stamp} --> {end}\n{said}\n")
    import_transcript(runtime, video_id, ("WEBVTT\n\n" + "\n".join(cues)).encode(), _BY)


def _call(connection: HTTPConnection, route: str, body: object) -> None:
    if body is None:
        connection.request("GET", route)
    else:
        head = {"Content-Type": "application/json"}
        connection.request("POST", route, json.dumps(body), head)
    reply = connection.getresponse()
    said = reply.read()
    if reply.status != 200:
        raise RuntimeError(f"{route} answered {reply.status}: {said[:300]!r}")


def _median_ms(work: Callable[[], None]) -> float:
    samples = []
    for _ in range(1 + _REQUESTS):
        begun = time.perf_counter()
        work()
        samples.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(samples[1:])


def peak_megabytes(path: Path) -> float:
    """Peak resident memory of a fresh process that indexes what lies in an installation."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.vigil", str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.splitlines()[-1])


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


def _peak_of_index(path: Path) -> float:
    """Megabytes; the decoder child, whose memory has a test of its own, is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        index_in(Path(folder), path, lambda runtime, video_id: None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


if __name__ == "__main__":
    sys.stdout.write(f"{_peak_of_index(Path(sys.argv[1]))}\n")
