"""Cutting a clip sequence into homogeneous segments by kernel change points.

Called by `sop.segment`; arrays only. A segment costs its clips' spread around their mean in the
space of a Gaussian kernel; optimal partition by dynamic programming. Source: Arlot, Celisse and
Harchaoui 2019; docs/scoring.md 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sums = NDArray[np.float64]


def kernel_sums(distances: NDArray[np.float32]) -> Sums:
    """(n, n) distances >= 0 -> (n + 1, n + 1) two-dimensional running sums of exp(-d / median).

    8 bytes per cell beside the distances.
    """
    level = max(float(np.median(distances)), 1e-9)
    sums = np.zeros((len(distances) + 1, len(distances) + 1))
    inner = sums[1:, 1:]
    np.divide(distances, -level, out=inner)
    np.exp(inner, out=inner)
    np.cumsum(inner, axis=0, out=inner)
    np.cumsum(inner, axis=1, out=inner)
    return sums


def cut_count_free(sums: Sums, shortest: int, longest: int, penalty: float) -> NDArray[np.int64]:
    """Cuts 0..n of the partition with least cost + penalty per segment; lengths in
    [shortest, longest] clips. Falls back to uniform segments where no partition fits."""
    count = len(sums) - 1
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    back = np.zeros(count + 1, dtype=np.int64)
    for end in range(1, count + 1):
        starts = _starts(end, shortest, longest)
        if len(starts) == 0:
            continue
        totals = best[starts] + _costs(sums, starts, end) + penalty
        pick = int(np.argmin(totals))
        best[end], back[end] = totals[pick], starts[pick]
    if not np.isfinite(best[-1]):
        return uniform_cuts(count, max(1, round(count / max(1, longest))))
    cuts = [count]
    while cuts[-1] > 0:
        cuts.append(int(back[cuts[-1]]))
    return np.array(cuts[::-1], dtype=np.int64)


def cut_into(sums: Sums, segment_count: int, shortest: int) -> NDArray[np.int64]:
    """Cuts 0..n of the cheapest partition into exactly this many segments of >= shortest clips."""
    count = len(sums) - 1
    shortest = max(1, min(shortest, count // segment_count))
    best = np.full(count + 1, np.inf)
    best[0] = 0.0
    back = np.zeros((segment_count, count + 1), dtype=np.int64)
    for number in range(segment_count):
        grown = np.full(count + 1, np.inf)
        for end in range((number + 1) * shortest, count + 1):
            starts = np.arange(number * shortest, end - shortest + 1)
            totals = best[starts] + _costs(sums, starts, end)
            pick = int(np.argmin(totals))
            grown[end], back[number, end] = totals[pick], starts[pick]
        best = grown
    cuts = [count]
    for number in range(segment_count - 1, -1, -1):
        cuts.append(int(back[number, cuts[-1]]))
    return np.array(cuts[::-1], dtype=np.int64)


def uniform_cuts(count: int, segment_count: int) -> NDArray[np.int64]:
    """Cuts 0..count of segments that are as equal as whole clips allow."""
    return np.unique(np.round(np.linspace(0, count, segment_count + 1)).astype(np.int64))


def _starts(end: int, shortest: int, longest: int) -> NDArray[np.int64]:
    return np.arange(max(0, end - longest), end - shortest + 1, dtype=np.int64)


def _costs(sums: Sums, starts: NDArray[np.int64], end: int) -> NDArray[np.float64]:
    """Spread of the segments [start, end): their length less their mean kernel row sum."""
    lengths = end - starts
    blocks = sums[end, end] - sums[starts, end] - sums[end, starts] + sums[starts, starts]
    return np.asarray(lengths - blocks / lengths)
