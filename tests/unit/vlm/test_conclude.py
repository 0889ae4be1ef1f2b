"""From answers about windows to events: worked cases, and what must hold for any answers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.timespan import TimeSpan
from sopilot.vlm.answers import (
    ShownFrame,
    WindowAnswer,
    answer_of,
    answer_record,
    unchecked_spans,
)
from sopilot.vlm.conclude import ENTER, SAME_IOU, STAY, conclude, edge_windows, smoothed

WINDOW_SEC = 1.5


def windows(scores: Sequence[float | None], kind: str = "FALL") -> list[WindowAnswer]:
    """A window per score; None = not checked."""
    return [
        WindowAnswer(
            index,
            TimeSpan(index * WINDOW_SEC, (index + 1) * WINDOW_SEC),
            (ShownFrame(index * WINDOW_SEC, "0" * 64),),
            {} if score is None else {kind: score},
            caption=f"window {index}",
            attempts=1,
            error_code=None if score is not None else "MODEL_REPLY",
        )
        for index, score in enumerate(scores)
    ]


def spans(scores: Sequence[float | None]) -> list[list[float]]:
    return [event.span.as_list() for event in conclude(windows(scores))]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0, 0, 0, 0], []),
        ([0, 0, 1, 0, 0], [[3.0, 4.5]]),  # a lone clear yes is an event
        ([0, 0, 0.6, 0, 0], []),  # a lone doubtful one is not
        ([0, 0.6, 0.6, 0.6, 0], [[1.5, 6.0]]),  # three that agree are
        ([0, 1, 0.3, 1, 0], [[1.5, 6.0]]),  # a dip inside does not part an event
        ([0, 1, 1, 0, 0, 0, 1, 0], [[1.5, 4.5], [9.0, 10.5]]),
        ([0, 1, None, 1, 0], [[1.5, 3.0], [4.5, 6.0]]),  # nobody looked between the two
        ([None, None], []),
        ([], []),
    ],
)
def test_events_of_scores(scores: list[float | None], expected: list[list[float]]) -> None:
    assert spans(scores) == expected


def test_an_event_is_told_by_the_window_that_shows_it_best() -> None:
    (event,) = conclude(windows([0, 0.8, 1.0, 0.8, 0]))
    assert event.description == "window 2"
    assert event.highlight.as_list() == [3.0, 4.5]
    assert event.score == pytest.approx(0.7 + 0.2 * 0.8 + 0.1 * 1.0)


def test_two_types_of_one_span_are_one_event_of_the_stronger_type() -> None:
    answers = windows([0, 1, 0])
    both = [
        WindowAnswer(a.index, a.span, a.frames, {**a.scores, "CRASH": 0.9 * a.scores["FALL"]})
        for a in answers
    ]
    (event,) = conclude(both)
    assert (event.event_type, event.also) == ("FALL", ("CRASH",))


def test_a_similar_window_elsewhere_lends_weight() -> None:
    plain = windows([0, 0.6, 0, 0, 0, 1.0, 0])
    assert len(conclude(plain)) == 1
    like = WindowAnswer(1, plain[1].span, (), {"FALL": 0.6}, likeness=((5, 1.0),))
    assert smoothed([plain[0], like, *plain[2:]], "FALL")[1] == pytest.approx(0.52)
    assert len(conclude([plain[0], like, *plain[2:]])) == 2


def test_edges_move_to_the_halves_that_show_the_event() -> None:
    answers = windows([0, 1, 1, 0])
    assert edge_windows(answers) == [1, 2]
    halves = [
        WindowAnswer(index, TimeSpan(0.75 * index, 0.75 * (index + 1)), (), {"FALL": score})
        for index, score in ((2, 0.0), (3, 0.9), (4, 1.0), (5, 0.1))
    ]
    (event,) = conclude(answers, halves)
    assert event.span.as_list() == [2.25, 3.75]
    assert event.highlight.as_list() == [2.25, 3.0]


def test_an_edge_moves_to_the_cut_inside_its_window() -> None:
    (event,) = conclude(windows([0, 1, 1, 0]), cuts_sec=[2.0])
    assert event.span.as_list() == [2.0, 4.5]


def test_no_more_events_than_asked_for_and_the_strongest_stay() -> None:
    scores = [0, 0.8, 0, 0, 1, 0, 0, 0.9, 0, 0]
    found = conclude(windows(scores), most=2)
    assert [event.span.start_sec for event in found] == [6.0, 10.5]


def test_what_nobody_looked_at_is_told_with_its_reason() -> None:
    answers = windows([0, None, None, 0, None])
    found = [(span.as_list(), code) for span, code in unchecked_spans(answers)]
    assert found == [([1.5, 4.5], "MODEL_REPLY"), ([6.0, 7.5], "MODEL_REPLY")]


scores_of = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=25)


@given(scores_of)
def test_events_lie_in_the_video_in_order_and_apart(scores: list[float | None]) -> None:
    found = conclude(windows(scores), most=100)
    for event in found:
        assert 0 <= event.span.start_sec < event.span.end_sec <= WINDOW_SEC * len(scores)
        assert event.span.start_sec <= event.highlight.start_sec
        assert event.highlight.end_sec <= event.span.end_sec
        assert ENTER <= event.score <= 1
    for one, two in itertools.pairwise(found):
        assert one.span.end_sec <= two.span.start_sec


@given(scores_of)
def test_an_unchecked_window_is_never_an_event(scores: list[float | None]) -> None:
    covered = [event.span for event in conclude(windows(scores), most=100)]
    for answer in windows(scores):
        if not answer.is_checked:
            assert all(span.overlap_sec(answer.span) == 0 for span in covered)


@given(scores_of)
def test_answers_survive_the_way_through_json(scores: list[float | None]) -> None:
    answers = windows(scores)
    again = [answer_of(json.loads(json.dumps(answer_record(a)))) for a in answers]
    assert again == answers
    assert conclude(again) == conclude(answers)


def test_the_thresholds_leave_a_gap() -> None:
    assert STAY < ENTER


def distinct_by_comparing_all(answers: Sequence[WindowAnswer]) -> list[tuple[str, list[float]]]:
    """The rule as it is told: every run against every kept one."""
    runs = [
        (event.score, event.event_type, event.span)
        for name in ("A", "B")
        for event in conclude(
            [replace(answer, scores={name: answer.scores[name]}) for answer in answers], most=10_000
        )
    ]
    kept: list[tuple[float, str, TimeSpan]] = []
    for run in sorted(runs, key=lambda item: (-item[0], item[1], item[2])):
        if all(run[2].iou(other[2]) < SAME_IOU for other in kept):
            kept.append(run)
    return sorted((name, span.as_list()) for _, name, span in kept)


@given(
    st.lists(st.tuples(*[st.sampled_from([0.0, 0.4, 0.7, 1.0])] * 2), max_size=40), st.booleans()
)
def test_types_of_one_span_are_told_apart_as_if_all_were_compared(
    scores: list[tuple[float, float]], is_overlapping: bool
) -> None:
    length_sec = 4.0 if is_overlapping else 1.0
    answers = [
        WindowAnswer(i, TimeSpan(i, i + length_sec), (), {"A": a, "B": b})
        for i, (a, b) in enumerate(scores)
    ]
    found = [(event.event_type, event.span.as_list()) for event in conclude(answers, most=10_000)]
    assert sorted(found) == distinct_by_comparing_all(answers)


def test_only_events_that_are_reported_are_looked_at_closer() -> None:
    answers = windows([1, 0, 0, 0] * 500)
    asked_again = edge_windows(answers, most=10)
    assert len(asked_again) <= 3 * 10
    reported = conclude(answers, most=10)
    assert {answers[i].span.start_sec for i in asked_again} == {e.span.start_sec for e in reported}


def test_a_day_of_windows_is_concluded_in_near_linear_work() -> None:
    """Counted, not timed: spans compared with each other."""
    answers = [
        WindowAnswer(i, TimeSpan(i, i + 1), (), {"A": float(i % 4 == 0), "B": float(i % 5 == 0)})
        for i in range(4000)
    ]
    compared = 0
    plain = TimeSpan.iou

    def counted(one: TimeSpan, other: TimeSpan) -> float:
        nonlocal compared
        compared += 1
        return plain(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimeSpan, "iou", counted)
        assert len(conclude(answers, most=5000)) == 1600
    assert compared <= 2 * len(answers)
