"""What a sequence of one operator's scores shows: slope, moving mean, spread. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sopilot.sop.tally import rate

T = TypeVar("T")

WINDOW = 5
"""Scores in a moving figure. Source: contract 1.3."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Figures of scores in the order of time.

    trend_slope: points per evaluation; improvement_pct: last against first, None where the first is
    0. moving_avg, pass_rate: per score over it and the scores before it, None until the window of
    five (or of all, where there are fewer) is full. volatility: sample deviation of the last
    window, None for a single score.
    """

    avg_score: float | None
    trend_slope: float | None
    improvement_pct: float | None
    moving_avg: tuple[float | None, ...]
    pass_rate: tuple[float | None, ...]
    volatility: float | None


def trend_of(scores: Sequence[float], passed: Sequence[bool]) -> Trend:
    """The figures of scores and whether each was a pass, oldest first; both equally long."""
    if not scores:
        return Trend(None, None, None, (), (), None)
    width = min(WINDOW, len(scores))
    slope = slope_of(scores)
    first, last, recent = scores[0], scores[-1], scores[-width:]
    return Trend(
        avg_score=round(statistics.fmean(scores), 2),
        trend_slope=None if slope is None else round(slope, 4),
        improvement_pct=round((last - first) / first * 100, 2) if first > 0 else None,
        moving_avg=tuple(
            None if part is None else round(statistics.fmean(part), 2)
            for part in _windows(scores, width)
        ),
        pass_rate=tuple(
            None if part is None else rate(sum(part), width) for part in _windows(passed, width)
        ),
        volatility=round(statistics.stdev(recent), 2) if width > 1 else None,
    )


def slope_of(scores: Sequence[float]) -> float | None:
    """Least-squares slope in points per evaluation; None for fewer than two scores."""
    if len(scores) < 2:
        return None
    times = np.arange(len(scores)) - (len(scores) - 1) / 2
    return float(times @ np.asarray(scores, float) / (times @ times))


def _windows(values: Sequence[T], width: int) -> list[Sequence[T] | None]:
    return [
        values[end - width : end] if end >= width else None for end in range(1, len(values) + 1)
    ]
