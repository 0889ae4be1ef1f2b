"""Bootstrap by video."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import pytest

from sopilot.core.errors import InputError
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.detection import type_average_precision
from sopilot.evaluation.matching import TimedEvent, VideoEvents, match_videos
from sopilot.evaluation.resampling import BootstrapInterval, bootstrap_by_video


def test_a_figure_that_never_varies_has_no_width() -> None:
    assert bootstrap_by_video([7.0] * 5, fmean) == BootstrapInterval(7.0, 7.0, 1000, 0)


def test_bounds_of_a_mean_are_near_the_normal_ones() -> None:
    # 0 and 1 half and half over 100 videos: the mean's deviation is 0.05.
    found = bootstrap_by_video([0.0, 1.0] * 50, fmean)
    assert found is not None
    assert found.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.02)
    assert found.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.02)


def test_equal_seeds_give_equal_bounds_and_others_differ() -> None:
    values = [float(n * n) for n in range(30)]
    assert bootstrap_by_video(values, fmean, seed=4) == bootstrap_by_video(values, fmean, seed=4)
    assert bootstrap_by_video(values, fmean, seed=4) != bootstrap_by_video(values, fmean, seed=5)


def test_a_higher_confidence_gives_wider_bounds() -> None:
    values = [float(n) for n in range(30)]
    usual = bootstrap_by_video(values, fmean)
    narrow = bootstrap_by_video(values, fmean, confidence=0.5)
    assert usual is not None
    assert narrow is not None
    assert usual.low < narrow.low < fmean(values) < narrow.high < usual.high


def test_draws_without_a_value_are_told() -> None:
    def mean_of_even(values: Sequence[int]) -> float | None:
        even = [v for v in values if v % 2 == 0]
        return fmean(even) if even else None

    # Both draws are odd in a quarter of the cases.
    found = bootstrap_by_video([1, 2], mean_of_even)
    assert found is not None
    assert (found.low, found.high, found.draws + found.undefined) == (2.0, 2.0, 1000)
    assert 180 < found.undefined < 320
    assert bootstrap_by_video([1, 3], mean_of_even) is None


def test_one_video_tells_nothing_of_others() -> None:
    assert bootstrap_by_video([1.0], fmean) is None
    assert bootstrap_by_video([], fmean) is None


def test_matched_videos_can_be_drawn_more_than_once() -> None:
    event = TimedEvent("fight", TimeSpan(0, 10), 0.9)
    videos = match_videos(
        [VideoEvents("a", (event,), (event,), 60.0), VideoEvents("b", (), (event,), 60.0)], 0.5
    )
    found = bootstrap_by_video(videos, lambda drawn: type_average_precision(drawn, "fight"))
    assert found == BootstrapInterval(0.0, 1.0, 1000, 0)


@pytest.mark.parametrize(("draws", "confidence"), [(0, 0.95), (10, 0.0), (10, 1.0)])
def test_refuses_what_gives_no_bounds(draws: int, confidence: float) -> None:
    with pytest.raises(InputError, match="draws >= 1"):
        bootstrap_by_video([1.0, 2.0], fmean, draws=draws, confidence=confidence)
