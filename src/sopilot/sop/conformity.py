"""How alike trainee and gold are beside the findings: matched path, conformity, structural terms.

Called by `sop.compare`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sopilot.align.warp import warp
from sopilot.sop.comparison import StructuralTerms
from sopilot.sop.execution import Execution
from sopilot.sop.model import Reading, TaskModel, joint_points

SPARE_SHARE, SPARE_NATS = 0.15, 40.0
"""Evidence against the found order that no edit was worth. Source: docs/scoring.md 5."""
LIKENESS_SHARE = 0.25
LIKENESS_RANGE = (0.3, 0.8)
RECOGNISED_RANGE = (0.2, 0.6)
"""Likeness relative to re-recordings: another task whose clips happen to fall into the gold's order
reaches 0.35-0.7, other people at the same work 0.66 and more. Below the second the score falls with
it, below the first nothing is left."""
UNLIKE_SHARE, SLOW_SHARE = 0.06, 0.05
"""What the most unlike step, and the slowest, takes just below the threshold from which it is told;
by the square of its share of the way there."""
COMPARABLE_RANGE = (0.15, 0.55)
"""Below the first nothing is recognised, above the second the comparison counts in full."""


def conformity(found: Sequence[Execution], reading: Reading, spare_nats: float) -> float:
    """0-1; 1 = the gold's order without any doubt, and as alike as its own re-recordings."""
    order = 1.0 - SPARE_SHARE * (1.0 - float(np.exp(-spare_nats / SPARE_NATS)))
    reached = likeness(found)
    alike = _rise(reached, LIKENESS_RANGE)
    recognised = _rise(reached, RECOGNISED_RANGE)
    comparable = _rise(reading.comparability, COMPARABLE_RANGE)
    return float(order * (1.0 - LIKENESS_SHARE * (1.0 - alike)) * recognised * comparable)


def doubt(unlike: float, slow: float) -> float:
    """0-1 factor of the score for what is no finding, or not only one: 1 = none. Shares of the way
    to the thresholds of the most unlike and of the slowest step, 0 or more."""
    shares = ((UNLIKE_SHARE, unlike), (SLOW_SHARE, slow))
    return float(np.prod([1.0 - most * min(max(share, 0.0), 1.0) ** 2 for most, share in shares]))


def likeness(found: Sequence[Execution]) -> float:
    """How alike the executed slots are to the golds, relative to the golds' re-recordings, 0-1.."""
    weights = np.array([len(item.clips) for item in found], dtype=np.float64)
    reached = float(weights @ [item.similarity for item in found])
    return reached / max(float(weights @ [item.expected for item in found]), 1e-9)


def similarity_matrix(model: TaskModel, reading: Reading) -> NDArray[np.float32]:
    """(n_gold, n_trainee) float32 mean cosine of the first gold's and the trainee's clips."""
    gold = joint_points(model.golds[0].points, reading.gates)
    return gold @ joint_points(reading.points, reading.gates).T


def matched_path(
    model: TaskModel, found: Sequence[Execution], distances: NDArray[np.float32]
) -> tuple[NDArray[np.int32], float]:
    """Matched (gold clip, trainee clip) pairs, (k, 2) int32, and their mean distance 0-2.

    distances: (n_gold, n_trainee) float32, >= 0. Slots that follow each other as in the gold are
    warped together, so that a path is monotone inside every executed step and the gold matches
    itself clip by clip.
    """
    pieces: list[NDArray[np.int32]] = []
    cost, cells = 0.0, 0
    for run in _runs(found):
        units = model.golds[0].units
        rows = np.flatnonzero((units >= run[0].unit) & (units <= run[-1].unit))
        first, last = run[0].clips.start, run[-1].clips.stop
        if len(rows) == 0 or first == last:
            continue
        pairs, mean = warp(distances[rows[0] : rows[-1] + 1, first:last])
        pieces.append(pairs + np.array([rows[0], first], dtype=np.int32))
        cost, cells = cost + mean * len(pairs), cells + len(pairs)
    if not pieces:
        return np.zeros((0, 2), dtype=np.int32), 2.0
    return np.concatenate(pieces), cost / cells


def structural_terms(similarity: NDArray[np.float32]) -> StructuralTerms:
    """Contract 4.6, from every gold clip's most similar trainee clip."""
    best = similarity.argmax(axis=1)
    level = similarity.max(axis=1)
    gold_count, trainee_count = similarity.shape
    steps = np.diff(best)
    drift = np.abs(_positions(gold_count) - best / max(1, trainee_count - 1))
    return StructuralTerms(
        order_violation_ratio=float((steps < 0).mean()) if len(steps) else 0.0,
        duplicate_ratio=1.0 - len(np.unique(best)) / gold_count,
        temporal_drift=float(drift.mean()),
        local_similarity_gap=float(np.clip(np.median(level) - level.min(), 0.0, 1.0)),
    )


def _positions(count: int) -> NDArray[np.float64]:
    return np.arange(count) / max(1, count - 1)


def _runs(found: Sequence[Execution]) -> list[list[Execution]]:
    """Slots joined while each continues with the gold's next unit."""
    runs: list[list[Execution]] = []
    for item in found:
        if runs and item.unit == runs[-1][-1].unit + 1:
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def _rise(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))
