"""Dynamic time warping of two clip sequences.

Called by `sop.compare` for the path inside executed steps; arrays only. Moves: diagonal, up, left,
each costs the cell it enters; ties prefer the diagonal, then up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError


def warp(cost: NDArray[np.float32]) -> tuple[NDArray[np.int32], float]:
    """Cheapest monotone path through a cost matrix.

    cost: (n_gold, n_trainee) float32, finite, >= 0. Returns the path as (k, 2) int32, first
    (0, 0), last (n_gold - 1, n_trainee - 1), and its mean cost per cell. Raises InputError for an
    empty or non-finite matrix. Rows are solved by one running minimum each: O(n_gold x n_trainee)
    time, 8 bytes per cell. Source: Sakoe & Chiba 1978.
    """
    if cost.size == 0 or not np.isfinite(cost).all():
        raise InputError(
            f"a cost matrix must be non-empty and finite, got shape {cost.shape}; "
            "extract the features again"
        )
    totals = _total_costs(cost)
    path = _trace(totals)
    return path, float(totals[-1, -1]) / len(path)


def _total_costs(cost: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, m) least cost of a path from (0, 0) to each cell, that cell included."""
    totals = np.empty(cost.shape)
    np.cumsum(cost[0], out=totals[0])
    for i in range(1, len(cost)):
        running = np.cumsum(cost[i], dtype=np.float64)
        entry = totals[i - 1].copy()
        np.minimum(entry[1:], totals[i - 1, :-1], out=entry[1:])
        # totals[i, j] = min over k <= j of entry[k] + cost[i, k..j]
        entry[1:] -= running[:-1]
        np.minimum.accumulate(entry, out=entry)
        np.add(entry, running, out=totals[i])
    return totals


def _trace(totals: NDArray[np.float64]) -> NDArray[np.int32]:
    i, j = totals.shape[0] - 1, totals.shape[1] - 1
    cells = [(i, j)]
    while i or j:
        if i == 0:
            j -= 1
        elif j == 0:
            i -= 1
        else:
            # The running sums round: a move that is cheaper by less than that is a tie.
            slack = 1e-9 * (1.0 + abs(float(totals[i, j])))
            diagonal, up, left = totals[i - 1, j - 1], totals[i - 1, j], totals[i, j - 1]
            if diagonal <= min(up, left) + slack:
                i, j = i - 1, j - 1
            elif up <= left + slack:
                i -= 1
            else:
                j -= 1
        cells.append((i, j))
    return np.array(cells[::-1], dtype=np.int32)
