"""Steps that look alike are named in pairs; distinct ones are not."""

from __future__ import annotations

import numpy as np
import pytest
from compare_material import execution, marked, spans_of

from sopilot.core.records import Step
from sopilot.sop.compare import compare
from sopilot.sop.distinct import ALIKE_BELOW, distinctness, similar_steps, step_distances
from sopilot.sop.learn import fit
from sopilot.sop.model import TaskModel


def _model(order: list[int], gold_count: int = 1) -> TaskModel:
    golds = [execution(order, seed=seed, versions=1) for seed in range(1, gold_count + 1)]
    return fit(golds, marked(len(order)))


@pytest.mark.parametrize("gold_count", [1, 2])
@pytest.mark.parametrize(
    ("order", "pairs"),
    [
        ([0, 1, 2, 3], ()),
        ([0, 1], ()),
        ([0, 1, 0, 2, 3], ((0, 2),)),
        ([0, 1, 2, 3, 1], ((1, 4),)),
        ([0, 1, 0, 2, 1], ((0, 2), (1, 4))),
        ([0, 1, 0, 2, 0], ((0, 2), (0, 4), (2, 4))),
    ],
)
def test_steps_shown_twice_are_named_in_pairs(
    order: list[int], pairs: tuple[tuple[int, int], ...], gold_count: int
) -> None:
    model = _model(order, gold_count)
    assert similar_steps(model) == pairs
    least = distinctness(model)
    assert least is not None
    assert (least < ALIKE_BELOW) == bool(pairs)


def test_a_single_step_has_nothing_to_be_told_from() -> None:
    model = _model([0])
    assert distinctness(model) is None
    assert similar_steps(model) == ()


def test_unnamed_time_is_no_step_to_be_like() -> None:
    order = [0, 1, 0, 2]
    spans = spans_of(order, {})
    steps = [Step(k, span=spans[slot]) for k, slot in enumerate((0, 1, 3))]
    assert similar_steps(fit([execution(order, versions=1)], steps)) == ()


def test_steps_of_unequal_length_are_compared_part_by_part() -> None:
    gold = execution([0, 1, 0, 2], versions=1, slot_stretch={0: 0.3, 2: 2.0})
    spans = spans_of([0, 1, 0, 2], {0: 0.3, 2: 2.0})
    model = fit([gold], [Step(k, span=span) for k, span in enumerate(spans)])
    assert [len(own) for own in model.parts] == [2, 3, 3, 3]
    assert similar_steps(model) == ((0, 2),)


def test_distances_are_symmetric_and_none_is_of_a_step_to_itself() -> None:
    distances = step_distances(_model([0, 1, 2, 0]))
    assert np.isinf(np.diag(distances)).all()
    off = distances[~np.eye(4, dtype=bool)]
    assert ((off > -1e-5) & (off <= 2.0)).all()
    assert np.allclose(distances, distances.T)


@pytest.mark.parametrize("steps", [marked(5), None])
def test_a_comparison_carries_the_pairs(steps: tuple[Step, ...] | None) -> None:
    gold = execution([0, 1, 0, 2, 3], versions=1)
    found = compare([gold], execution([0, 1, 0, 2, 3], seed=3), steps)
    assert found.similar_steps == ((0, 2),)
    assert found.gold_distinctness is not None
    assert found.gold_distinctness < ALIKE_BELOW
