"""Learning curves: which one is chosen, where it leads, and what is left open."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.sop.projection import project


def curve(level: float, start: float, half_life: float, count: int) -> list[float]:
    return [round(level + (start - level) * 2 ** (-t / half_life), 2) for t in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_below_three_scores_nothing_is_projected(count: int) -> None:
    found = project([50.0] * count, 60.0, is_certified=False)
    assert (found.model_type, found.projected_scores) == ("insufficient_data", ())
    assert (found.trajectory, found.evaluations_to_certification) == (None, None)


def test_a_straight_line_is_continued() -> None:
    found = project([40.0, 43.0, 46.0, 49.0, 52.0, 55.0], 60.0, is_certified=False)
    assert (found.model_type, found.trend_slope) == ("linear", 3.0)
    assert found.projected_scores == (58.0, 61.0, 64.0, 67.0, 70.0)
    assert (found.trajectory, found.evaluations_to_certification) == ("improving", 2)


def test_practice_that_levels_off_is_exponential() -> None:
    found = project(curve(75.0, 20.0, 2.0, 12), 80.0, is_certified=False)
    assert found.model_type == "exponential"
    assert all(value == pytest.approx(75.0, abs=1.5) for value in found.projected_scores)
    # A line would reach 80 after few evaluations; the level never does.
    assert found.evaluations_to_certification is None


def test_noise_around_a_line_stays_a_line() -> None:
    dice = random.Random(5)
    chosen = [
        project(
            [50 + 1.5 * t + dice.gauss(0, 4) for t in range(15)], 90.0, is_certified=False
        ).model_type
        for _ in range(40)
    ]
    assert chosen.count("linear") >= 34


@given(st.lists(st.floats(0, 100), min_size=3, max_size=25), st.floats(0, 100))
def test_every_projection_is_a_score(scores: list[float], mark: float) -> None:
    found = project(scores, mark, is_certified=False)
    assert len(found.projected_scores) == 5
    assert all(math.isfinite(value) and 0 <= value <= 100 for value in found.projected_scores)
    needed = found.evaluations_to_certification
    assert needed is None or 1 <= needed <= 100


def test_a_flat_line_is_a_plateau_and_stays_linear() -> None:
    found = project([70.0] * 8, 60.0, is_certified=True)
    assert (found.model_type, found.trajectory) == ("linear", "plateau")
    assert found.evaluations_to_certification == 0


@pytest.mark.parametrize(
    ("slope", "trajectory"),
    [(1.0, "plateau"), (1.5, "improving"), (-1.0, "plateau"), (-1.5, "declining")],
)
def test_the_trajectory_changes_beyond_one_point_per_evaluation(
    slope: float, trajectory: str
) -> None:
    scores = [50.0 + slope * t for t in range(3)]
    assert project(scores, 60.0, is_certified=False).trajectory == trajectory


@pytest.mark.parametrize(
    ("count", "confidence"), [(3, "low"), (4, "low"), (5, "medium"), (9, "medium"), (10, "high")]
)
def test_confidence_by_count(count: int, confidence: str) -> None:
    assert project([50.0] * count, 60.0, is_certified=False).confidence == confidence
