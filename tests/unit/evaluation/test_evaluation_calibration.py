"""Confidences against how often they were right."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import InputError
from sopilot.core.rates import Share
from sopilot.evaluation.calibration import (
    ReliabilityBin,
    brier_score,
    calibration_error,
    reliability_bins,
)

Y, N = True, False


@pytest.mark.parametrize(
    ("confidences", "flags", "expected"),
    [
        ([1.0, 0.0], [Y, N], 0.0),
        ([1.0, 0.0], [N, Y], 1.0),
        ([0.5, 0.5], [Y, N], 0.25),
        ([0.8, 0.3], [Y, N], (0.04 + 0.09) / 2),
        ([], [], None),
    ],
)
def test_brier_score(confidences: list[float], flags: list[bool], expected: float | None) -> None:
    assert brier_score(confidences, flags) == pytest.approx(expected)


def test_bins_hold_equal_numbers() -> None:
    bins = reliability_bins([0.9, 0.1, 0.3, 0.2, 0.8, 0.95], [Y, N, Y, N, N, Y], 3)
    assert [(b.low, b.high, b.right) for b in bins] == [
        (0.1, 0.2, Share(0, 2)),
        (0.3, 0.8, Share(1, 2)),
        (0.9, 0.95, Share(2, 2)),
    ]
    assert [b.mean_confidence for b in bins] == pytest.approx([0.15, 0.55, 0.925])
    assert [b.gap for b in bins] == pytest.approx([-0.15, -0.05, 0.075])


def test_calibration_error_is_the_mean_gap_by_size() -> None:
    confidences, flags = [0.9, 0.1, 0.3, 0.2, 0.8, 0.95], [Y, N, Y, N, N, Y]
    assert calibration_error(confidences, flags, 3) == pytest.approx((0.15 + 0.05 + 0.075) / 3)
    # One bin: 3 of 6 are right, the mean confidence is 3.25 / 6.
    assert calibration_error(confidences, flags, 1) == pytest.approx(0.25 / 6)


def test_equal_confidences_share_a_bin() -> None:
    # Four times 0.5 cannot be cut in two, whatever their truth or order.
    assert reliability_bins([0.5] * 4, [Y, N, N, N], 2) == (
        ReliabilityBin(0.5, 0.5, 0.5, Share(1, 4)),
    )
    assert calibration_error([0.5] * 4, [Y, Y, N, N], 2) == 0.0


def test_equal_confidences_lie_where_their_middle_falls() -> None:
    # Ranks 2 to 4 of four: the middle is rank 3, in the upper half.
    bins = reliability_bins([0.1, 0.5, 0.5, 0.5], [N, Y, Y, N], 2)
    assert [b.right for b in bins] == [Share(0, 1), Share(2, 3)]


def test_a_greater_bin_weighs_more() -> None:
    # Three with a gap of 1/3 - 0.2, one with a gap of 0.1.
    error = calibration_error([0.2, 0.2, 0.2, 0.9], [N, N, Y, Y], 2)
    assert error == pytest.approx((3 * (1 / 3 - 0.2) + 0.1) / 4)


def test_fewer_items_than_bins_stand_alone() -> None:
    assert [b.right for b in reliability_bins([0.2, 0.7], [N, Y])] == [Share(0, 1), Share(1, 1)]


def test_nothing_has_no_error() -> None:
    assert (reliability_bins([], []), calibration_error([], [])) == ((), None)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan])
def test_refuses_what_is_no_confidence(confidence: float) -> None:
    with pytest.raises(InputError, match="0-1"):
        brier_score([confidence], [Y])
    with pytest.raises(InputError, match="0-1"):
        calibration_error([confidence], [Y])


def test_refuses_lists_that_do_not_belong_together() -> None:
    with pytest.raises(InputError, match="one for each"):
        brier_score([0.5], [])
    with pytest.raises(InputError, match="bin_count"):
        reliability_bins([0.5], [Y], 0)


JUDGED = st.lists(
    st.tuples(st.one_of(st.floats(0, 1), st.sampled_from([0.2, 0.5, 0.9])), st.booleans()),
    max_size=40,
)


@given(JUDGED, st.integers(1, 12), st.randoms(use_true_random=False))
def test_bins_ascend_and_hold_everything_once(
    judged: list[tuple[float, bool]], bin_count: int, chance: Random
) -> None:
    confidences, flags = [c for c, _ in judged], [f for _, f in judged]
    bins = reliability_bins(confidences, flags, bin_count)
    assert len(bins) <= bin_count
    assert sum(b.right.total for b in bins) == len(judged)
    assert sum(b.right.hits for b in bins) == sum(flags)
    assert all(one.high < other.low for one, other in pairwise(bins))
    shuffled = list(judged)
    chance.shuffle(shuffled)
    assert reliability_bins([c for c, _ in shuffled], [f for _, f in shuffled], bin_count) == bins


@given(st.lists(st.floats(0, 1), unique=True, min_size=1, max_size=40), st.integers(1, 12))
def test_different_confidences_fill_bins_to_within_one(
    confidences: list[float], bin_count: int
) -> None:
    sizes = [
        b.right.total for b in reliability_bins(confidences, [Y] * len(confidences), bin_count)
    ]
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == min(bin_count, len(confidences))


@given(JUDGED)
def test_errors_lie_between_0_and_1(judged: list[tuple[float, bool]]) -> None:
    confidences, flags = [c for c, _ in judged], [f for _, f in judged]
    error, brier = calibration_error(confidences, flags), brier_score(confidences, flags)
    assert (error is None) == (brier is None) == (not judged)
    assert error is None or 0.0 <= error <= 1.0 + 1e-12
    assert brier is None or 0.0 <= brier <= 1.0 + 1e-12
