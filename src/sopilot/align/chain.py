"""Best cutting of a window sequence into a given chain of classes, each with a shortest length.

Called by `align.search` for the order of steps and by `sop.model` for further golds; arrays only.
Tables hold, for every cut t of 0..T, the best log evidence of a part of the chain: prefix tables
of windows [0, t), suffix tables of windows [t, T). A segment of class k over [s, t) earns
cumulative[t, k] - cumulative[s, k], so one segment costs one running maximum over s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
Indices = NDArray[np.int64]


def cumulate(evidence: Table) -> Table:
    """(T, K) log evidence per window and class -> (K, T + 1) running sums, row per class."""
    window_count, class_count = evidence.shape
    sums = np.zeros((class_count, window_count + 1))
    np.cumsum(evidence.T, axis=1, out=sums[:, 1:])
    return sums


def extend(tables: Table, sums: Table, classes: Indices, shortest: Indices) -> Table:
    """Append one segment to each of B chains.

    tables: (B, T + 1) prefix tables. sums: (K, T + 1). classes, shortest: (B,) class of the new
    segment and its least number of windows. Returns (B, T + 1). O(B T).
    """
    earned = sums[classes]
    start = tables - earned
    np.maximum.accumulate(start, axis=1, out=start)
    out = np.full_like(tables, -np.inf)
    width = tables.shape[1]
    lengths = np.unique(shortest)
    for length in lengths:
        if length >= width:
            continue
        if len(lengths) == 1:
            np.add(start[:, : width - length], earned[:, length:], out=out[:, length:])
        else:
            rows = np.flatnonzero(shortest == length)
            out[rows, length:] = start[rows, : width - length] + earned[rows, length:]
    return out


def prefix_tables(sums: Table, classes: Indices, shortest: Indices) -> Table:
    """(n + 1, T + 1): row i = best evidence of the first i segments over windows [0, t)."""
    tables = np.full((len(classes) + 1, sums.shape[1]), -np.inf)
    tables[0, 0] = 0.0
    for i in range(len(classes)):
        row = slice(i, i + 1)
        tables[i + 1] = extend(tables[row], sums, classes[row], shortest[row])[0]
    return tables


def suffix_tables(sums: Table, classes: Indices, shortest: Indices) -> Table:
    """(n + 1, T + 1): row i = best evidence of the segments i..n-1 over windows [t, T)."""
    # The same running maximum on the reversed time axis: a segment [s, t) becomes [T-t, T-s).
    mirrored = sums[:, -1:] - sums[:, ::-1]
    tables = prefix_tables(mirrored, classes[::-1], shortest[::-1])
    return tables[::-1, ::-1]


def best_cuts(prefix: Table, sums: Table, classes: Indices, shortest: Indices) -> Indices:
    """(n + 1,) cuts of the best chain, first 0, last T; ties go to the shorter last segment.

    The table must reach its corner (finite); `sop.compare` sees to it.
    """
    cuts = np.zeros(len(classes) + 1, dtype=np.int64)
    end = sums.shape[1] - 1
    for i in range(len(classes) - 1, -1, -1):
        cuts[i + 1] = end
        last = end - int(shortest[i])
        earned = prefix[i, : last + 1] - sums[classes[i], : last + 1]
        end = last - int(np.argmax(earned[::-1]))
    return cuts
