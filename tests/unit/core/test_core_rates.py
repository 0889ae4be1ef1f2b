"""Rates with exact intervals, per film and per unit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import InputError
from sopilot.core.rates import (
    Share,
    auc,
    balanced_accuracy,
    clopper_pearson,
    poisson_bounds,
    rate,
    share,
)


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.30850),  # 1 - 0.025 ** (1 / 10)
        (1, 10, 0.00253, 0.44502),
        (5, 10, 0.18709, 0.81291),
        (10, 10, 0.69150, 1.0),
        (0, 28, 0.0, 0.12344),
        (47, 47, 0.92451, 1.0),
        (81, 263, 0.2527, 0.3676),  # Newcombe 1998, table I
        (0, 0, 0.0, 1.0),
    ],
)
def test_exact_bounds_of_known_counts(hits: int, total: int, low: float, high: float) -> None:
    assert Share(hits, total).interval == pytest.approx((low, high), abs=5e-5)


def test_a_lower_level_gives_narrower_bounds() -> None:
    assert clopper_pearson(5, 10, 0.90) == pytest.approx((0.22244, 0.77756), abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 300))
def test_bounds_enclose_the_ratio_and_mirror(one: int, other: int) -> None:
    hits, total = min(one, other), max(one, other, 1)
    low, high = clopper_pearson(hits, total)
    assert 0.0 <= low <= hits / total <= high <= 1.0
    assert clopper_pearson(total - hits, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [
        (0, 0.0, 3.6889),  # -ln 0.025
        (1, 0.0253, 5.5716),
        (2, 0.2422, 7.2247),
        (5, 1.6235, 11.6683),
        (10, 4.7954, 18.3904),
        (50, 37.1110, 65.9188),
        (100, 81.3640, 121.6268),
    ],
)
def test_exact_bounds_of_a_seen_count(count: int, low: float, high: float) -> None:
    # Half a chi-square quantile: 0.025 at 2n, 0.975 at 2n + 2 degrees of freedom.
    assert poisson_bounds(count) == pytest.approx((low, high), abs=5e-5)


def test_bounds_of_a_great_count_are_near_the_normal_ones() -> None:
    low, high = poisson_bounds(40_000)
    assert low == pytest.approx(40_000 - 1.96 * 200, abs=3)
    assert high == pytest.approx(40_000 + 1.96 * 200, abs=3)


@given(st.integers(0, 60), st.floats(0.01, 0.9999))
def test_each_bound_leaves_its_tail(count: int, level: float) -> None:
    low, high = poisson_bounds(count, level)

    def at_most(count: int, mean: float) -> float:
        return math.fsum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(count + 1))

    tail = (1.0 - level) / 2.0
    assert at_most(count, high) == pytest.approx(tail, rel=1e-6)
    if count:
        assert 1.0 - at_most(count - 1, low) == pytest.approx(tail, rel=1e-6, abs=1e-12)
    else:
        assert low == 0.0


@pytest.mark.parametrize(("count", "level"), [(-1, 0.95), (1, 0.0), (1, 1.0), (1, math.nan)])
def test_refuses_bounds_of_no_count(count: int, level: float) -> None:
    with pytest.raises(InputError, match="count >= 0"):
        poisson_bounds(count, level)


def test_share_counts_the_true_ones() -> None:
    assert share([True, False, True]) == Share(2, 3)
    assert Share(0, 0).ratio is None


def test_rate_counts_films_and_the_units_they_come_from() -> None:
    # One of three executions raises every alarm: 3 of 6 films, 1 of 3 units.
    flags = [("a", True), ("a", True), ("a", True), ("b", False), ("b", False), ("c", False)]
    counted = rate(flags)
    assert (counted.films, counted.units) == (Share(3, 6), Share(1, 3))
    assert counted.unit_mean == pytest.approx(1 / 3)
    assert counted.by_unit == {"a": Share(3, 3), "b": Share(0, 2), "c": Share(0, 1)}


def test_rate_of_nothing_has_no_ratio() -> None:
    counted = rate([])
    assert (counted.ratio, counted.unit_mean, counted.units) == (None, None, Share(0, 0))


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        ([90.0, 80.0], [50.0], 1.0),
        ([90.0, 40.0], [50.0], 0.5),
        ([50.0], [50.0], 0.5),
        ([10.0], [50.0, 60.0], 0.0),
        ([], [50.0], None),
    ],
)
def test_auc_counts_pairs_in_order(
    good: list[float], bad: list[float], expected: float | None
) -> None:
    assert auc(good, bad) == expected


@pytest.mark.parametrize(
    ("good_passed", "bad_passed", "expected"),
    [
        (Share(28, 28), Share(0, 56), 1.0),
        (Share(28, 28), Share(56, 56), 0.5),
        (Share(14, 28), Share(14, 56), 0.625),
        (Share(0, 0), Share(1, 2), None),
    ],
)
def test_balanced_accuracy_weighs_both_sides_alike(
    good_passed: Share, bad_passed: Share, expected: float | None
) -> None:
    assert balanced_accuracy(good_passed, bad_passed) == expected
