"""The order search finds what was done to an order, and nothing where nothing was done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.align.chain import cumulate, prefix_tables
from sopilot.align.edits import Prices, candidates
from sopilot.align.search import (
    Classes,
    OrderSearch,
    deletion_gains,
    evaluate,
    search_order,
)
from sopilot.core.errors import InsufficientClips

LENGTH = 12
PARTS = 3


def _classes(steps: int) -> Classes:
    parts = tuple(tuple(range(PARTS * k, PARTS * k + PARTS)) for k in range(steps))
    return Classes(parts, np.full(steps * PARTS, 2))


def _evidence(order: list[int], steps: int, length: int = LENGTH) -> np.ndarray:
    """Clear log evidence of an execution of `order`."""
    truth = [PARTS * k + i * PARTS // length for k in order for i in range(length)]
    evidence = np.full((len(truth), steps * PARTS), -6.0)
    evidence[np.arange(len(truth)), truth] = -0.1
    return cumulate(evidence)


def _search(order: list[int], steps: int) -> OrderSearch:
    return search_order(_evidence(order, steps), _classes(steps), Prices())


@settings(max_examples=7, deadline=None)
@given(st.integers(1, 7))
def test_expected_order_needs_no_edit(steps: int) -> None:
    found = _search(list(range(steps)), steps)
    assert found.edits == ()
    assert found.spare == 0.0
    assert list(found.cuts) == [LENGTH * k for k in range(steps + 1)]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_dropped_step_is_deleted(data: st.DataObject) -> None:
    steps = data.draw(st.integers(3, 7))
    gone = data.draw(st.integers(0, steps - 1))
    found = _search([k for k in range(steps) if k != gone], steps)
    assert [(e.kind, e.steps) for e in found.edits] == [("delete", (gone,))]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_exchanged_steps_are_a_swap(data: st.DataObject) -> None:
    steps = data.draw(st.integers(3, 6))
    i = data.draw(st.integers(0, steps - 2))
    j = data.draw(st.integers(i + 1, steps - 1))
    order = list(range(steps))
    order[i], order[j] = order[j], order[i]
    found = _search(order, steps)
    assert [(e.kind, e.steps) for e in found.edits] == [("swap", (i, j))]
    assert [slot.step for slot in found.slots] == order


@pytest.mark.parametrize(
    ("order", "kind", "steps"),
    [
        ([0, 2, 3, 1, 4, 5], "move", (1,)),
        ([0, 4, 1, 2, 3, 5], "move", (4,)),
        ([0, 1, 2, 3, 1, 4, 5], "insert", (1,)),
        ([0, 1, 1, 2, 3, 4, 5], "insert", (1,)),
        ([0, 1, 5, 3, 4, 5], "replace", (2,)),
        ([2, 3, 4, 5], "delete", (0, 1)),
        ([0, 1, 2, 3], "delete", (4, 5)),
        ([0, 4, 5], "delete", (1, 2, 3)),
    ],
)
def test_every_kind_of_edit_is_named(order: list[int], kind: str, steps: tuple[int, ...]) -> None:
    found = _search(order, 6)
    assert [(e.kind, e.steps) for e in found.edits] == [(kind, steps)]
    assert found.edits[0].shown == ((5,) if kind == "replace" else ())
    assert [slot.step for slot in found.slots] == order


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_evaluation_equals_scoring_each_order_anew(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = Classes(((0, 1), (2,), (3, 4)), rng.integers(1, 3, 5))
    sums, order = cumulate(rng.normal(size=(14, 5))), (0, 1, 2)
    listed = list(candidates(order, 3, Prices(), reach=12))
    for item, value in zip(listed, evaluate(sums, classes, order, listed), strict=True):
        steps = (*order[: item.head], *item.middle, *order[item.tail :])
        chain = np.array([k for step in steps for k in classes.parts[step]])
        assert value == pytest.approx(prefix_tables(sums, chain, classes.shortest[chain])[-1, -1])


def test_more_evidence_for_an_edit_never_hides_it() -> None:
    steps = 4
    weak = _evidence([0, 2, 1, 3], steps)
    gains = [
        sum(e.gain for e in search_order(weak * factor, _classes(steps), Prices()).edits)
        for factor in (0.2, 0.5, 1.0, 2.0)
    ]
    assert gains == sorted(gains)


def test_reach_limits_exchanges() -> None:
    far = [c for c in candidates(tuple(range(30)), 30, Prices(), reach=3) if c.kind == "swap"]
    assert max(c.second - c.first for c in far) == 3


def test_order_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InsufficientClips, match="too few"):
        search_order(_evidence([0], 5, length=6), _classes(5), Prices())


def test_only_slot_cannot_be_left_out() -> None:
    sums = _evidence([0], 1)
    found = search_order(sums, _classes(1), Prices())
    assert deletion_gains(sums, _classes(1), found).tolist() == [-np.inf]


@pytest.mark.parametrize(
    "order", [[0, 2, 1, 3], [0, 1, 1, 3], [0, 3], [1, 2, 3, 0], [0, 0, 1, 2, 3]]
)
def test_a_refused_change_is_not_found_again(order: list[int]) -> None:
    sums, classes = _evidence(order, 4), _classes(4)
    first = search_order(sums, classes, Prices())
    refused = frozenset({first.edits[0].change})
    again = search_order(sums, classes, Prices(), refused=refused)
    assert first.edits[0].change not in {edit.change for edit in again.edits}
    assert again.evidence <= first.evidence + 1e-9


def test_exchanging_steps_that_lie_apart_costs_more() -> None:
    listed = [c for c in candidates(tuple(range(5)), 5, Prices(swap=1.0, swap_apart=2.0), 12)]
    prices = {c.second - c.first: c.price for c in listed if c.kind == "swap"}
    assert prices == {gap: Prices().edit + 1.0 + 2.0 * (gap - 1) for gap in (1, 2, 3, 4)}


def test_leaving_out_unnamed_time_is_no_spare_evidence() -> None:
    # So little that no edit pays: the expected order stands, with the doubt as spare.
    sums = 0.3 * _evidence([0, 1, 3], 4)
    doubtful = search_order(sums, _classes(4), Prices())
    silent = search_order(sums, _classes(4), Prices(), unnamed=frozenset({2}))
    assert doubtful.edits == silent.edits == ()
    assert doubtful.spare > silent.spare == 0.0
