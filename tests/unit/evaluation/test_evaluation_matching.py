"""One-to-one matching of found and true events by type."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import InputError
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.matching import (
    Matching,
    Pair,
    TimedEvent,
    VideoEvents,
    match_events,
    match_videos,
)


def event(kind: str, start: float, end: float, score: float | None = None) -> TimedEvent:
    return TimedEvent(kind, TimeSpan(start, end), score)


def pairs(matching: Matching) -> list[tuple[int, int]]:
    return [(pair.found_index, pair.truth_index) for pair in matching.pairs]


FIGHT = event("fight", 10, 20)
CRASH = event("crash", 30, 40)


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ([event("fight", 10, 20, 0.9)], [FIGHT], [(0, 0)]),
        # Two alarms on one truth: the surer one meets it, though the other fits better.
        ([event("fight", 10, 20, 0.4), event("fight", 12, 20, 0.9)], [FIGHT], [(1, 0)]),
        # Of equally sure ones the better placed one does, in whatever order they are told.
        ([event("fight", 12, 20, 0.9), event("fight", 10, 20, 0.9)], [FIGHT], [(1, 0)]),
        ([event("fight", 10, 20, 0.9), event("fight", 12, 20, 0.9)], [FIGHT], [(0, 0)]),
        # The right span with the wrong type is nobody's.
        ([event("crash", 10, 20, 0.9)], [FIGHT], []),
        # 5 s of 15 s overlap: tIoU 1/3 < 0.5; 8 s of 12 s: 2/3.
        ([event("fight", 15, 25)], [FIGHT], []),
        ([event("fight", 12, 22)], [FIGHT], [(0, 0)]),
        # The best free truth, not the first: tIoU 0.5 against 0.8.
        ([event("fight", 10, 20)], [event("fight", 10, 15), event("fight", 12, 20)], [(0, 1)]),
        # The best one is taken, so the second best serves.
        (
            [event("fight", 0, 10, 0.9), event("fight", 0, 10, 0.8)],
            [event("fight", 0, 10), event("fight", 0, 8)],
            [(0, 0), (1, 1)],
        ),
        # An event without a score cannot be hidden by a threshold and comes first.
        ([event("fight", 10, 20, 0.9), event("fight", 12, 20)], [FIGHT], [(1, 0)]),
        ([], [FIGHT, CRASH], []),
        ([FIGHT, CRASH], [], []),
        ([], [], []),
    ],
)
def test_hand_made_cases(
    found: list[TimedEvent], truth: list[TimedEvent], expected: list[tuple[int, int]]
) -> None:
    assert pairs(match_events(found, truth, 0.5)) == expected


def test_the_wrong_type_is_a_false_alarm_and_a_miss() -> None:
    alarm = event("crash", 10, 20, 0.9)
    matching = match_events([alarm], [FIGHT], 0.5)
    assert (matching.false_alarms, matching.misses) == ((alarm,), (FIGHT,))


def test_a_second_alarm_on_one_truth_is_a_false_alarm() -> None:
    sure, unsure = event("fight", 10, 20, 0.9), event("fight", 10, 20, 0.8)
    matching = match_events([unsure, sure], [FIGHT], 0.5)
    assert matching.pairs == (Pair(1, 0, 1.0),)
    assert (matching.false_alarms, matching.misses) == ((unsure,), ())


def test_the_least_tiou_itself_is_enough() -> None:
    assert len(match_events([event("fight", 10, 15)], [FIGHT], 0.5).pairs) == 1
    assert len(match_events([event("fight", 10, 14.9)], [FIGHT], 0.5).pairs) == 0


@pytest.mark.parametrize(
    ("span", "tolerance_sec", "is_met"),
    [
        ((10.5, 10.5), 0.5, True),
        ((9.5, 9.5), 0.5, True),
        ((10.6, 10.6), 0.5, False),
        ((9, 11.8), 0.5, True),  # middle 10.4
        ((0, 60), 0.5, False),  # holds the instant, but says nothing of when
        ((10, 10), 0.0, True),
        ((10.1, 10.1), 0.0, False),
    ],
)
def test_an_instant_is_met_within_the_tolerance(
    span: tuple[float, float], tolerance_sec: float, is_met: bool
) -> None:
    matching = match_events([event("crash", *span)], [event("crash", 10, 10)], 0.5, tolerance_sec)
    assert matching.pairs == ((Pair(0, 0, None),) if is_met else ())


def test_a_tolerance_does_not_loosen_events_with_a_duration() -> None:
    assert match_events([event("fight", 15, 25)], [FIGHT], 0.5, 60.0).pairs == ()


def test_the_nearer_instant_is_met() -> None:
    truth = [event("crash", 10, 10), event("crash", 11, 11)]
    assert pairs(match_events([event("crash", 10.7, 10.7)], truth, 0.5, 1.0)) == [(0, 1)]


def test_videos_are_matched_by_themselves() -> None:
    alarm = event("fight", 10, 20, 0.9)
    one, other = match_videos(
        [VideoEvents("a", (alarm,), (), 60.0), VideoEvents("b", (), (FIGHT,), 30.0)], 0.5
    )
    assert (one.video, one.analysed_sec, one.matching.false_alarms) == ("a", 60.0, (alarm,))
    assert (other.video, other.matching.misses) == ("b", (FIGHT,))


@pytest.mark.parametrize("least_tiou", [0.0, -0.1, 1.1, math.nan])
def test_refuses_an_impossible_tiou(least_tiou: float) -> None:
    with pytest.raises(InputError, match="least_tiou"):
        match_events([], [], least_tiou)


@pytest.mark.parametrize("tolerance_sec", [-1.0, math.nan, math.inf])
def test_refuses_an_impossible_tolerance(tolerance_sec: float) -> None:
    with pytest.raises(InputError, match="tolerance_sec"):
        match_events([], [], 0.5, tolerance_sec)


def test_refuses_a_true_instant_that_nothing_could_meet() -> None:
    with pytest.raises(InputError, match="crash at 10 s"):
        match_events([], [event("crash", 10, 10)], 0.5)


def test_refuses_scores_and_durations_that_are_no_numbers() -> None:
    with pytest.raises(InputError, match="score"):
        event("fight", 0, 1, math.nan)
    with pytest.raises(InputError, match="analysed_sec"):
        VideoEvents("a", (), (), -1.0)


SPANS = st.tuples(st.integers(0, 12), st.integers(1, 8)).map(lambda p: (p[0], p[0] + p[1]))
SCORES = st.one_of(st.none(), st.sampled_from([0.1, 0.5, 0.5, 0.9]))
EVENTS = st.lists(
    st.builds(
        lambda kind, span, score: event(kind, *span, score), st.sampled_from("ab"), SPANS, SCORES
    ),
    max_size=6,
)
TIOU = st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0])


@given(EVENTS, EVENTS, TIOU)
def test_pairs_are_one_to_one_alike_and_near(
    found: list[TimedEvent], truth: list[TimedEvent], least_tiou: float
) -> None:
    matching = match_events(found, truth, least_tiou)
    assert len({p.found_index for p in matching.pairs}) == len(matching.pairs)
    assert len({p.truth_index for p in matching.pairs}) == len(matching.pairs)
    for pair in matching.pairs:
        one, other = found[pair.found_index], truth[pair.truth_index]
        assert one.type == other.type
        assert pair.tiou == one.span.iou(other.span) >= least_tiou
    assert len(matching.false_alarms) == len(found) - len(matching.pairs)
    assert len(matching.misses) == len(truth) - len(matching.pairs)


@given(EVENTS, EVENTS, TIOU, st.sampled_from([0.1, 0.5, 0.9]))
def test_weaker_events_change_nothing_for_stronger_ones(
    found: list[TimedEvent], truth: list[TimedEvent], least_tiou: float, threshold: float
) -> None:
    strong = [e for e in found if e.rank_score >= threshold]
    place = [index for index, e in enumerate(found) if e.rank_score >= threshold]
    alone = [(place[f], t) for f, t in pairs(match_events(strong, truth, least_tiou))]
    whole = pairs(match_events(found, truth, least_tiou))
    assert [pair for pair in whole if pair[0] in place] == alone


@given(EVENTS, EVENTS)
def test_a_stricter_tiou_never_matches_more(
    found: list[TimedEvent], truth: list[TimedEvent]
) -> None:
    sizes = [len(match_events(found, truth, tiou).pairs) for tiou in (0.1, 0.3, 0.5, 0.7, 1.0)]
    assert all(looser >= stricter for looser, stricter in pairwise(sizes))


@given(EVENTS, EVENTS, TIOU)
def test_other_names_for_the_types_change_nothing(
    found: list[TimedEvent], truth: list[TimedEvent], least_tiou: float
) -> None:
    names = {"a": "zebra", "b": "ape"}

    def renamed(events: Sequence[TimedEvent]) -> list[TimedEvent]:
        return [TimedEvent(names[e.type], e.span, e.score) for e in events]

    whole = match_events(found, truth, least_tiou)
    assert match_events(renamed(found), renamed(truth), least_tiou).pairs == whole.pairs


@given(EVENTS, EVENTS, TIOU, st.randoms(use_true_random=False))
def test_the_order_of_the_lists_changes_nothing(
    found: list[TimedEvent], truth: list[TimedEvent], least_tiou: float, chance: Random
) -> None:
    shuffled_found, shuffled_truth = list(found), list(truth)
    chance.shuffle(shuffled_found)
    chance.shuffle(shuffled_truth)

    def met(matching: Matching) -> list[tuple[TimedEvent, TimeSpan]]:
        met = [(matching.found[f], matching.truth[t].span) for f, t in pairs(matching)]
        return sorted(
            met, key=lambda pair: (pair[0].type, pair[0].rank_score, pair[0].span, pair[1])
        )

    assert met(match_events(shuffled_found, shuffled_truth, least_tiou)) == met(
        match_events(found, truth, least_tiou)
    )


def most_pairs(found: Sequence[TimedEvent], truth: Sequence[TimedEvent], least_tiou: float) -> int:
    """The most pairs that any one-to-one matching has, by trying all."""
    if not found:
        return 0
    first, rest = found[0], found[1:]
    met = [
        1 + most_pairs(rest, [*truth[:index], *truth[index + 1 :]], least_tiou)
        for index, true in enumerate(truth)
        if true.type == first.type and first.span.iou(true.span) >= least_tiou
    ]
    return max([most_pairs(rest, truth, least_tiou), *met])


@given(EVENTS.map(lambda e: e[:5]), EVENTS.map(lambda e: e[:5]), TIOU)
def test_greedy_keeps_at_least_half_of_the_pairs_possible(
    found: list[TimedEvent], truth: list[TimedEvent], least_tiou: float
) -> None:
    kept, most = (
        len(match_events(found, truth, least_tiou).pairs),
        most_pairs(found, truth, least_tiou),
    )
    assert kept <= most <= 2 * kept


def test_half_of_the_pairs_can_be_lost_where_true_events_overlap() -> None:
    # The surer alarm takes the truth that the other one needs.
    found = [event("fight", 0, 10, 0.9), event("fight", 2, 10, 0.8)]
    truth = [event("fight", 1, 10), event("fight", 0, 5)]
    assert pairs(match_events(found, truth, 0.5)) == [(0, 0)]
    assert most_pairs(found, truth, 0.5) == 2


@given(
    EVENTS,
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), max_size=5),
    st.sampled_from([0.51, 0.6, 0.9]),
)
def test_greedy_loses_nothing_where_true_events_lie_apart(
    found: list[TimedEvent], gaps: list[tuple[int, int]], least_tiou: float
) -> None:
    truth, time = [], 0
    for gap, length in gaps:
        truth.append(event("a", time + gap, time + gap + length))
        time += gap + length
    kept = len(match_events(found, truth, least_tiou).pairs)
    assert kept == most_pairs(found, truth, least_tiou)
