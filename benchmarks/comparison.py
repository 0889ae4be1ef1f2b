"""Comparing two videos whose features are present: parts against their floors, whole in seconds."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.features import Case, clip_count_of, make_case
from benchmarks.harness import Options, Row, absolute, compare, interleave, not_run, one_core
from sopilot.align.warp import warp
from sopilot.embed.base import VideoFeatures
from sopilot.sop import compare as comparing
from sopilot.sop import judgement
from sopilot.sop.comparison import Comparison
from sopilot.sop.conformity import similarity_matrix
from sopilot.sop.interval import score_interval
from sopilot.sop.learn import fit
from sopilot.sop.model import Reading, TaskModel, read
from sopilot.sop.profile import Weights
from sopilot.sop.score import total_score

LENGTH_SEC = 150.0
CLIP_COUNTS = (300, 1000, 4000)
_SHORT_CLIPS = 1500
_REPEAT_SHORT = 10
_NO_TSLEARN = "tslearn is not installed (requirements/bench.in)"


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A case read through its fitted model, and the trainee's rows as floats."""

    case: Case
    model: TaskModel
    reading: Reading
    similarity: NDArray[np.float32]
    rows: dict[str, NDArray[np.float32]]


def rows(options: Options) -> Iterator[Row]:
    """The whole comparison in CPU seconds, then its parts at growing sizes."""
    with one_core():
        yield from whole_rows(options)
        for clip_count in CLIP_COUNTS:
            yield from _parts(_prepare(clip_count), clip_count, options)
        yield _plain_warping(options)
        yield _memory()


def whole_rows(options: Options) -> Iterator[Row]:
    """CPU seconds of the whole comparison, without and with the interval."""
    case = make_case(clip_count_of(LENGTH_SEC))
    plain, ranged = interleave(
        [lambda: _compare(case), lambda: _compare_with_interval(case)], options.rounds
    )
    for name, samples, target in (("", plain, 0.5), (" with interval", ranged, 3.0)):
        row = Row("comparison", f"two 150 s videos{name}", "limit", target=target)
        yield absolute(row, [sample.cpu_sec for sample in samples], "CPU s")


def _compare(case: Case) -> Comparison:
    return comparing.compare([case.gold], case.trainee, case.steps)


def _compare_with_interval(case: Case) -> tuple[float, float]:
    model = fit([case.gold], case.steps)
    found = comparing.compare_with(model, case.trainee)
    weights = Weights()
    return score_interval(
        model, case.trainee, lambda each: total_score(each, weights), seed=1, comparison=found
    )


def _prepare(clip_count: int) -> _Prepared:
    case = make_case(clip_count)
    model = fit([case.gold], case.steps)
    reading = read(model, case.trainee)
    rows = {name: case.trainee.block(name) for name in model.views}
    return _Prepared(case, model, reading, similarity_matrix(model, reading), rows)


def _parts(made: _Prepared, clip_count: int, options: Options) -> Iterator[Row]:
    repeat = _REPEAT_SHORT if clip_count < _SHORT_CLIPS else 1
    size = f"n={clip_count}"
    yield compare(
        Row("comparison", f"evidence and similarity {size}", "same GEMMs alone", target=2.5),
        lambda: similarity_matrix(made.model, read(made.model, made.case.trainee)),
        lambda: _products(made),
        options.rounds,
        repeat,
    )
    peer = _tslearn(made.similarity)
    for name, work in (("warping path", _path), ("order search and findings", _judge)):
        row = Row("comparison", f"{name} {size}", "tslearn DTW, same matrix", target=1.0)
        if peer is None:
            yield not_run(row, _NO_TSLEARN)
        else:
            yield compare(row, partial(work, made), peer, options.rounds, repeat)


def _products(made: _Prepared) -> None:
    """Only the matrix products of `read` and `similarity_matrix`, on ready float32 rows."""
    points = []
    for name, view in made.model.views.items():
        placed = made.rows[name] @ view.axes
        placed @ view.weights
        placed @ view.directions
        points.append(placed)
    joint = np.concatenate(points, axis=1)
    joint @ joint.T


def _judge(made: _Prepared) -> judgement.Judgement:
    return judgement.judge(made.model, made.case.trainee, made.reading)


def _path(made: _Prepared) -> object:
    """The gold's clips against the trainee's along one warping path."""
    return warp(np.maximum(1.0 - made.similarity, 0.0))


def _tslearn(similarity: NDArray[np.float32]) -> Callable[[], object] | None:
    """tslearn's path through the ready distances; None = not installed, or not wholly."""
    try:
        from tslearn.metrics import dtw_path_from_metric
    except ImportError:
        return None

    distances = np.maximum(1.0 - similarity, 0.0).astype(np.float64)
    return lambda: dtw_path_from_metric(distances, metric="precomputed")


def _plain_warping(options: Options) -> Row:
    random = np.random.default_rng(3)
    left, right = (_unit(random.normal(0, 1, (2000, 128))) for _ in range(2))
    row = Row("comparison", "plain DTW with its product, n=2000 d=128", "GEMM alone", target=4.0)
    return compare(
        row,
        lambda: warp(np.maximum(1.0 - left @ right.T, 0.0)),
        lambda: 1.0 - left @ right.T,
        options.rounds,
    )


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _memory() -> Row:
    """Peak of what numpy and Python allocate while comparing with a fitted model."""
    clip_count = CLIP_COUNTS[-1]
    case = make_case(clip_count)
    model = fit([case.gold], case.steps)
    peak_bytes = _peak_bytes(model, case.trainee)
    row = Row("comparison", f"peak bytes per cell n={clip_count}", "limit", target=16.0)
    return absolute(row, [peak_bytes / clip_count**2], "bytes")


def _peak_bytes(model: TaskModel, trainee: VideoFeatures) -> int:
    tracemalloc.start()
    try:
        comparing.compare_with(model, trainee)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
