"""Soft dynamic time warping: the soft minimum over all monotone paths through a cost matrix.

Called by `sop.soft_distance`; arrays only. Source: Cuturi & Blondel 2017, Soft-DTW: a
differentiable loss function for time-series, algorithm 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError


def soft_warp(cost: NDArray[np.float32], gamma: float) -> float:
    """-gamma log sum over all paths of exp(-cost of path / gamma).

    cost: (n, m) float32, finite, >= 0. gamma > 0, finite: smoothing; towards 0 the value becomes
    that of the cheapest path, above it is smaller (below 0 as well), since many paths count.
    Raises InputError for an empty or non-finite matrix or another gamma. O(n m) time by
    anti-diagonals, three of which are kept.
    """
    if cost.size == 0 or not np.isfinite(cost).all():
        raise InputError(
            f"a cost matrix must be non-empty and finite, got shape {cost.shape}; "
            "extract the features again"
        )
    if not (math.isfinite(gamma) and gamma > 0):
        raise InputError(f"gamma is {gamma!r}; give a finite number above 0")
    n, m = cost.shape
    # Index i holds the value of row i; row 0 is the border outside of the matrix.
    older, last = np.full(n + 1, np.inf), np.full(n + 1, np.inf)
    older[0] = 0.0
    for diagonal in range(n + m - 1):
        rows = np.arange(max(0, diagonal - m + 1), min(n, diagonal + 1))
        moves = np.stack([older[rows], last[rows], last[rows + 1]])
        best = moves.min(axis=0)
        with np.errstate(over="ignore"):  # towards 0 the other moves weigh nothing
            spread = np.exp(-(moves - best) / gamma).sum(axis=0)
        new = np.full(n + 1, np.inf)
        new[rows + 1] = cost[rows, diagonal - rows] + best - gamma * np.log(spread)
        older, last = last, new
    return float(last[n])
