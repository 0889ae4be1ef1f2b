"""Precision and recall by threshold, average precision and AUC."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import InputError
from sopilot.core.rates import Share, auc
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.curves import (
    CurvePoint,
    FrameScores,
    average_precision,
    curve,
    frame_auc,
    frame_average_precision,
    frame_labels,
    interpolated_average_precision,
    roc_auc,
)

Y, N = True, False


def test_a_point_for_each_threshold() -> None:
    assert curve([0.5, 0.9, 0.5, 0.1], [N, Y, Y, N], truth_count=4) == (
        CurvePoint(0.9, Share(1, 1), Share(1, 4)),
        CurvePoint(0.5, Share(2, 3), Share(2, 4)),
        CurvePoint(0.1, Share(2, 4), Share(2, 4)),
    )


@pytest.mark.parametrize(
    ("scores", "flags", "truth_count", "stepwise", "interpolated"),
    [
        # All right: the first point, from recall 0 to 1/2, counts as much as the second.
        ([0.9, 0.8], [Y, Y], None, 1.0, 1.0),
        ([0.9], [Y], None, 1.0, 1.0),
        # Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
        ([0.9, 0.8, 0.7], [Y, N, Y], None, (1 + 2 / 3) / 2, (1 + 2 / 3) / 2),
        # Precision 0, 1/2, 2/3: interpolated, the first true one has 2/3 as well.
        ([0.9, 0.8, 0.7], [N, Y, Y], None, (1 / 2 + 2 / 3) / 2, 2 / 3),
        # A third true one is never found.
        ([0.9, 0.8, 0.7], [Y, N, Y], 3, (1 + 2 / 3) / 3, (1 + 2 / 3) / 3),
        # Tied scores are one step of precision 1/2.
        ([0.5, 0.5], [Y, N], None, 0.5, 0.5),
        ([0.5, 0.5], [N, Y], None, 0.5, 0.5),
        ([0.9, 0.8], [N, N], 2, 0.0, 0.0),
        ([], [], 2, 0.0, 0.0),
        ([0.9], [N], 0, None, None),
        ([], [], None, None, None),
        ([math.inf, math.inf, 0.4], [Y, N, Y], None, (1 / 2 + 2 / 3) / 2, 2 / 3),
    ],
)
def test_average_precision_of_hand_made_lists(
    scores: list[float],
    flags: list[bool],
    truth_count: int | None,
    stepwise: float | None,
    interpolated: float | None,
) -> None:
    assert average_precision(scores, flags, truth_count) == pytest.approx(stepwise)
    assert interpolated_average_precision(scores, flags, truth_count) == pytest.approx(interpolated)


@pytest.mark.parametrize(
    ("scores", "flags", "expected"),
    [
        ([0.9, 0.8, 0.1], [Y, Y, N], 1.0),
        ([0.1, 0.9], [Y, N], 0.0),
        ([0.5, 0.5], [Y, N], 0.5),
        ([0.9, 0.5, 0.5, 0.1], [Y, N, Y, N], 0.875),  # 3.5 of 4 pairs
        ([0.9], [Y], None),
        ([0.9], [N], None),
        ([], [], None),
    ],
)
def test_auc_of_hand_made_lists(
    scores: list[float], flags: list[bool], expected: float | None
) -> None:
    assert roc_auc(scores, flags) == expected


JUDGED = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]), st.booleans()), max_size=30)


@given(JUDGED)
def test_auc_counts_pairs(judged: list[tuple[float, bool]]) -> None:
    true = [score for score, flag in judged if flag]
    other = [score for score, flag in judged if not flag]
    found = roc_auc([score for score, _ in judged], [flag for _, flag in judged])
    assert found == pytest.approx(auc(true, other))


@given(JUDGED, st.integers(0, 5), st.randoms(use_true_random=False))
def test_only_the_order_of_the_scores_matters(
    judged: list[tuple[float, bool]], never_found: int, chance: Random
) -> None:
    scores, flags = [s for s, _ in judged], [f for _, f in judged]
    total = sum(flags) + never_found
    shuffled = list(judged)
    chance.shuffle(shuffled)
    cubed = [s**3 for s, _ in shuffled]
    for figure in (average_precision, interpolated_average_precision):
        assert figure(cubed, [f for _, f in shuffled], total) == pytest.approx(
            figure(scores, flags, total)
        )


@given(JUDGED, st.integers(0, 5))
def test_recall_grows_as_the_threshold_falls(
    judged: list[tuple[float, bool]], never_found: int
) -> None:
    scores, flags = [s for s, _ in judged], [f for _, f in judged]
    total = sum(flags) + never_found
    points = curve(scores, flags, total)
    assert [p.threshold for p in points] == sorted(set(scores), reverse=True)
    for point in points:
        kept = [f for s, f in judged if s >= point.threshold]
        assert (point.precision, point.recall) == (
            Share(sum(kept), len(kept)),
            Share(sum(kept), total),
        )
    stepwise = average_precision(scores, flags, total)
    interpolated = interpolated_average_precision(scores, flags, total)
    if stepwise is not None and interpolated is not None:
        assert 0.0 <= stepwise <= interpolated + 1e-12 <= 1.0 + 2e-12


def test_frames_of_all_videos_count_together() -> None:
    # Each video alone is in order; together the first's calm frames lie above the other's event.
    one = FrameScores("a", (0.8, 0.9), (N, Y))
    other = FrameScores("b", (0.1, 0.2), (N, Y))
    assert (frame_auc([one]), frame_auc([other]), frame_auc([one, other])) == (1.0, 1.0, 0.75)
    assert frame_average_precision([one, other]) == pytest.approx((1 + 2 / 3) / 2)
    assert frame_auc([]) is None


def test_a_frame_lies_in_a_span_from_its_start_to_before_its_end() -> None:
    spans = [TimeSpan(1.0, 2.0), TimeSpan(4.0, 5.0)]
    assert frame_labels([0.9, 1.0, 1.9, 2.0, 4.5], spans) == (N, Y, Y, N, Y)


def test_refuses_what_cannot_be_counted() -> None:
    with pytest.raises(InputError, match="one for each"):
        curve([0.1], [])
    with pytest.raises(InputError, match="not a number"):
        roc_auc([math.nan], [Y])
    with pytest.raises(InputError, match="truth_count"):
        average_precision([0.1, 0.2], [Y, Y], 1)
    with pytest.raises(InputError, match="2 scores for 1 frames"):
        FrameScores("a", (0.1, 0.2), (Y,))
