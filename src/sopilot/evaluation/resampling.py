"""How far a figure over a set of videos may move with another set: bootstrap by video.

Frames and events of one video fail together, so whole videos are drawn. Called by the benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from sopilot.core.errors import InputError
from sopilot.core.rates import LEVEL

DRAWS = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BootstrapInterval:
    """Bounds of a figure. draws: those that count; undefined: those in which it has no value."""

    low: float
    high: float
    draws: int
    undefined: int


def bootstrap_by_video(
    videos: Sequence[T],
    figure: Callable[[Sequence[T]], float | None],
    seed: int = 0,
    draws: int = DRAWS,
    confidence: float = LEVEL,
) -> BootstrapInterval | None:
    """Percentile bounds of a figure over videos that are drawn with repetition.

    None for fewer than two videos, which tell nothing of others, or if no draw has a value. Equal
    arguments give equal bounds. With few videos the bounds are too narrow. Raises InputError for
    draws < 1 or confidence outside (0, 1). Source: Efron 1979.
    """
    if draws < 1 or not 0.0 < confidence < 1.0:
        raise InputError(
            f"need draws >= 1 and a confidence in (0, 1), got {draws} and {confidence}"
        )
    if len(videos) < 2:
        return None
    chance = Random(seed)
    drawn = [figure(chance.choices(videos, k=len(videos))) for _ in range(draws)]
    values = sorted(value for value in drawn if value is not None)
    if not values:
        return None
    tail = (1.0 - confidence) / 2.0
    return BootstrapInterval(
        low=_quantile(values, tail),
        high=_quantile(values, 1.0 - tail),
        draws=len(values),
        undefined=draws - len(values),
    )


def _quantile(ranked: Sequence[float], share: float) -> float:
    place = share * (len(ranked) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])
