"""Golds that are the same recording over again: another file, but no other execution.

A copy shows nothing of how much good work differs, so it must not widen what is allowed, nor count
towards a calibration. Called by `sop.learn`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sopilot.sop.model import GoldReference
from sopilot.sop.teach import unit_similarity

COPY_DISTANCE = 0.25
"""Distance between two golds, relative to that of a gold's own re-recordings, below which they are
copies. Re-encoded, brighter, turned by 2 degrees, half or double the size: 0.01-0.2 (moved or at
another frame rate: up to 3); the most alike executions of a generated task 0.46, other people's
hand washing 2.9 and more."""
LEAST_NULL = 1e-3


def copied(golds: Sequence[GoldReference]) -> tuple[int, ...]:
    """Places of golds that are copies of an earlier one."""
    found: list[int] = []
    for number, gold in enumerate(golds):
        earlier = [other for k, other in enumerate(golds[:number]) if k not in found]
        if any(_distance(other, gold) < COPY_DISTANCE for other in earlier):
            found.append(number)
    return tuple(found)


def _distance(gold: GoldReference, other: GoldReference) -> float:
    """Median over the units and views of the distance relative to re-recordings."""
    ratios = []
    for view, points in gold.points.items():
        count = len(gold.spans)
        level = unit_similarity(points @ other.points[view].T, gold.units, other.units, count)
        ratios.append((1.0 - level) / np.maximum(1.0 - gold.null_similarity[view], LEAST_NULL))
    return float(np.nanmedian(ratios))
