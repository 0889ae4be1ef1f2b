"""Where no step is marked: runs of short slots that are missing, exchanged, repeated or foreign."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.align.chain import Table, cumulate, prefix_tables
from sopilot.align.edits import Prices, Runs, foreign_run, run_candidates
from sopilot.align.search import (
    AcceptedEdit,
    Classes,
    OrderSearch,
    evaluate,
    search_order,
)

CLIPS = 6
PRICES = Prices(edit=14.0, move=4.0, insert=4.0, replace=6.0)
RUNS = Runs(2, 6)


def classes_of(count: int) -> Classes:
    """Chunks of one class each, at least two clips long."""
    return Classes(tuple((k,) for k in range(count)), np.full(count, 2))


def shown(order: Sequence[int], count: int) -> Table:
    """Clear log evidence of an execution of `order`, six clips per chunk."""
    truth = np.repeat(order, CLIPS)
    evidence = np.full((len(truth), count), -6.0)
    evidence[np.arange(len(truth)), truth] = -0.1
    return cumulate(evidence)


def found_in(order: Sequence[int], count: int) -> OrderSearch:
    return search_order(shown(order, count), classes_of(count), PRICES, runs=RUNS)


def told(edits: Sequence[AcceptedEdit]) -> list[tuple[str, list[int], list[int]]]:
    return [(edit.kind, list(edit.steps), list(edit.shown)) for edit in edits]


def span(first: int, stop: int) -> list[int]:
    return list(range(first, stop))


def steps_of(found: OrderSearch) -> list[int]:
    return [slot.step for slot in found.slots]


def value_of(sums: Table, classes: Classes, order: Sequence[int]) -> float:
    """Evidence of one order by the chain alone."""
    chain = np.array([k for step in order for k in classes.parts[step]])
    return float(prefix_tables(sums, chain, classes.shortest[chain])[-1, -1])


@settings(max_examples=12, deadline=None)
@given(st.integers(2, 14))
def test_nothing_changed_needs_no_edit(count: int) -> None:
    found = found_in(span(0, count), count)
    assert found.edits == ()
    assert found.spare == 0.0
    assert list(found.cuts) == [CLIPS * k for k in range(count + 1)]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_missing_run_is_one_deletion_of_exactly_its_chunks(data: st.DataObject) -> None:
    count = data.draw(st.integers(5, 12))
    length = data.draw(st.integers(2, count // 2))
    first = data.draw(st.integers(0, count - length))
    order = span(0, first) + span(first + length, count)
    found = found_in(order, count)
    assert told(found.edits) == [("delete", span(first, first + length), [])]
    assert steps_of(found) == order
    assert all(slot.edit is None for slot in found.slots)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_two_neighbouring_runs_the_other_way_are_one_exchange(data: st.DataObject) -> None:
    one, other = data.draw(st.integers(2, 5)), data.draw(st.integers(2, 5))
    first = data.draw(st.integers(0, 3))
    middle, last = first + one, first + one + other
    count = last + data.draw(st.integers(0, 3))
    order = span(0, first) + span(middle, last) + span(first, middle) + span(last, count)
    found = found_in(order, count)
    assert told(found.edits) == [("exchange", span(first, middle), span(middle, last))]
    assert steps_of(found) == order
    assert [slot.edit for slot in found.slots[first:last]] == [0] * (one + other)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_run_shown_again_later_is_one_insertion(data: st.DataObject) -> None:
    count = data.draw(st.integers(6, 14))
    first = data.draw(st.integers(0, count - 3))
    stop = data.draw(st.integers(first + 2, min(count - 1, first + 6)))
    again = data.draw(st.integers(stop + 1, count))
    order = span(0, again) + span(first, stop) + span(again, count)
    found = found_in(order, count)
    assert told(found.edits) == [("insert", span(first, stop), [])]
    assert steps_of(found) == order


@pytest.mark.parametrize(("first", "stop"), [(0, 3), (2, 4), (4, 9), (7, 12)])
def test_a_run_shown_twice_in_a_row_is_one_insertion(first: int, stop: int) -> None:
    # A chunk beside it may count as shown twice: the same pictures, cut elsewhere.
    order = span(0, stop) + span(first, 12)
    found = found_in(order, 12)
    assert [edit.kind for edit in found.edits] == ["insert"]
    assert set(span(first, stop)) <= set(found.edits[0].steps)
    assert len(found.edits[0].steps) <= stop - first + 1
    assert found.evidence == pytest.approx(value_of(shown(order, 12), classes_of(12), order))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_another_run_shown_instead_is_one_replacement(data: st.DataObject) -> None:
    count, length = data.draw(st.integers(12, 15)), data.draw(st.integers(2, 3))
    gone = data.draw(st.integers(0, count - length))
    free = [k for k in range(count - length + 1) if abs(k - gone) > length]
    instead = data.draw(st.sampled_from(free))
    there = span(instead, instead + length)
    order = span(0, gone) + there + span(gone + length, count)
    found = found_in(order, count)
    assert told(found.edits) == [("replace", span(gone, gone + length), there)]
    assert steps_of(found) == order


@pytest.mark.parametrize(("taken", "there"), [(3, 2), (2, 3), (4, 3), (3, 4)])
def test_a_replacement_may_be_a_chunk_shorter_or_longer(taken: int, there: int) -> None:
    order = span(0, 8) + span(1, 1 + there) + span(8 + taken, 14)
    found = found_in(order, 14)
    assert told(found.edits) == [("replace", span(8, 8 + taken), span(1, 1 + there))]
    assert steps_of(found) == order


def test_a_longer_missing_run_is_still_one_deletion() -> None:
    found = found_in(span(0, 3) + span(10, 18), 18)
    assert told(found.edits) == [("delete", span(3, 10), [])]


@pytest.mark.parametrize(
    "order",
    [span(0, 12) + span(2, 10) + span(12, 14), span(0, 14) + span(5, 13)],
    ids=["in between", "at the end"],
)
def test_a_repeated_run_beyond_the_longest_is_several_insertions(order: list[int]) -> None:
    found = found_in(order, 14)
    repeated = {step for step in range(14) if order.count(step) == 2}
    assert len(found.edits) >= 2
    assert {edit.kind for edit in found.edits} == {"insert"}
    assert {step for edit in found.edits for step in edit.steps} == repeated
    assert found.evidence == pytest.approx(value_of(shown(order, 14), classes_of(14), order))


def test_exchanged_runs_beyond_the_longest_take_several_edits() -> None:
    order = span(8, 14) + span(0, 8)
    found = found_in(order, 14)
    assert len(found.edits) >= 2
    assert steps_of(found) == order


@pytest.mark.parametrize(
    "order",
    [
        span(0, 3) + span(6, 14) + span(2, 5),
        span(3, 6) + span(0, 3) + span(6, 11),
        span(0, 4) + span(8, 12) + span(4, 8) + span(12, 14) + span(0, 3),
    ],
)
def test_two_changes_are_found_one_after_the_other(order: list[int]) -> None:
    found = found_in(order, 14)
    assert len(found.edits) == 2
    assert steps_of(found) == order


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 3))
def test_found_evidence_is_that_of_the_found_order(seed: int, strength: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 8))
    evidence = rng.normal(0, 2 + 2 * strength, (30, count))
    sums, classes = cumulate(evidence), classes_of(count)
    found = search_order(sums, classes, PRICES, runs=RUNS)
    pieces = zip(steps_of(found), found.cuts[:-1], found.cuts[1:], strict=True)
    assert found.evidence == pytest.approx(value_of(sums, classes, steps_of(found)))
    assert found.evidence == pytest.approx(sum(evidence[a:b, k].sum() for k, a, b in pieces))
    assert (np.diff(found.cuts) >= 2).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(4, 6))
def test_every_candidate_is_worth_what_its_order_is_worth(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    sums, classes, order = cumulate(rng.normal(size=(22, count))), classes_of(count), span(0, count)
    start = int(rng.integers(0, count - 2))
    listed = [
        *run_candidates(tuple(order), PRICES, RUNS),
        *foreign_run(tuple(order), range(start, start + 2), range(count + 1), PRICES),
    ]
    for edit, value in zip(listed, evaluate(sums, classes, order, listed), strict=True):
        changed = [*order[: edit.head], *edit.middle, *order[edit.tail :]]
        assert value == pytest.approx(value_of(sums, classes, changed))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_gains_are_beyond_their_prices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    order = [int(k) for k in rng.integers(0, 6, 7)]
    sums, classes = shown(order, 6), classes_of(6)
    found = search_order(sums, classes, PRICES, runs=RUNS)
    gained = sum(edit.gain for edit in found.edits)
    assert found.evidence == pytest.approx(value_of(sums, classes, span(0, 6)) + gained)
    assert all(edit.gain > PRICES.edit for edit in found.edits)
    assert found.spare <= PRICES.edit


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=6, max_size=9), st.integers(2, 3), st.integers(3, 4))
def test_edits_keep_to_the_lengths_of_runs(order: list[int], shortest: int, longest: int) -> None:
    runs = Runs(shortest, longest)
    found = search_order(shown(order, 8), classes_of(8), PRICES, runs=runs)
    for edit in found.edits:
        taken = {"exchange": [edit.steps, edit.shown], "replace": [edit.shown]}
        lengths = [len(run) for run in taken.get(edit.kind, [edit.steps])]
        assert min(lengths) >= shortest
        assert edit.kind == "delete" or max(lengths) <= longest


FEW = [order for count in (1, 2, 3) for order in permutations(range(count))]


@pytest.mark.parametrize("order", FEW, ids=str)
def test_few_chunks_are_searched_as_well(order: tuple[int, ...]) -> None:
    found = found_in(order, len(order))
    assert len(found.cuts) == len(found.slots) + 1
    if list(order) == span(0, len(order)):
        assert found.edits == ()
