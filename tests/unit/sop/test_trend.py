"""Figures of sequences and groups of scores, without a database."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.sop.tally import Group, Share, Tally, direction, ranked_operators, total_of
from sopilot.sop.trend import slope_of, trend_of

SCORES = st.lists(st.floats(0, 100).map(lambda value: round(value, 2)), max_size=30)


@given(SCORES)
def test_a_slope_is_that_of_the_regression_line(scores: list[float]) -> None:
    if len(scores) < 2:
        assert slope_of(scores) is None
    else:
        truth = statistics.linear_regression(range(len(scores)), scores).slope
        assert slope_of(scores) == pytest.approx(truth, abs=1e-6)


@given(SCORES)
def test_moving_figures_look_back_over_five(scores: list[float]) -> None:
    passed = [score >= 60 for score in scores]
    found = trend_of(scores, passed)
    width = min(5, len(scores))
    for index in range(len(scores)):
        part = scores[index - width + 1 : index + 1] if index >= width - 1 else []
        mean = pytest.approx(statistics.fmean(part), abs=0.00501) if part else None
        assert found.moving_avg[index] == mean
        share = sum(passed[index - width + 1 : index + 1])
        assert found.pass_rate[index] == (round(share / width, 4) if part else None)
    spread = statistics.stdev(scores[-5:]) if len(scores) > 1 else None
    assert found.volatility == (None if spread is None else pytest.approx(spread, abs=0.00501))


@pytest.mark.parametrize(
    ("scores", "improvement"),
    [([50.0, 75.0], 50.0), ([80.0, 60.0], -25.0), ([40.0], 0.0), ([0.0, 50.0], None), ([], None)],
)
def test_improvement_is_of_the_last_against_the_first(
    scores: list[float], improvement: float | None
) -> None:
    assert trend_of(scores, [True] * len(scores)).improvement_pct == improvement


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ((0, 20), (1, 20), "stable"),  # exactly 0.05
        ((0, 20), (2, 21), "improving"),
        ((1, 20), (0, 20), "stable"),
        ((2, 20), (0, 20), "declining"),
        ((0, 0), (1, 1), "stable"),
        ((0, 0), (0, 0), "stable"),
        ((7, 20), (8, 20), "stable"),  # 0.35 and 0.4 are no such numbers in binary
    ],
)
def test_direction(first: tuple[int, int], last: tuple[int, int], told: str) -> None:
    assert direction(first, last) == told


def share(name: str | None, passes: int, count: int, mean: float = 50.0) -> Share:
    return Share(name, Tally(job_count=count, pass_count=passes, score_sum=mean * count))


def test_operators_are_ranked_from_three_scores_on() -> None:
    shares = [share("few", 2, 2), share(None, 9, 9), share("b", 1, 3, 70.0), share("a", 3, 3)]
    shares += [share("c", 1, 3, 80.0)]
    assert [item.name for item in ranked_operators(shares)] == ["a", "c", "b"]


def test_groups_add_up() -> None:
    one = Tally(2, 150.0, 70.0, 80.0, pass_count=2, from_80_count=1, from_70_count=2)
    other = Tally(1, 20.0, 20.0, 20.0, fail_count=1)
    total = total_of([Group("a", "n", one), Group("b", None, other), Group("c", "n", Tally())])
    assert (total.job_count, total.avg_score) == (3, 56.67)
    assert (total.min_score, total.max_score) == (20.0, 80.0)
    assert (total.pass_count, total.fail_count, total.from_80_count) == (2, 1, 1)
    assert total.compliance_rate == 0.6667
