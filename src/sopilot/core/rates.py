"""Counts as rates with exact intervals, and the order of two groups of scores.

Pure. Films of one execution fail together, so a rate is told by film and by unit (the independent
execution); only the second interval says what another execution may do. Called by `evaluation`, and
by `vigil` for its live rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sopilot.core.errors import InputError

LEVEL = 0.95
_HALVINGS = 60
_NEGLIGIBLE = 1e-17


@dataclass(frozen=True, slots=True)
class Share:
    """A count out of a total."""

    hits: int
    total: int

    @property
    def ratio(self) -> float | None:
        """0-1, None of nothing."""
        return self.hits / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % bounds of the ratio, 0-1; [0, 1] of nothing."""
        return clopper_pearson(self.hits, self.total)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happens.

    films: counted over all. units: the units to which it happens at least once. unit_mean: mean of
    the units' own ratios, None of nothing. by_unit: each unit's count.
    """

    films: Share
    units: Share
    unit_mean: float | None
    by_unit: Mapping[str, Share]

    @property
    def ratio(self) -> float | None:
        """The share of the films."""
        return self.films.ratio


def share(flags: Iterable[bool]) -> Share:
    """Count the true ones."""
    listed = list(flags)
    return Share(sum(listed), len(listed))


def rate(flags: Iterable[tuple[str, bool]]) -> Rate:
    """Count (unit, whether it happened) over all and per unit."""
    listed = list(flags)
    names = sorted({unit for unit, _ in listed})
    by_unit = {name: share(flag for unit, flag in listed if unit == name) for name in names}
    ratios = [own.hits / own.total for own in by_unit.values()]
    return Rate(
        films=share(flag for _, flag in listed),
        units=share(own.hits > 0 for own in by_unit.values()),
        unit_mean=math.fsum(ratios) / len(ratios) if ratios else None,
        by_unit=by_unit,
    )


@lru_cache(maxsize=4096)
def clopper_pearson(hits: int, total: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact two-sided bounds of a binomial probability, 0-1; [0, 1] of nothing.

    level: 0-1, probability that the bounds hold. O(total) per halving. Source: Clopper & Pearson
    1934.
    """
    if not total:
        return 0.0, 1.0
    tail = (1.0 - level) / 2.0
    low = 0.0 if hits == 0 else _crossing(lambda p: 1.0 - _at_most(hits - 1, total, p) < tail)
    high = 1.0 if hits == total else _crossing(lambda p: _at_most(hits, total, p) > tail)
    return low, high


def poisson_bounds(count: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact two-sided bounds of the expected count, given the one that was seen.

    count: >= 0. level: in (0, 1), probability that the bounds hold. Raises InputError outside
    these ranges. O(square root of count) per halving. Source: Garwood 1936.
    """
    if count < 0 or not 0.0 < level < 1.0:
        raise InputError(f"need count >= 0 and a level in (0, 1), got {count} and {level}")
    tail = (1.0 - level) / 2.0
    far = count + 1.0
    while _poisson_at_most(count, far) > tail:
        far *= 2.0
    high = _crossing(lambda mean: _poisson_at_most(count, mean) > tail, far)
    if not count:
        return 0.0, high
    return _crossing(lambda mean: _poisson_above(count - 1, mean) < tail, count), high


def _poisson_at_most(count: int, mean: float) -> float:
    """P(X <= count) of a Poisson X, mean > 0."""
    if mean <= count:
        return 1.0 - _poisson_above(count, mean)
    # The terms fall from count down, so the sum may stop when they no longer add anything.
    term = total = _poisson_point(count, mean)
    for k in range(count, 0, -1):
        term *= k / mean
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return total


def _poisson_above(count: int, mean: float) -> float:
    """P(X > count) of a Poisson X, mean > 0."""
    if mean > count + 1:
        return 1.0 - _poisson_at_most(count, mean)
    k = count + 1
    term = total = _poisson_point(k, mean)
    while term > _NEGLIGIBLE * total:
        k += 1
        term *= mean / k
        total += term
    return total


def _poisson_point(count: int, mean: float) -> float:
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def _crossing(is_below: Callable[[float], bool], high: float = 1.0) -> float:
    """Where in [0, high] a statement that holds below stops to hold."""
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2.0


def _at_most(hits: int, total: int, probability: float) -> float:
    """P(X <= hits) of a binomial X, 0 < probability < 1."""
    log_p, log_q = math.log(probability), math.log1p(-probability)
    whole = math.lgamma(total + 1)
    return math.fsum(
        math.exp(
            whole
            - math.lgamma(k + 1)
            - math.lgamma(total - k + 1)
            + k * log_p
            + (total - k) * log_q
        )
        for k in range(hits + 1)
    )


def auc(good: Sequence[float], bad: Sequence[float]) -> float | None:
    """Share of (good, bad) pairs in the right order, ties half; None when a side is empty."""
    if not good or not bad:
        return None
    won = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    return float(won / (len(good) * len(bad)))


def balanced_accuracy(good_passed: Share, bad_passed: Share) -> float | None:
    """Mean of the share of good films that pass and of bad ones that do not, 0-1.

    None when a side is empty.
    """
    if good_passed.ratio is None or bad_passed.ratio is None:
        return None
    return (good_passed.ratio + 1.0 - bad_passed.ratio) / 2.0
