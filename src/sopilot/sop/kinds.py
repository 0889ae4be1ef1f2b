"""Whether a step is staged or cyclic, judged from golds of several people; and how much a single
gold goes on with one motion.

In a staged step the first third looks like the first third of another gold's; in a cyclic one any
third looks like any other. Called by `sop.model` for steps of which nobody said it. Measured on two
golds: generated staged steps 0.56-0.96, hand washing 0.05-0.76 with 0.3-0.4 on average
(docs/scoring.md 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from sopilot.align.evidence import unit_rows
from sopilot.core.records import StepKind

PARTS = 3
LEAST_CLIPS = 6
STAGED_FROM = 0.55
"""Share of clips in the right third, 1/3 by chance. Half of it is the step's own, half the task's
mean: a task is mostly of one kind, and a single step has few clips."""
STEADY_LAGS = (3, 4)
"""Clips so far apart (1.8 and 2.4 s) show no common moment."""

Rows = NDArray[np.float32]


def judged_kinds(golds: Sequence[Sequence[Rows]]) -> tuple[StepKind | None, ...]:
    """Per step its kind; None where no pair of golds has enough clips.

    golds: per gold and step (n, P) float32, the step's clips on common axes, in order of time.
    """
    shares = np.array([_right_thirds([gold[k] for gold in golds]) for k in range(len(golds[0]))])
    if np.isnan(shares).all():
        return (None,) * len(shares)
    level = np.nanmean(shares)
    kinds: list[StepKind | None] = []
    for share in shares:
        if np.isnan(share):
            kinds.append(None)
        else:
            mixed = 0.5 * (share + level)
            kinds.append(StepKind.STAGED if mixed >= STAGED_FROM else StepKind.CYCLIC)
    return tuple(kinds)


def _right_thirds(step: Sequence[Rows]) -> float:
    """Mean share, over ordered pairs of golds, of clips that are nearest to their own third."""
    shares = [
        _hits(one, other)
        for one, other in permutations(step, 2)
        if min(len(one), len(other)) >= LEAST_CLIPS
    ]
    return float(np.mean(shares)) if shares else float("nan")


def _hits(one: Rows, other: Rows) -> float:
    own, theirs = _thirds(len(one)), _thirds(len(other))
    means = np.stack([one[own == part].mean(axis=0) for part in range(PARTS)])
    directions = unit_rows(means - means.mean(axis=0))
    nearest = ((other - other.mean(axis=0)) @ directions.T).argmax(axis=1)
    return float((nearest == theirs).mean())


def _thirds(count: int) -> NDArray[np.int64]:
    return (np.arange(count) * PARTS) // count


def steadiness(
    views: Iterable[Rows], units: NDArray[np.int64], unit_count: int
) -> NDArray[np.float64]:
    """(U,) mean cosine of a gold's clips of each unit with those about two seconds later, -1 to 1.

    Half of it is the mean of all units: work is mostly of one kind, and a unit has few clips.
    views: (n, P) rows of length one each; units: (n,) unit of every clip, -1 = none.
    """
    total, count = np.zeros(unit_count), np.zeros(unit_count)
    for rows in views:
        for lag in STEADY_LAGS:
            alike = (rows[:-lag] * rows[lag:]).sum(axis=1)
            own = units[:-lag]
            np.add.at(total, own[own >= 0], alike[own >= 0])
            np.add.at(count, own[own >= 0], 1.0)
    mean = total.sum() / max(1.0, count.sum())
    levels = np.where(count > 0, total / np.maximum(count, 1.0), mean)
    return np.asarray(0.5 * (levels + mean))
