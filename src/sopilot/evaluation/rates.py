"""Counts as rates, and the order of two groups of scores. Pure; called by `evaluation.figures`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WILSON_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """A count out of a total, with its 95 % Wilson interval (Wilson 1927)."""

    hits: int
    total: int

    @property
    def ratio(self) -> float | None:
        """0-1, None of nothing."""
        return self.hits / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound, 0-1; [0, 1] of nothing."""
        if not self.total:
            return 0.0, 1.0
        n, p, z2 = self.total, self.hits / self.total, WILSON_Z**2
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = WILSON_Z / (1 + z2 / n) * (p * (1 - p) / n + z2 / (4 * n * n)) ** 0.5
        return max(0.0, middle - half), min(1.0, middle + half)


def share(flags: Iterable[bool]) -> Share:
    """Count the true ones."""
    listed = list(flags)
    return Share(sum(listed), len(listed))


def auc(good: Sequence[float], bad: Sequence[float]) -> float | None:
    """Share of (good, bad) pairs in the right order, ties half; None when a side is empty."""
    if not good or not bad:
        return None
    won = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    return float(won / (len(good) * len(bad)))
