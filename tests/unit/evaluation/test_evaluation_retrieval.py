"""Ranked moments against true ones on worked-out cases."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import InputError
from sopilot.core.rates import Share
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.retrieval import (
    Grounding,
    Judged,
    Moment,
    coverage_at,
    first_rank_at,
    hit_rate_at,
    judge,
    mean_average_precision,
    mean_first_tiou,
    mean_reciprocal_rank,
    ndcg_at,
)

# Three questions: both relevant items at ranks 2 and 4; the only one first; none of one found.
BOTH = Judged("both", (None, "a", None, "b"), {"a": 1.0, "b": 1.0})
FIRST = Judged("first", ("a", None), {"a": 1.0})
NEVER = Judged("never", (None, None), {"a": 1.0})
UNANSWERABLE = Judged("unanswerable", (None,), {})
QUESTIONS = [BOTH, FIRST, NEVER, UNANSWERABLE]


def test_average_precision_is_of_the_ranks_of_what_is_relevant() -> None:
    found = mean_average_precision(QUESTIONS)
    assert found == pytest.approx(((1 / 2 + 2 / 4) / 2 + 1.0 + 0.0) / 3)
    assert mean_average_precision([UNANSWERABLE]) is None


@pytest.mark.parametrize(
    ("k", "hit_rate", "coverage"),
    [
        (1, Share(1, 3), 1 / 3),
        (2, Share(2, 3), (1 / 2 + 1) / 3),
        (3, Share(2, 3), (1 / 2 + 1) / 3),
        (4, Share(2, 3), 2 / 3),
        (99, Share(2, 3), 2 / 3),
    ],
)
def test_both_recalls(k: int, hit_rate: Share, coverage: float) -> None:
    assert hit_rate_at(QUESTIONS, k) == hit_rate
    assert coverage_at(QUESTIONS, k) == pytest.approx(coverage)


def test_mean_reciprocal_rank() -> None:
    assert mean_reciprocal_rank(QUESTIONS) == pytest.approx((1 / 2 + 1 + 0) / 3)


@pytest.mark.parametrize(
    ("ranked", "grades", "k", "expected"),
    [
        (("a", "b"), {"a": 1.0, "b": 1.0}, 2, 1.0),
        ((None, "a"), {"a": 1.0}, 2, 1 / math.log2(3)),
        ((None, "a"), {"a": 1.0}, 1, 0.0),
        # (1 + 3 / log2 3) / (3 + 1 / log2 3)
        (("low", "high"), {"low": 1.0, "high": 3.0}, 2, 0.796708),
        # More relevant items than places: a full list is best possible.
        (("a",), {"a": 1.0, "b": 1.0}, 1, 1.0),
        # An item found again brings no more: 1 / (1 + 1 / log2 3).
        (("a", "a"), {"a": 1.0, "b": 1.0}, 2, 0.613147),
        ((), {"a": 1.0}, 3, 0.0),
    ],
)
def test_ndcg(
    ranked: tuple[str | None, ...], grades: dict[str, float], k: int, expected: float
) -> None:
    assert ndcg_at([Judged("q", ranked, grades)], k) == pytest.approx(expected, abs=5e-6)


def test_questions_without_anything_relevant_count_nowhere() -> None:
    assert hit_rate_at([UNANSWERABLE], 5) == Share(0, 0)
    assert coverage_at([UNANSWERABLE], 5) is None
    assert mean_reciprocal_rank([UNANSWERABLE]) is None
    assert ndcg_at([UNANSWERABLE], 5) is None
    unasked = Grounding("q", (Moment("v", TimeSpan(0, 10)),), ())
    assert (first_rank_at([unasked], 0.5), mean_first_tiou([unasked])) == (Share(0, 0), None)


def moment(start: float, end: float, video: str = "v", grade: float = 1.0) -> Moment:
    return Moment(video, TimeSpan(start, end), grade)


GROUNDINGS = [
    Grounding("whole", (moment(10, 20),), (moment(10, 20),)),  # 1
    Grounding("part", (moment(15, 25), moment(10, 20)), (moment(10, 20),)),  # 1/3, only the first
    Grounding("second", (moment(0, 6),), (moment(50, 60), moment(0, 10))),  # 0.6 with the nearer
    Grounding("elsewhere", (moment(10, 20, "w"),), (moment(10, 20),)),  # another video: 0
    Grounding("nothing", (), (moment(10, 20),)),  # 0
]


@pytest.mark.parametrize(
    ("least_tiou", "expected"), [(0.3, 3), (0.5, 2), (0.6, 2), (0.7, 1), (1.0, 1)]
)
def test_first_rank_at_a_tiou(least_tiou: float, expected: int) -> None:
    assert first_rank_at(GROUNDINGS, least_tiou) == Share(expected, 5)


def test_mean_tiou_of_the_first_counts_nothing_found_as_0() -> None:
    assert mean_first_tiou(GROUNDINGS) == pytest.approx((1 + 1 / 3 + 0.6) / 5)


def test_a_true_moment_is_found_only_once() -> None:
    question = Grounding(
        "q",
        (moment(0, 9), moment(100, 110), moment(0, 10), moment(40, 50)),
        (moment(0, 10, grade=2.0), moment(40, 51)),
    )
    judged = judge(question, 0.5)
    assert judged == Judged("q", ("0", None, None, "1"), {"0": 2.0, "1": 1.0})
    assert judged.gains == (2.0, 0.0, 0.0, 1.0)


def test_a_found_moment_stands_for_the_true_one_it_overlaps_most() -> None:
    question = Grounding("q", (moment(0, 10),), (moment(0, 6), moment(1, 10)))
    assert judge(question, 0.5).ranked == ("1",)
    assert judge(question, 0.95).ranked == (None,)


def test_refuses_what_cannot_be_judged() -> None:
    with pytest.raises(InputError, match="least_tiou"):
        judge(GROUNDINGS[0], 0.0)
    with pytest.raises(InputError, match="least_tiou"):
        first_rank_at(GROUNDINGS, 1.1)
    with pytest.raises(InputError, match="grade"):
        moment(0, 1, grade=0.0)
    with pytest.raises(InputError, match="grades"):
        Judged("q", (), {"a": -1.0})
    for figure in (hit_rate_at, coverage_at, ndcg_at):
        with pytest.raises(InputError, match="k must"):
            figure(QUESTIONS, 0)


NAMES = st.sampled_from("abcde")
JUDGED = st.builds(
    Judged,
    st.just("q"),
    st.lists(st.one_of(st.none(), NAMES), max_size=8).map(tuple),
    st.dictionaries(NAMES, st.sampled_from([1.0, 2.0, 3.0]), min_size=1),
)


@given(st.lists(JUDGED, min_size=1, max_size=5), st.integers(1, 8))
def test_recalls_grow_with_k_and_a_hit_comes_before_full_coverage(
    questions: list[Judged], k: int
) -> None:
    hit, more_hit = hit_rate_at(questions, k), hit_rate_at(questions, k + 1)
    covered, more_covered = coverage_at(questions, k), coverage_at(questions, k + 1)
    assert covered is not None
    assert more_covered is not None
    assert hit.ratio is not None
    assert hit.hits <= more_hit.hits
    assert 0.0 <= covered <= more_covered
    assert covered <= hit.ratio + 1e-12
    rank = mean_reciprocal_rank(questions)
    assert rank is not None
    assert hit_rate_at(questions, 1).hits / len(questions) <= rank <= 1.0


@given(JUDGED, st.integers(1, 8))
def test_only_the_best_order_has_the_whole_gain(question: Judged, k: int) -> None:
    gained = ndcg_at([question], k)
    assert gained is not None
    assert 0.0 <= gained <= 1.0 + 1e-12
    order = sorted(question.grades, key=lambda name: -question.grades[name])
    assert ndcg_at([Judged("q", tuple(order), question.grades)], k) == pytest.approx(1.0)
    best = [question.grades[name] for name in order][:k]
    padded = [*question.gains, *[0.0] * k][: len(best)]
    assert (gained > 1.0 - 1e-9) == (padded == best)
