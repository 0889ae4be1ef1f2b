"""How far the steps of a task are apart from each other, as their classes have been learned.

Called by `sop.compare`: steps that look alike cannot be told apart in a trainee either, and the
operator is told which.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sopilot.sop.model import TaskModel

ALIKE_BELOW = 0.25
"""One less the mean cosine of two steps' classes: 0.3-1.1 between different steps of one task
(generated procedures, hand washing), 0-0.15 between two showings of one step."""


def step_distances(model: TaskModel) -> NDArray[np.float64]:
    """(steps, steps) 0-2, how unlike two steps' classes are, part by part; inf on the diagonal."""
    count = len(model.steps)
    classes: list[list[int]] = [[] for _ in range(count)]
    for unit, own in zip(model.units, model.parts, strict=True):
        if unit.step is not None:
            classes[unit.step] += own
    cosines = np.mean([v.directions.T @ v.directions for v in model.views.values()], axis=0)
    distances = np.full((count, count), np.inf)
    for a in range(count):
        for b in range(count):
            if a != b and classes[a] and classes[b]:
                distances[a, b] = 1.0 - _likeness(cosines, classes[a], classes[b])
    return distances


def distinctness(model: TaskModel) -> float | None:
    """The least distance of two steps; None with fewer than two."""
    distances = step_distances(model)
    finite = distances[np.isfinite(distances)]
    return float(finite.min()) if finite.size else None


def similar_steps(model: TaskModel) -> tuple[tuple[int, int], ...]:
    """Pairs of steps, by index ascending, that cannot be told apart."""
    distances = step_distances(model)
    pairs = np.argwhere(np.triu(distances < ALIKE_BELOW))
    return tuple((int(a), int(b)) for a, b in pairs)


def _likeness(cosines: NDArray[np.float64], one: list[int], other: list[int]) -> float:
    """Mean cosine of corresponding classes of two steps, as many as the shorter has."""
    count = min(len(one), len(other))
    places = (np.arange(count) + 0.5) / count
    a = [one[int(place * len(one))] for place in places]
    b = [other[int(place * len(other))] for place in places]
    return float(cosines[a, b].mean())
