"""Where no step is marked, differences are found in runs of chunks and told by proposed steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from compare_material import HOP_SEC, STEP_SEC, execution, without

from sopilot.core.timespan import TimeSpan
from sopilot.sop.calibrate import Calibration
from sopilot.sop.compare import compare_with
from sopilot.sop.comparison import Comparison, EventType, Finding
from sopilot.sop.evidence import LEAST_MISSING_STRENGTH, REVIEW_STRENGTH
from sopilot.sop.learn import fit
from sopilot.sop.method import CHUNK_PRICES, Method
from sopilot.sop.model import TaskModel
from sopilot.sop.runs import SURE_MISSING_NATS
from sopilot.sop.score import total_score

STEPS = 8
ORDER = range(STEPS)
MISSING, SWAP = EventType.MISSING_STEP, EventType.ORDER_SWAP
REPEATED, DEVIATION = EventType.REPEATED_STEP, EventType.STEP_DEVIATION
SEEDS = [7, 8, 11]


@pytest.fixture(scope="module")
def model() -> TaskModel:
    return fit([execution(ORDER, versions=2)], None)


def _slots(first: int, last: int | None = None) -> TimeSpan:
    """Time of some slots of 7.2 s."""
    return TimeSpan(STEP_SEC * first, STEP_SEC * ((first if last is None else last) + 1))


def _told(found: Comparison) -> list[tuple[EventType, int | None, int | None, str | None]]:
    return [(f.type, f.step_index, f.other_step_index, f.detail) for f in found.findings]


def _only(found: Comparison) -> Finding:
    assert len(found.findings) == 1
    return found.findings[0]


def test_the_proposed_steps_of_the_material_are_its_steps(model: TaskModel) -> None:
    assert not model.steps_are_marked
    likeness = [step.span.iou(_slots(k)) for k, step in enumerate(model.steps) if step.span]
    assert len(likeness) == STEPS
    assert min(likeness) > 0.8
    assert [unit.step for unit in model.units] == [k for k in ORDER for _ in range(3)]


@pytest.mark.parametrize("seed", SEEDS)
def test_good_work_has_no_finding(model: TaskModel, seed: int) -> None:
    trainee = execution(ORDER, seed=seed, place=5.0, stretch={2: 1.3, 4: 0.8})
    found = compare_with(model, trainee)
    assert found.findings == ()
    assert total_score(found) > 97.0
    assert found.steps_source == "proposed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([0, 1, 2, 4, 5, 6, 7], (MISSING, 3, None, "inner")),
        ([1, 2, 3, 4, 5, 6, 7], (MISSING, 0, None, "start")),
        ([0, 1, 2, 3, 4, 5, 6], (MISSING, 7, None, "tail")),
        ([0, 1, 2, 4, 3, 5, 6, 7], (SWAP, 3, 4, None)),
        ([0, 1, 2, 3, 4, 2, 5, 6, 7], (REPEATED, 2, None, None)),
        ([0, 1, 2, 6, 4, 5, 6, 7], (DEVIATION, 3, 6, None)),
    ],
)
def test_one_difference_is_one_clear_finding(
    model: TaskModel,
    order: list[int],
    expected: tuple[EventType, int, int | None, str | None],
    seed: int,
) -> None:
    found = compare_with(model, execution(order, seed=seed))
    assert _told(found) == [expected]
    assert _only(found).certainty == "clear"
    assert _only(found).evidence_unit == "nats"
    assert total_score(found) < 60.0


@pytest.mark.parametrize(
    ("order", "in_gold", "in_trainee"),
    [
        ([0, 1, 2, 4, 3, 5, 6, 7], _slots(3, 4), _slots(3, 4)),
        ([0, 1, 2, 3, 4, 2, 5, 6, 7], _slots(2), _slots(5)),
        ([0, 1, 2, 6, 4, 5, 6, 7], _slots(3), _slots(3)),
        ([0, 1, 2, 50, 4, 5, 6, 7], _slots(3), _slots(3)),
    ],
)
def test_spans_cover_the_difference_in_both_videos(
    model: TaskModel, order: list[int], in_gold: TimeSpan, in_trainee: TimeSpan
) -> None:
    finding = _only(compare_with(model, execution(order, seed=7)))
    assert finding.gold_span.iou(in_gold) > 0.5
    assert finding.trainee_span.iou(in_trainee) > 0.5


@pytest.mark.parametrize(
    ("order", "steps", "place_sec"),
    [
        ([0, 1, 2, 4, 5, 6, 7], [3], 3 * STEP_SEC),
        ([1, 2, 3, 4, 5, 6, 7], [0], 0.0),
        ([0, 1, 2, 3, 4, 5, 6], [7], 7 * STEP_SEC),
        ([0, 1, 2, 5, 6, 7], [3, 4], 3 * STEP_SEC),
        ([0, 1, 2, 6, 7], [3, 4, 5], 3 * STEP_SEC),
        ([2, 3, 4, 5, 6, 7], [0, 1], 0.0),
        ([0, 1, 2, 3, 4, 5], [6, 7], 6 * STEP_SEC),
        ([1, 2, 3, 4, 5, 6], [0, 7], None),
    ],
)
def test_every_whole_step_that_is_missing_has_a_finding_of_its_own(
    model: TaskModel, order: list[int], steps: list[int], place_sec: float | None
) -> None:
    findings = compare_with(model, execution(order, seed=7)).findings
    assert sorted((f.type, f.step_index) for f in findings) == [(MISSING, k) for k in steps]
    for finding in findings:
        assert finding.gold_span.iou(_slots(finding.step_index or 0)) > 0.8
        assert finding.trainee_span.duration_sec == 0.0
        if place_sec is not None:
            assert finding.trainee_span.start_sec == pytest.approx(place_sec, abs=1.0)


@pytest.mark.parametrize(
    ("order", "details"),
    [
        ([2, 3, 4, 5, 6, 7], {"start"}),
        ([0, 1, 2, 3, 4, 5], {"tail"}),
        ([0, 1, 2, 5, 6, 7], {"inner"}),
        ([1, 2, 3, 4, 5, 6], {"start", "tail"}),
    ],
)
def test_where_steps_are_missing_is_told(
    model: TaskModel, order: list[int], details: set[str]
) -> None:
    findings = compare_with(model, execution(order, seed=7)).findings
    assert {finding.detail for finding in findings} == details


@pytest.mark.parametrize("lost", [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]])
def test_more_missing_steps_never_score_higher(model: TaskModel, lost: Sequence[int]) -> None:
    more, less = (
        total_score(compare_with(model, execution([k for k in ORDER if k not in gone], seed=7)))
        for gone in (lost, lost[:-1])
    )
    assert more < less


LONG = {3: 2.0}
"""A step of 14.4 s, so that a part of it can be left out."""
FIRST = 3 * 12
"""Its first clip."""


@pytest.fixture(scope="module")
def long_model() -> TaskModel:
    """Prices that do not fall where a video is much like the gold."""
    gold = execution(ORDER, versions=2, slot_stretch=LONG)
    return fit([gold], None, Method(sure_price=1.0))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("first", "stop"), [(FIRST, FIRST + 14), (FIRST + 10, FIRST + 24), (FIRST, FIRST + 20)]
)
def test_a_part_of_a_step_that_is_missing_is_told_by_that_step(
    long_model: TaskModel, first: int, stop: int, seed: int
) -> None:
    trainee = without(execution(ORDER, seed=seed, slot_stretch=LONG), first, stop)
    finding = _only(compare_with(long_model, trainee))
    assert (finding.type, finding.step_index, finding.detail) == (MISSING, 3, "inner")
    assert finding.gold_span.iou(TimeSpan(first * HOP_SEC, stop * HOP_SEC)) > 0.5


def test_weak_evidence_is_a_remark_to_review_that_costs_less(long_model: TaskModel) -> None:
    cheap = replace(long_model.method, chunk_prices=replace(CHUNK_PRICES, edit=6.0))
    model = replace(long_model, method=cheap)
    done = execution(ORDER, seed=7, slot_stretch=LONG)
    small, large = (compare_with(model, without(done, FIRST, FIRST + count)) for count in (12, 16))
    remark, clear = _only(small), _only(large)
    assert remark.evidence < SURE_MISSING_NATS < clear.evidence
    assert (remark.certainty, clear.certainty) == ("review", "clear")
    assert remark.strength == REVIEW_STRENGTH < LEAST_MISSING_STRENGTH <= clear.strength
    assert total_score(large) < 60.0 < total_score(small)


SWAPPED, AGAIN, REPLACED = (
    [0, 1, 2, 4, 3, 5, 6, 7],
    [0, 1, 2, 3, 4, 2, 5, 6, 7],
    [0, 1, 2, 6, 4, 5, 6, 7],
)


@pytest.mark.parametrize(
    ("order", "factor", "certainty"),
    [
        (SWAPPED, 1.0, "clear"),
        (SWAPPED, 7.0, "review"),
        (AGAIN, 1.0, "clear"),
        (AGAIN, 3.0, "review"),
        (REPLACED, 1.0, "clear"),
        (REPLACED, 2.4, "review"),
    ],
)
def test_a_dearer_task_needs_more_evidence_for_a_clear_finding(
    model: TaskModel, order: list[int], factor: float, certainty: str
) -> None:
    method = replace(model.method, sure_price=1.0)
    dear = replace(model, method=method, calibration=Calibration(3, 3, price_factor=factor))
    assert _only(compare_with(dear, execution(order, seed=7))).certainty == certainty


@pytest.mark.parametrize(("sure_price", "certainty"), [(1.0, "review"), (0.2, "clear")])
def test_the_nearer_a_video_is_the_less_proves_a_difference(
    model: TaskModel, sure_price: float, certainty: str
) -> None:
    method = replace(model.method, sure_price=sure_price)
    dear = replace(model, method=method, calibration=Calibration(3, 3, price_factor=3.0))
    assert _only(compare_with(dear, execution(AGAIN, seed=7))).certainty == certainty


@pytest.mark.parametrize("count", [2, 3])
def test_further_golds_keep_what_is_found_without_marks(count: int) -> None:
    model = fit([execution(ORDER, seed=k, versions=1) for k in range(1, count + 1)], None)
    assert compare_with(model, execution(ORDER, seed=9)).findings == ()
    found = compare_with(model, execution([0, 1, 2, 4, 3, 5, 7], seed=9))
    assert {item[:2] for item in _told(found)} == {(SWAP, 3), (MISSING, 6)}
