"""How far confidences may be read as probabilities: Brier score, calibration error, its bins.

Arrays only; for calibrated confidences, not for percentiles or raw scores. Called by the
benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sopilot.core.errors import InputError
from sopilot.core.rates import Share

BIN_COUNT = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Neighbouring confidences and how often they were right.

    low, high: the least and greatest confidence in it. mean_confidence: 0-1.
    """

    low: float
    high: float
    mean_confidence: float
    right: Share

    @property
    def gap(self) -> float:
        """Share that was right less the mean confidence, -1 to 1; negative = too sure."""
        return self.right.hits / self.right.total - self.mean_confidence


def brier_score(confidences: Sequence[float], is_true: Sequence[bool]) -> float | None:
    """Mean squared distance of confidence and truth, 0-1; None of nothing.

    confidences: 0-1. Raises InputError outside, or when the lists differ in length. Source: Brier
    1950, in the form for two outcomes.
    """
    _check(confidences, is_true)
    if not confidences:
        return None
    losses = ((c - flag) ** 2 for c, flag in zip(confidences, is_true, strict=True))
    return math.fsum(losses) / len(confidences)


def reliability_bins(
    confidences: Sequence[float], is_true: Sequence[bool], bin_count: int = BIN_COUNT
) -> tuple[ReliabilityBin, ...]:
    """Cut the ranked confidences into bins of equal mass, ascending.

    Equal confidences share the bin in which their middle falls, so there may be fewer bins than
    bin_count (>= 1) and they may differ in size. Errors as for `brier_score`. Source: Nguyen &
    O'Connor 2015.
    """
    _check(confidences, is_true)
    if bin_count < 1:
        raise InputError(f"bin_count must be at least 1, got {bin_count}")
    ranked = sorted(zip(confidences, is_true, strict=True))
    bins: dict[int, list[tuple[float, bool]]] = {}
    start = 0
    for _, items in groupby(ranked, key=lambda item: item[0]):
        alike = list(items)
        # Twice the middle position, in whole numbers.
        middle = 2 * start + len(alike)
        bins.setdefault((middle * bin_count - 1) // (2 * len(ranked)), []).extend(alike)
        start += len(alike)
    return tuple(_bin(items) for items in bins.values())


def calibration_error(
    confidences: Sequence[float], is_true: Sequence[bool], bin_count: int = BIN_COUNT
) -> float | None:
    """Expected calibration error: mean distance of the bins from the truth, 0-1, by their size.

    None of nothing. Arguments and errors as for `reliability_bins`. Few items raise it by chance
    alone. Source: Naeini et al. 2015, with bins of equal mass.
    """
    bins = reliability_bins(confidences, is_true, bin_count)
    if not bins:
        return None
    return math.fsum(own.right.total * abs(own.gap) for own in bins) / len(confidences)


def _bin(items: Sequence[tuple[float, bool]]) -> ReliabilityBin:
    return ReliabilityBin(
        low=items[0][0],
        high=items[-1][0],
        mean_confidence=math.fsum(confidence for confidence, _ in items) / len(items),
        right=Share(sum(flag for _, flag in items), len(items)),
    )


def _check(confidences: Sequence[float], is_true: Sequence[bool]) -> None:
    if len(confidences) != len(is_true):
        raise InputError(
            f"{len(confidences)} confidences for {len(is_true)} truths; give one for each"
        )
    outside = [c for c in confidences if not 0.0 <= c <= 1.0]
    if outside:
        raise InputError(f"a confidence must lie in 0-1, got {outside[0]}")
