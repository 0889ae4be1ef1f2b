"""The figures of a detector on worked-out cases."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import InputError
from sopilot.core.rates import Share
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.curves import CurvePoint
from sopilot.evaluation.detection import (
    Counts,
    Delay,
    FalseAlarmRate,
    counts,
    delay,
    false_alarms_per_hour,
    judged_scores,
    mean_tiou,
    precisions,
    summarise,
    type_average_precision,
    type_curve,
)
from sopilot.evaluation.matching import TimedEvent, VideoEvents, match_videos


def event(kind: str, start: float, end: float, score: float | None = None) -> TimedEvent:
    return TimedEvent(kind, TimeSpan(start, end), score)


# One hour in which a fight is told twice, once a crash, and what is told at 200 s is none.
STREET = VideoEvents(
    video="street",
    found=(
        event("fight", 12, 20, 0.9),  # tIoU 0.8, 2 s late
        event("fight", 10, 19, 0.8),  # the same fight again
        event("crash", 99, 109, 0.7),  # tIoU 9/11, 1 s early
        event("crash", 200, 210, 0.3),
    ),
    truth=(event("fight", 10, 20), event("crash", 100, 110)),
    analysed_sec=3600.0,
)
# Half an hour of which half failed: a fight is told as a crash.
YARD = VideoEvents(
    video="yard",
    found=(event("crash", 50, 60, 0.6),),
    truth=(event("fight", 50, 60),),
    analysed_sec=900.0,
)


def test_counts_at_the_live_threshold() -> None:
    videos = match_videos([STREET, YARD], 0.5)
    assert counts(videos) == Counts(matched=2, false_alarms=3, missed=1)
    assert counts(videos, 0.5) == Counts(matched=2, false_alarms=2, missed=1)
    assert counts(videos, 0.7) == Counts(matched=2, false_alarms=1, missed=1)
    assert counts(videos, 0.75) == Counts(matched=1, false_alarms=1, missed=2)
    assert counts(videos, 0.95) == Counts(matched=0, false_alarms=0, missed=3)


def test_counts_by_type_add_up() -> None:
    videos = match_videos([STREET, YARD], 0.5)
    assert counts(videos, kind="fight") == Counts(matched=1, false_alarms=1, missed=1)
    assert counts(videos, kind="crash") == Counts(matched=1, false_alarms=2, missed=0)


def test_precision_recall_and_f1() -> None:
    figures = Counts(matched=2, false_alarms=3, missed=1)
    assert (figures.precision, figures.recall) == (Share(2, 5), Share(2, 3))
    assert figures.f1 == pytest.approx(0.5)  # 2 * 0.4 * 2/3 / (0.4 + 2/3)


@pytest.mark.parametrize(
    ("figures", "precision", "recall", "f1"),
    [
        (Counts(0, 0, 0), None, None, None),
        (Counts(0, 2, 0), 0.0, None, 0.0),
        (Counts(0, 0, 2), None, 0.0, 0.0),
        (Counts(2, 0, 0), 1.0, 1.0, 1.0),
    ],
)
def test_rates_of_nothing_are_none(
    figures: Counts, precision: float | None, recall: float | None, f1: float | None
) -> None:
    assert (figures.precision.ratio, figures.recall.ratio, figures.f1) == (precision, recall, f1)


def test_an_event_without_a_score_is_an_alarm_at_every_threshold() -> None:
    own = VideoEvents("a", (event("fight", 0, 10), event("fight", 50, 60, 0.5)), (), 60.0)
    assert counts(match_videos([own], 0.5), 0.99) == Counts(0, 1, 0)


@pytest.mark.parametrize(
    ("count", "analysed_sec", "hours", "per_hour", "interval"),
    [
        (0, 3600.0, 1.0, 0.0, (0.0, 3.6889)),
        (1, 3600.0, 1.0, 1.0, (0.0253, 5.5716)),
        (10, 18000.0, 5.0, 2.0, (4.7954 / 5, 18.3904 / 5)),
        (3, 900.0, 0.25, 12.0, (4 * 0.6187, 4 * 8.7673)),
    ],
)
def test_false_alarms_per_analysed_hour(
    count: int, analysed_sec: float, hours: float, per_hour: float, interval: tuple[float, float]
) -> None:
    figure = false_alarms_per_hour(count, analysed_sec)
    assert figure is not None
    assert (figure.count, figure.hours, figure.per_hour) == (count, hours, per_hour)
    assert figure.interval == pytest.approx(interval, abs=5e-4)


def test_a_lower_confidence_gives_a_narrower_interval() -> None:
    figure = false_alarms_per_hour(3, 3600.0, confidence=0.90)
    assert figure is not None
    assert figure.interval == pytest.approx((0.8177, 7.7537), abs=5e-5)


def test_no_rate_where_nothing_was_analysed() -> None:
    assert false_alarms_per_hour(0, 0.0) is None
    with pytest.raises(InputError, match="2 false alarms in 0"):
        false_alarms_per_hour(2, 0.0)
    with pytest.raises(InputError, match="really analysed"):
        false_alarms_per_hour(0, -1.0)


def test_average_precision_of_each_type() -> None:
    # fight: met, again, and one of two never found: precision 1 at recall 1/2.
    # crash: met at 0.7, then two that are none: 1.
    figure = precisions(match_videos([STREET, YARD], 0.5), 0.5)
    assert figure.by_type == {"crash": 1.0, "fight": 0.5}
    assert figure.mean == 0.75


def test_a_stricter_tiou_turns_a_match_into_a_false_alarm_and_a_miss() -> None:
    # At 0.81 the surer fight alarm (0.8) no longer fits; the second one (0.9) does.
    # At 0.85 the crash (9/11) is lost, too.
    videos = match_videos([STREET], 0.81)
    assert precisions(videos, 0.81).by_type == {"crash": 1.0, "fight": 0.5}
    assert precisions(match_videos([STREET], 0.85), 0.85).by_type == {"crash": 0.0, "fight": 0.5}


def test_tied_scores_are_one_step_in_average_precision() -> None:
    alarms = (event("fight", 200, 210, 0.5), event("fight", 10, 20, 0.5))
    for found in (alarms, alarms[::-1]):
        own = VideoEvents("a", found, (event("fight", 10, 20),), 60.0)
        assert type_average_precision(match_videos([own], 0.5), "fight") == 0.5


def test_a_type_that_is_never_true_has_no_average_precision() -> None:
    own = VideoEvents("a", (event("fall", 0, 10, 0.9),), (event("fight", 0, 10),), 60.0)
    videos = match_videos([own], 0.5)
    assert type_average_precision(videos, "fall") is None
    assert precisions(videos, 0.5).by_type == {"fight": 0.0}
    assert precisions([], 0.5).mean is None


def test_the_curve_counts_true_events_that_were_never_found() -> None:
    assert type_curve(match_videos([STREET, YARD], 0.5), "fight") == (
        CurvePoint(0.9, Share(1, 1), Share(1, 2)),
        CurvePoint(0.8, Share(1, 2), Share(1, 2)),
    )


def test_mean_tiou_is_over_what_was_met() -> None:
    videos = match_videos([STREET, YARD], 0.5)
    assert mean_tiou(videos) == pytest.approx((0.8 + 9 / 11) / 2)
    assert mean_tiou(videos, 0.75) == pytest.approx(0.8)
    assert mean_tiou(videos, 0.95) is None


def test_instants_have_no_tiou_but_a_delay() -> None:
    own = VideoEvents("a", (event("crash", 10.5, 10.5),), (event("crash", 10, 10),), 60.0)
    videos = match_videos([own], 0.5, tolerance_sec=1.0)
    assert (counts(videos), mean_tiou(videos)) == (Counts(1, 0, 0), None)
    assert delay(videos) == Delay(1, 0.5, 0.5)


def test_delay_is_negative_when_told_too_early() -> None:
    videos = match_videos([STREET, YARD], 0.5)
    assert delay(videos) == Delay(count=2, median_sec=0.5, p95_sec=2.0)
    assert delay(videos, 0.95) is None


def test_the_95th_of_a_hundred_delays_is_the_95th() -> None:
    late = [
        VideoEvents(f"v{n}", (event("a", n, 1000),), (event("a", 0, 1000),), 1000.0)
        for n in range(1, 101)
    ]
    assert delay(match_videos(late, 0.5)) == Delay(100, 50.5, 95.0)


def test_calibration_sees_only_events_with_a_score() -> None:
    own = VideoEvents(
        "a", (event("fight", 0, 10), event("fight", 20, 30, 0.5)), (event("fight", 20, 30),), 60.0
    )
    assert judged_scores(match_videos([own], 0.5)) == ((0.5,), (True,))


def test_all_figures_of_a_detector() -> None:
    figures = summarise([STREET, YARD], live_score=0.5)
    assert figures.counts == Counts(2, 2, 1)
    assert figures.by_type == {"crash": Counts(1, 1, 0), "fight": Counts(1, 1, 1)}
    assert figures.false_alarms is not None
    assert figures.false_alarms.per_hour == pytest.approx(1.6)  # 2 in 1.25 h
    assert [(p.least_tiou, p.mean) for p in figures.precisions] == [
        (0.3, 0.75),
        (0.5, 0.75),
        (0.7, 0.75),
    ]
    assert figures.mean_tiou == pytest.approx((0.8 + 9 / 11) / 2)
    assert figures.delay == Delay(2, 0.5, 2.0)


def test_figures_where_nothing_is_found_or_true() -> None:
    silent = summarise([VideoEvents("a", (), (event("fight", 0, 10),), 3600.0)])
    assert (silent.counts, silent.counts.f1) == (Counts(0, 0, 1), 0.0)
    assert [p.mean for p in silent.precisions] == [0.0, 0.0, 0.0]
    calm = summarise([VideoEvents("a", (event("fight", 0, 10, 0.9),), (), 3600.0)])
    assert (calm.counts, calm.counts.recall.ratio) == (Counts(0, 1, 0), None)
    assert [p.mean for p in calm.precisions] == [None, None, None]
    assert calm.false_alarms == false_alarms_per_hour(1, 3600.0)
    assert isinstance(calm.false_alarms, FalseAlarmRate)
    nothing = summarise([])
    assert (nothing.false_alarms, nothing.delay, nothing.by_type) == (None, None, {})


EVENTS = st.lists(
    st.builds(
        lambda kind, start, length, score: event(kind, start, start + length, score),
        st.sampled_from("ab"),
        st.integers(0, 12),
        st.integers(1, 8),
        st.one_of(st.none(), st.sampled_from([0.1, 0.5, 0.9])),
    ),
    max_size=6,
).map(tuple)
VIDEOS = st.lists(st.builds(VideoEvents, st.just("v"), EVENTS, EVENTS, st.just(60.0)), max_size=3)


@given(VIDEOS)
def test_a_lower_threshold_never_finds_or_alarms_less(videos: list[VideoEvents]) -> None:
    matched = match_videos(videos, 0.3)
    steps = [counts(matched, score) for score in (0.95, 0.9, 0.5, 0.1, None)]
    for higher, lower in pairwise(steps):
        assert higher.matched <= lower.matched
        assert higher.false_alarms <= lower.false_alarms
        assert higher.missed >= lower.missed


@given(VIDEOS, st.sampled_from([0.1, 0.5, 0.9]))
def test_the_threshold_is_a_point_of_the_curve(videos: list[VideoEvents], score: float) -> None:
    # Matching only what is shown gives the same counts as matching all and hiding some.
    shown = [
        VideoEvents(v.video, tuple(e for e in v.found if e.rank_score >= score), v.truth, 60.0)
        for v in videos
    ]
    assert counts(match_videos(shown, 0.3)) == counts(match_videos(videos, 0.3), score)


@given(VIDEOS)
def test_false_alarms_after_all_others_leave_average_precision(videos: list[VideoEvents]) -> None:
    far = event("a", 500, 510, 0.01)
    longer = [VideoEvents(v.video, (*v.found, far), v.truth, 60.0) for v in videos]
    before = type_average_precision(match_videos(videos, 0.3), "a")
    assert type_average_precision(match_videos(longer, 0.3), "a") == before
