"""Staged and cyclic steps are told apart by two golds, unless a person said which they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from compare_material import execution, marked
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sopilot.core.records import StepKind
from sopilot.embed.base import VideoFeatures
from sopilot.sop.compare import compare_with
from sopilot.sop.comparison import EventType
from sopilot.sop.kinds import LEAST_CLIPS, judged_kinds
from sopilot.sop.learn import fit

STAGED, CYCLIC = StepKind.STAGED, StepKind.CYCLIC
STEPS = 4
Rows = NDArray[np.float32]


def _rows(kind: StepKind, count: int, seed: int) -> Rows:
    """(count, 20) clips of a step: on its way from here to there, or round and round."""
    rng = np.random.default_rng(seed)
    way = np.random.default_rng(7).normal(size=20)
    clips = np.arange(count)[:, None]
    turns = 2 * np.pi * (clips / 4 + rng.uniform())
    look = (1.5 * clips / count if kind is STAGED else np.sin(turns)) * way
    return (look + 0.2 * rng.normal(size=look.shape)).astype(np.float32)


def _gold(kinds: list[StepKind], count: int, seed: int) -> list[Rows]:
    return [_rows(kind, count, 10 * seed + number) for number, kind in enumerate(kinds)]


@pytest.mark.parametrize("count", [LEAST_CLIPS, 12, 31])
@pytest.mark.parametrize("kinds", [[STAGED] * 3, [CYCLIC] * 3, [STAGED], [CYCLIC]])
def test_two_golds_tell_the_kind_of_a_step(kinds: list[StepKind], count: int) -> None:
    assert judged_kinds([_gold(kinds, count, seed) for seed in (1, 2)]) == tuple(kinds)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((12, LEAST_CLIPS - 1), None),
        ((LEAST_CLIPS - 1, 12), None),
        ((12, 12, LEAST_CLIPS - 1), STAGED),
        ((12,), None),
    ],
)
def test_a_step_needs_two_golds_with_enough_clips(
    counts: tuple[int, ...], expected: StepKind | None
) -> None:
    golds = [_gold([STAGED], count, seed) for seed, count in enumerate(counts)]
    assert judged_kinds(golds) == (expected,)


def test_a_short_step_beside_others_has_no_kind() -> None:
    golds = [
        [_rows(STAGED, 12, seed), _rows(STAGED, LEAST_CLIPS - 1, seed), _rows(STAGED, 12, seed + 9)]
        for seed in (1, 2)
    ]
    assert judged_kinds(golds) == (STAGED, None, STAGED)


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from([STAGED, CYCLIC]), min_size=1, max_size=4),
    st.integers(0, 999),
    st.integers(-6, 6),
    st.floats(-50, 50),
)
def test_scale_and_place_of_the_rows_change_no_kind(
    kinds: list[StepKind], seed: int, power: int, offset: float
) -> None:
    golds = [_gold(kinds, 15, seed + number) for number in (0, 1)]
    other = [[(rows + np.float32(offset)) * np.float32(2.0**power) for rows in g] for g in golds]
    assert judged_kinds(other) == judged_kinds(golds)


def _golds(count: int, cyclic: Sequence[int]) -> list[VideoFeatures]:
    return [
        execution(range(STEPS), seed=seed, versions=1, cyclic=cyclic)
        for seed in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("cyclic", [[], [1], [0, 1], [0, 1, 2, 3]])
def test_a_fitted_task_cuts_staged_steps_in_three_and_cyclic_ones_not(
    count: int, cyclic: list[int]
) -> None:
    model = fit(_golds(count, cyclic), marked(STEPS))
    expected = [CYCLIC if step in cyclic else STAGED for step in range(STEPS)]
    assert list(model.kinds) == expected
    assert [len(own) for own in model.parts] == [1 if k is CYCLIC else 3 for k in expected]
    assert model.class_count == sum(len(own) for own in model.parts)


@pytest.mark.parametrize("cyclic", [[], [0, 1, 2, 3]])
def test_one_gold_tells_no_kind(cyclic: list[int]) -> None:
    model = fit(_golds(1, cyclic), marked(STEPS))
    assert model.kinds == (None,) * STEPS
    assert [len(own) for own in model.parts] == [3] * STEPS


@pytest.mark.parametrize("said", [STAGED, CYCLIC])
@pytest.mark.parametrize("cyclic", [[], [0, 1, 2, 3]])
def test_what_a_person_said_stays(said: StepKind, cyclic: list[int]) -> None:
    steps = [replace(step, kind=said if step.index == 2 else None) for step in marked(STEPS)]
    kinds = fit(_golds(2, cyclic), steps).kinds
    judged = CYCLIC if cyclic else STAGED
    assert kinds == (judged, judged, said, judged)


def test_proposed_steps_have_no_kind() -> None:
    model = fit(_golds(2, [0, 1, 2, 3]), None)
    assert set(model.kinds) == {None}


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ([0, 1, 2, 3], []),
        ([0, 1, 3], [(EventType.MISSING_STEP, 2)]),
        ([0, 2, 1, 3], [(EventType.ORDER_SWAP, 1)]),
    ],
)
def test_cyclic_steps_are_found_wherever_the_motion_begins(
    order: list[int], told: list[tuple[EventType, int]]
) -> None:
    model = fit(_golds(2, range(STEPS)), marked(STEPS))
    found = compare_with(model, execution(order, seed=9, cyclic=range(STEPS)))
    assert [(item.type, item.step_index) for item in found.findings] == told
