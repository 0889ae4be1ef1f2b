"""Where an operator's scores are heading: a learning curve fitted to them, and its continuation.

Two curves over the number of the evaluation t = 0, 1 ...:

- linear: y = a + b t (two parameters);
- exponential: y = a + b 2^(-t / h) (three), practice that approaches a level. Source: Heathcote,
  Brown & Mewhort 2000, The power law repealed, Psychonomic Bulletin & Review 7(2).

For a given half-life h the exponential curve is linear in a and b, so every half-life of a grid is
solved by least squares and the best is taken; only levels that a score can have (0-100) count. The
curve of the lowest BIC = n ln(RSS / n) + p ln n is chosen (Schwarz 1978), the linear one on a tie.

There is no Gaussian process: continued beyond its data it returns to its mean, which says nothing
about the next five scores, its number of parameters is not defined for BIC, and fitting it needs an
optimiser that this product does without (docs/decisions/0003).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sopilot.sop.trend import slope_of

ModelType = Literal["linear", "exponential", "insufficient_data"]
Trajectory = Literal["improving", "plateau", "declining"]
Confidence = Literal["high", "medium", "low"]

LEAST_SCORES = 3
LEAST_FOR_EXPONENTIAL = 5
"""Three parameters go through any three scores; two more show whether they fit."""
AHEAD = 5
HORIZON = 100
"""Evaluations ahead within which the pass mark must be reached to be told."""
PLATEAU = 1.0
"""Points per evaluation. Source: contract 5."""
LEAST_VARIANCE = 1e-4
"""Square of the digit to which scores are rounded: a closer fit is no better one."""
HALF_LIVES = 48

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Projection:
    """The chosen curve and what it says. evaluations_to_certification: 0 = certified already."""

    model_type: ModelType
    trend_slope: float | None
    trajectory: Trajectory | None
    evaluations_to_certification: int | None
    confidence: Confidence
    projected_scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Fit:
    model_type: ModelType
    bic: float
    curve: Curve


def project(scores: Sequence[float], pass_threshold: float, *, is_certified: bool) -> Projection:
    """The continuation of scores, oldest first, by five evaluations.

    Fewer than three scores: model_type insufficient_data, nothing projected.
    """
    slope = slope_of(scores)
    fit = _best_fit(np.asarray(scores, float)) if len(scores) >= LEAST_SCORES else None
    needed = 0 if is_certified else None
    ahead: NDArray[np.float64] = np.empty(0)
    if fit is not None:
        times = len(scores) + np.arange(HORIZON, dtype=float)
        ahead = np.clip(fit.curve(times), 0.0, 100.0)
        reached = np.flatnonzero(ahead >= pass_threshold)
        if needed is None and len(reached):
            needed = int(reached[0]) + 1
    return Projection(
        model_type="insufficient_data" if fit is None else fit.model_type,
        trend_slope=None if slope is None else round(slope, 4),
        trajectory=None if fit is None or slope is None else _trajectory(slope),
        evaluations_to_certification=needed,
        confidence=_confidence(len(scores)),
        projected_scores=tuple(round(float(value), 2) for value in ahead[:AHEAD]),
    )


def _trajectory(slope: float) -> Trajectory:
    if slope > PLATEAU:
        return "improving"
    return "declining" if slope < -PLATEAU else "plateau"


def _confidence(count: int) -> Confidence:
    """Source: contract 5."""
    if count >= 10:
        return "high"
    return "medium" if count >= 5 else "low"


def _best_fit(scores: NDArray[np.float64]) -> _Fit:
    fits = [_linear(scores)]
    if len(scores) >= LEAST_FOR_EXPONENTIAL:
        fits += _exponential(scores)
    return min(fits, key=lambda fit: fit.bic)


def _linear(scores: NDArray[np.float64]) -> _Fit:
    times = np.arange(len(scores), dtype=float)
    level, slope, residual = _solve(times, scores)
    return _Fit("linear", _bic(residual, len(scores), 2), lambda at: level + slope * at)


def _exponential(scores: NDArray[np.float64]) -> list[_Fit]:
    """The best curve whose level a score can have; none where no half-life gives one."""
    times = np.arange(len(scores), dtype=float)
    best: _Fit | None = None
    for half_life in np.geomspace(0.5, len(scores), HALF_LIVES):
        level, height, residual = _solve(np.exp2(-times / half_life), scores)
        bic = _bic(residual, len(scores), 3)
        if 0.0 <= level <= 100.0 and (best is None or bic < best.bic):
            best = _Fit("exponential", bic, _decay(level, height, float(half_life)))
    return [] if best is None else [best]


def _decay(level: float, height: float, half_life: float) -> Curve:
    return lambda at: level + height * np.exp2(-at / half_life)


def _solve(basis: NDArray[np.float64], scores: NDArray[np.float64]) -> tuple[float, float, float]:
    """Level a, factor b and residual sum of squares of scores = a + b basis."""
    design = np.stack([np.ones_like(basis), basis], axis=1)
    found = np.linalg.lstsq(design, scores, rcond=None)[0]
    residual = scores - design @ found
    return float(found[0]), float(found[1]), float(residual @ residual)


def _bic(residual: float, count: int, parameter_count: int) -> float:
    variance = max(residual / count, LEAST_VARIANCE)
    return count * math.log(variance) + parameter_count * math.log(count)
