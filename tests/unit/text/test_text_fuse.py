"""Reciprocal rank fusion: worked numbers, and what a better place must do."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.core.errors import InputError
from sopilot.text.fuse import fuse

RANKINGS = st.lists(st.lists(st.integers(0, 9), max_size=8, unique=True), min_size=1, max_size=4)


def test_shares_of_all_rankings_add_up() -> None:
    # b: 1/62 + 1/61 = 0.032522; a: 1/61 = 0.016393; c: 1/62 = 0.016129
    assert fuse([["a", "b"], ["b", "c"]]) == [
        ("b", pytest.approx(0.032522, abs=1e-6)),
        ("a", pytest.approx(0.016393, abs=1e-6)),
        ("c", pytest.approx(0.016129, abs=1e-6)),
    ]


def test_weights_and_k_change_the_shares() -> None:
    # k = 1: a 3/2 + 1/3 = 1.833333, b 3/3 + 1/2 = 1.5
    fused = fuse([["a", "b"], ["b", "a"]], k=1, weights=[3.0, 1.0])
    assert fused == [("a", pytest.approx(1.833333, abs=1e-6)), ("b", pytest.approx(1.5))]


def test_ties_stand_in_the_order_of_their_keys() -> None:
    assert [key for key, _ in fuse([["b", "a"], ["a", "b"], ["c"]])] == ["a", "b", "c"]


def test_a_repeated_key_counts_at_its_better_place_and_takes_no_other() -> None:
    assert fuse([["a", "a", "b", "a"]]) == fuse([["a", "b"]])


def test_a_ranking_without_weight_takes_no_part() -> None:
    assert fuse([["a"], ["b"]], weights=[1.0, 0.0]) == fuse([["a"]])


def test_nothing_fuses_to_nothing() -> None:
    nothing: list[list[int]] = [[], []]
    assert fuse(nothing) == []
    assert fuse(nothing[:0]) == []


@pytest.mark.parametrize(
    ("k", "weights"),
    [
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        (60, [1.0]),
        (60, [1.0, 1.0, 1.0]),
        (60, [1.0, -0.5]),
        (60, [1.0, float("nan")]),
    ],
)
def test_bad_parameters_are_refused(k: float, weights: list[float] | None) -> None:
    with pytest.raises(InputError):
        fuse([["a"], ["b"]], k=k, weights=weights)


@settings(max_examples=150, deadline=None)
@given(RANKINGS)
def test_every_key_comes_out_once_and_in_order_of_score(rankings: list[list[int]]) -> None:
    fused = fuse(rankings)
    assert sorted(key for key, _ in fused) == sorted({key for one in rankings for key in one})
    assert fused == sorted(fused, key=lambda pair: (-pair[1], pair[0]))
    assert all(0 < score <= len(rankings) / 61 for _, score in fused)


@settings(max_examples=150, deadline=None)
@given(RANKINGS, st.randoms(use_true_random=False))
def test_the_order_of_the_rankings_changes_nothing(
    rankings: list[list[int]], chance: random.Random
) -> None:
    mixed = list(rankings)
    chance.shuffle(mixed)
    assert fuse(mixed) == fuse(rankings)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=8, unique=True), st.integers(1, 5))
def test_one_ranking_however_often_keeps_its_order(ranking: list[int], times: int) -> None:
    assert [key for key, _ in fuse([ranking] * times)] == ranking


@settings(max_examples=150, deadline=None)
@given(RANKINGS, st.data())
def test_a_better_place_never_costs_a_place(rankings: list[list[int]], data: st.DataObject) -> None:
    movable = [i for i, one in enumerate(rankings) if len(one) > 1]
    if not movable:
        return
    index = data.draw(st.sampled_from(movable))
    place = data.draw(st.integers(1, len(rankings[index]) - 1))
    raised = [list(one) for one in rankings]
    key = raised[index].pop(place)
    raised[index].insert(place - 1, key)
    before = [one for one, _ in fuse(rankings)].index(key)
    assert [one for one, _ in fuse(raised)].index(key) <= before
