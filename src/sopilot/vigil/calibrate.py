"""What people said of events of some score -> how often an event of that score is true.

Pure. Isotonic regression by pooling adjacent violators (Ayer et al. 1955): the share of confirmed
events never falls with the score. One event more of either kind keeps a step of few from saying 0
or 1 (Laplace). Nothing is said before LEAST_REVIEWED reviews.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LEAST_REVIEWED = 30


@dataclass(frozen=True, slots=True)
class Calibration:
    """Steps of the curve: from each of the scores on, the share; both ascending."""

    scores: tuple[float, ...]
    shares: tuple[float, ...]

    def confidence(self, score: float) -> float:
        """0-1. A score below the first step has the first share."""
        return self.shares[max(0, bisect_right(self.scores, score) - 1)]


def calibration_of(reviewed: Sequence[tuple[float, bool]]) -> Calibration | None:
    """The curve of (score, was it confirmed); None of too few. O(n log n)."""
    if len(reviewed) < LEAST_REVIEWED:
        return None
    pools = [_Pool(score, int(is_true), 1) for score, is_true in sorted(reviewed)]
    distinct = _pooled(pools, lambda before, after: before.first == after.first)
    rising = _pooled(distinct, lambda before, after: before.ratio >= after.ratio)
    # What was smoothed rises too: a small pool moves more than a large one beside it.
    joined = _pooled(rising, lambda before, after: before.share >= after.share)
    return Calibration(tuple(pool.first for pool in joined), tuple(pool.share for pool in joined))


@dataclass(frozen=True, slots=True)
class _Pool:
    """Reviews of neighbouring scores, from `first` on."""

    first: float
    confirmed: int
    count: int

    @property
    def ratio(self) -> float:
        return self.confirmed / self.count

    @property
    def share(self) -> float:
        return (self.confirmed + 1) / (self.count + 2)


def _pooled(pools: Sequence[_Pool], is_one: Callable[[_Pool, _Pool], bool]) -> list[_Pool]:
    """Neighbours joined while they are one."""
    found: list[_Pool] = []
    for pool in pools:
        found.append(pool)
        while len(found) > 1 and is_one(found[-2], found[-1]):
            after, before = found.pop(), found.pop()
            joined = _Pool(
                before.first, before.confirmed + after.confirmed, before.count + after.count
            )
            found.append(joined)
    return found
