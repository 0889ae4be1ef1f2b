"""Three golds or more set a task's operating point; fewer leave the fixed thresholds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compare_material import execution, marked
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.records import Step
from sopilot.embed.base import Blocks
from sopilot.sop.calibrate import (
    LEAST_GOLDS,
    MOST_FACTOR,
    SPREADS,
    Calibration,
    HeldOut,
    calibration,
)
from sopilot.sop.compare import compare, compare_with
from sopilot.sop.comparison import EventType
from sopilot.sop.judgement import judge
from sopilot.sop.learn import fit
from sopilot.sop.likeness import thresholds
from sopilot.sop.model import read
from sopilot.sop.notes import notes_of

STEPS = 5


def _held_out(nats: list[float], unlikeness: list[float]) -> list[HeldOut]:
    return [HeldOut(a, b) for a, b in zip(nats, unlikeness, strict=True)]


@pytest.mark.parametrize(
    ("nats", "unlikeness", "factors"),
    [
        ([0, 0, 0], [0, 0, 0], (1.0, 1.0)),
        ([10, 10, 10], [2, 2, 2], (1.0, 1.0)),
        ([15, 15, 15], [2, 2, 2], (1.5, 1.0)),
        ([10, 10, 10], [3, 3, 3], (1.0, 1.5)),
        ([10, 11, 12], [2, 2, 2], (1.3, 1.0)),  # mean 11, spread 1
        ([0, 0, 0], [1.5, 2.0, 2.5], (1.0, 1.5)),  # mean 2, spread 0.5
        ([10, 12, 10, 12], [0, 0, 0, 0], (1.1 + 0.2 * (4 / 3) ** 0.5, 1.0)),
        ([90, 95, 99], [9, 9, 9], (MOST_FACTOR, MOST_FACTOR)),
    ],
)
def test_factors_are_the_bound_of_the_golds_over_the_threshold(
    nats: list[float], unlikeness: list[float], factors: tuple[float, float]
) -> None:
    found = calibration(len(nats), _held_out(nats, unlikeness), price=10.0, unlike=2.0)
    assert (found.price_factor, found.unlike_factor) == pytest.approx(factors)
    assert found.gold_count == len(nats)


@pytest.mark.parametrize(
    ("count", "calibrated", "missing"),
    [(1, False, 2), (2, False, 1), (3, True, 0), (4, True, 0), (10, True, 0)],
)
def test_too_few_golds_change_no_threshold_and_say_how_many_are_missing(
    count: int, calibrated: bool, missing: int
) -> None:
    found = calibration(count, [HeldOut(900.0, 90.0)] * count, price=10.0, unlike=2.0)
    assert (found.is_calibrated, found.golds_missing) == (calibrated, missing)
    assert found.price_factor == found.unlike_factor == (MOST_FACTOR if calibrated else 1.0)


amounts = st.floats(0, 1e6)
golds = st.lists(st.builds(HeldOut, amounts, amounts), min_size=1, max_size=10)


@given(golds, st.floats(0.1, 100), st.floats(0.1, 100))
def test_thresholds_only_rise_and_at_most_double(
    held_out: list[HeldOut], price: float, unlike: float
) -> None:
    found = calibration(len(held_out), held_out, price, unlike)
    assert 1.0 <= found.price_factor <= MOST_FACTOR
    assert 1.0 <= found.unlike_factor <= MOST_FACTOR


@given(st.lists(st.builds(HeldOut, st.floats(0, 99), st.floats(0, 9)), min_size=3), amounts)
def test_golds_that_all_differ_more_never_lower_a_threshold(
    held_out: list[HeldOut], more: float
) -> None:
    raised = [HeldOut(item.nats + more, item.unlikeness + more) for item in held_out]
    before, after = (calibration(len(each), each, 25.0, 2.2) for each in (held_out, raised))
    assert after.price_factor >= before.price_factor - 1e-6
    assert after.unlike_factor >= before.unlike_factor - 1e-6


@pytest.mark.parametrize("steps", [marked(STEPS), None])
@pytest.mark.parametrize("count", [1, 2, LEAST_GOLDS])
def test_a_comparison_says_whether_it_is_calibrated(
    count: int, steps: tuple[Step, ...] | None
) -> None:
    golds_ = [execution(range(STEPS), seed=seed, versions=1) for seed in range(1, count + 1)]
    found = compare(golds_, execution(range(STEPS), seed=9), steps)
    assert found.gold_count == found.calibration.gold_count == count
    assert found.calibration.is_calibrated == (count == LEAST_GOLDS)
    assert found.calibration.golds_missing == LEAST_GOLDS - count
    assert found.findings == ()


@pytest.mark.parametrize(
    ("third", "raised"),
    [
        ({}, (False, False)),
        ({"strange": 0.8, "strange_step": 2}, (False, True)),
    ],
)
def test_a_gold_unlike_the_others_raises_what_it_differs_in(
    third: dict[str, Any], raised: tuple[bool, bool]
) -> None:
    alike = [execution(range(STEPS), seed=seed, versions=1) for seed in (1, 2)]
    last = execution(**({"order": range(STEPS), "seed": 3, "versions": 1} | third))
    found = fit([*alike, last], marked(STEPS)).calibration
    assert (found.price_factor > 1.0, found.unlike_factor > 1.0) == raised


@pytest.mark.parametrize(
    "third", [{"order": [0, 2, 1, 3, 4]}, {"order": [0, 1, 3, 4]}, {"task": 9}]
)
def test_a_gold_that_contradicts_the_first_is_left_out(third: dict[str, Any]) -> None:
    alike = [execution(range(STEPS), seed=seed, versions=1) for seed in (1, 2)]
    last = execution(**({"order": range(STEPS), "seed": 3, "versions": 1} | third))
    model = fit([*alike, last], marked(STEPS))
    assert model.left_out_golds == (2,)
    assert (len(model.golds), model.calibration.is_calibrated) == (2, False)
    found = compare([*alike, last], execution([0, 2, 3, 4], seed=9), marked(STEPS))
    assert found.left_out_golds == (2,)
    assert [item.type for item in found.findings] == [EventType.MISSING_STEP]


@pytest.mark.parametrize("of", [0, 1])
def test_a_copy_of_a_gold_does_not_count(of: int) -> None:
    golds = [execution(range(STEPS), seed=seed, versions=1) for seed in (1, 2)]
    rows = golds[of].blocks["crop"]
    grain = 0.02 * np.random.default_rng(5).normal(size=rows.shape)
    blocks = {name: golds[of].blocks[name] for name in golds[of].blocks} | {"crop": rows + grain}
    copy = replace(golds[of], blocks=Blocks(blocks))
    model = fit([*golds, copy], marked(STEPS))
    assert (model.copied_golds, model.left_out_golds) == ((2,), ())
    assert (len(model.golds), model.calibration.golds_missing) == (2, 1)
    found = compare([*golds, copy], execution(range(STEPS), seed=9), marked(STEPS))
    assert found.copied_golds == (2,)
    assert [code for code, _ in notes_of(found)] == ["gold_copied", "golds_missing"]


def test_a_step_deviates_beyond_what_the_golds_are_from_each_other() -> None:
    alike = [execution(range(STEPS), seed=seed, versions=1) for seed in (1, 2)]
    third = execution(range(STEPS), seed=3, versions=1, strange=0.5, strange_step=2)
    others = fit(alike, marked(STEPS))
    unlikeness = judge(others, third, read(others, third)).unlikeness
    # The other two are near each other: mean u / 3, spread u / sqrt 3.
    expected = unlikeness / 3 + SPREADS * unlikeness / 3**0.5
    assert thresholds(fit([*alike, third], marked(STEPS)))[0] == pytest.approx(expected, rel=0.05)


def test_the_thresholds_of_unlikeness_grow_by_their_factor() -> None:
    model = fit([execution(range(STEPS), versions=1)], marked(STEPS))
    raised = replace(model, calibration=Calibration(3, 3, unlike_factor=1.5))
    assert thresholds(raised) == pytest.approx([1.5 * level for level in thresholds(model)])


def test_a_dearer_task_needs_more_evidence() -> None:
    model = fit([execution(range(STEPS), versions=1)], marked(STEPS))
    dear = replace(model, calibration=Calibration(3, 3, price_factor=MOST_FACTOR))
    trainee = execution([0, 1, 3, 4], seed=7)
    cheap, costly = (compare_with(each, trainee).findings for each in (model, dear))
    assert len(cheap) == len(costly) == 1
    assert costly[0].evidence == pytest.approx(cheap[0].evidence)
    assert costly[0].strength <= cheap[0].strength
