"""Reviewed scores become confidences that rise with the score and never claim certainty."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sopilot.vigil.calibrate import LEAST_REVIEWED, calibration_of

scores = st.integers(0, 20).map(lambda n: n / 20)
reviews = st.lists(st.tuples(scores, st.booleans()), min_size=LEAST_REVIEWED, max_size=80)


def test_too_few_reviews_say_nothing() -> None:
    assert calibration_of([(0.5, True)] * (LEAST_REVIEWED - 1)) is None


def test_a_clean_step_is_found() -> None:
    reviewed = [(n / 40, n >= 20) for n in range(40)]
    curve = calibration_of(reviewed)
    assert curve is not None
    assert curve.scores == (0.0, 0.5)
    assert curve.shares == (1 / 22, 21 / 22)
    assert [curve.confidence(s) for s in (0.0, 0.49, 0.5, 1.0)] == [
        1 / 22,
        1 / 22,
        21 / 22,
        21 / 22,
    ]


@given(reviews)
def test_confidence_rises_with_the_score_and_lies_within(
    reviewed: list[tuple[float, bool]],
) -> None:
    curve = calibration_of(reviewed)
    assert curve is not None
    found = [curve.confidence(n / 20) for n in range(21)]
    assert found == sorted(found)
    assert all(0 < value < 1 for value in found)
    assert list(curve.scores) == sorted(set(curve.scores))
    # The order in which people reviewed is nothing.
    assert calibration_of(reviewed[::-1]) == curve


@given(st.booleans(), st.integers(LEAST_REVIEWED, 200))
def test_one_verdict_alone_is_no_certainty(is_true: bool, count: int) -> None:
    curve = calibration_of([(0.3, is_true)] * count)
    assert curve is not None
    expected = (count * is_true + 1) / (count + 2)
    assert curve.shares == (expected,)
