"""Candidate edits: each one is the change of the order that its kind says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.align.edits import Candidate, Prices, Runs, candidates, foreign_run, run_candidates

PRICES = Prices(edit=14.0, swap=1.0, move=4.0, insert=3.0, replace=6.0, further_step=3.0)
RUNS = st.builds(lambda a, b: Runs(min(a, b), max(a, b)), st.integers(1, 4), st.integers(1, 4))
ORDERS = st.lists(st.integers(0, 9), min_size=1, max_size=9).map(tuple)


def changed(order: tuple[int, ...], edit: Candidate) -> tuple[int, ...]:
    return (*order[: edit.head], *edit.middle, *order[edit.tail :])


def by_kind(listed: list[Candidate], kind: str) -> list[Candidate]:
    return [edit for edit in listed if edit.kind == kind]


@settings(max_examples=40, deadline=None)
@given(ORDERS, RUNS)
def test_a_run_is_left_out_whole_and_never_everything(order: tuple[int, ...], runs: Runs) -> None:
    listed = by_kind(list(run_candidates(order, PRICES, runs)), "delete")
    n = len(order)
    spans = {(a, b) for a in range(n) for b in range(a + runs.shortest, n + 1) if b - a < n}
    assert {(edit.first, edit.second) for edit in listed} == spans
    for edit in listed:
        assert changed(order, edit) == order[: edit.first] + order[edit.second :]
        assert edit.price == 14.0 + 3.0 * (edit.second - edit.first - 1)


@settings(max_examples=40, deadline=None)
@given(ORDERS, RUNS)
def test_an_exchange_puts_two_neighbouring_runs_the_other_way(
    order: tuple[int, ...], runs: Runs
) -> None:
    for edit in by_kind(list(run_candidates(order, PRICES, runs)), "exchange"):
        one, other = order[edit.head : edit.second], order[edit.second : edit.tail]
        assert edit.first == edit.head
        assert runs.shortest <= min(len(one), len(other))
        assert max(len(one), len(other)) <= runs.longest
        assert changed(order, edit) == order[: edit.head] + other + one + order[edit.tail :]
        assert edit.price == 18.0


@pytest.mark.parametrize(
    ("length", "runs", "count"),
    [(3, Runs(2, 6), 0), (4, Runs(2, 6), 1), (5, Runs(2, 6), 4), (5, Runs(2, 2), 2)],
)
def test_every_two_neighbouring_runs_are_tried(length: int, runs: Runs, count: int) -> None:
    listed = list(run_candidates(tuple(range(length)), PRICES, runs))
    assert len(by_kind(listed, "exchange")) == count


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_foreign_run_stands_before_a_place_or_in_it(data: st.DataObject) -> None:
    order = data.draw(ORDERS)
    start = data.draw(st.integers(0, 7))
    run = range(start, data.draw(st.integers(start + 1, 9)))
    places = range(len(order) + 1)
    listed = list(foreign_run(order, run, places, PRICES))
    assert {edit.kind for edit in listed} <= {"insert", "replace"}
    assert [edit.head for edit in by_kind(listed, "insert")] == list(places)
    for edit in listed:
        assert edit.middle == tuple(run)
        assert (edit.first, edit.second) == (edit.head, edit.tail)
        base = 17.0 if edit.kind == "insert" else 20.0
        assert edit.price == pytest.approx(base + 0.3 * (len(run) - 1))


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_run_replaces_about_as_many_slots(length: int) -> None:
    listed = list(foreign_run(tuple(range(12)), range(20, 20 + length), range(5, 6), PRICES))
    taken = [edit.tail - edit.head for edit in by_kind(listed, "replace")]
    assert taken == [count for count in (length - 1, length, length + 1) if count]


def test_a_run_does_not_replace_itself() -> None:
    listed = by_kind(list(foreign_run(tuple(range(8)), range(3, 5), range(9), PRICES)), "replace")
    assert all(changed(tuple(range(8)), edit) != tuple(range(8)) for edit in listed)
    assert (3, 5) not in {(edit.head, edit.tail) for edit in listed}


def test_a_single_replacement_is_about_its_own_slot() -> None:
    listed = by_kind(list(candidates((0, 1, 2), 4, Prices(), reach=12)), "replace")
    assert {(edit.first, edit.second) for edit in listed} == {(0, 1), (1, 2), (2, 3)}
    assert all(edit.middle[0] != edit.first for edit in listed)
