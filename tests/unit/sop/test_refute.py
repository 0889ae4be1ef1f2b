"""Weak edits are taken back where what is shown still looks like what was expected."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compare_material import execution, marked

from sopilot.align.search import AcceptedEdit
from sopilot.core.records import StepKind
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.sop.execution import Execution
from sopilot.sop.judgement import judge
from sopilot.sop.learn import fit
from sopilot.sop.model import Reading, TaskModel, read
from sopilot.sop.refute import WEAK_NATS, refuted

WEAK, CLEAR = WEAK_NATS - 1.0, WEAK_NATS + 1.0


@pytest.fixture(scope="module")
def model() -> TaskModel:
    return fit([execution(range(6), versions=2)], marked(6))


def _blended(share: float) -> VideoFeatures:
    """An execution whose step 2 is to this share like step 4."""
    own = execution(range(6), seed=4)
    other = execution([0, 1, 4, 3, 4, 5], seed=4)
    mixed = own.blocks["crop"] * (1.0 - share) + other.blocks["crop"] * share
    return replace(own, blocks=Blocks({"crop": mixed}))


def _seen(model: TaskModel, share: float, shown: dict[int, int]) -> tuple[Reading, list[Execution]]:
    """A reading, and its slots as if an edit had put other steps into some."""
    video = _blended(share)
    reading = read(model, video)
    found = judge(model, video, reading).found
    return reading, [
        replace(slot, unit=shown[slot.unit], edit=0) if slot.unit in shown else slot
        for slot in found
    ]


@pytest.mark.parametrize(
    ("share", "gain", "is_refuted"),
    [(0.2, WEAK, True), (0.2, CLEAR, False), (1.0, WEAK, False), (1.0, CLEAR, False)],
)
def test_a_weak_replacement_that_looks_as_expected_is_refuted(
    model: TaskModel, share: float, gain: float, is_refuted: bool
) -> None:
    edit = AcceptedEdit("replace", (2,), (4,), gain)
    reading, found = _seen(model, share, {2: 4})
    assert refuted(model, reading, [edit], found, 1.0) == (
        frozenset({edit.change}) if is_refuted else frozenset()
    )


def test_a_weak_exchange_is_judged_by_both_places(model: TaskModel) -> None:
    edit = AcceptedEdit("swap", (2, 4), (), WEAK)
    reading, found = _seen(model, 0.2, {2: 4, 4: 2})
    assert refuted(model, reading, [edit], found, 1.0) == frozenset({edit.change})
    assert refuted(model, reading, [edit], found, WEAK / CLEAR) == frozenset()
    # Another edit has changed one of the places again: nothing can be said of the pair.
    [first] = [slot for slot in found if slot.unit == 4 and slot.edit == 0]
    other = [replace(slot, edit=1) if slot is first else slot for slot in found]
    assert refuted(model, reading, [edit], other, 1.0) == frozenset()


@pytest.mark.parametrize("kind", ["delete", "insert", "move"])
def test_what_puts_nothing_in_a_steps_place_stays(model: TaskModel, kind: str) -> None:
    edit = AcceptedEdit(kind, (2,), (), WEAK)  # type: ignore[arg-type]
    reading, found = _seen(model, 0.2, {2: 2})
    assert refuted(model, reading, [edit], found, 1.0) == frozenset()


@pytest.mark.parametrize(("first", "second"), [(0.5, 1.0), (1.0, 0.5), (0.9, 0.9)])
@pytest.mark.parametrize("gain", [WEAK, CLEAR])
def test_a_weak_repetition_shows_the_step_twice(
    model: TaskModel, first: float, second: float, gain: float
) -> None:
    edit = AcceptedEdit("insert", (2,), (2,), gain)
    reading, found = _seen(model, 0.0, {})
    [own] = [slot for slot in found if slot.unit == 2]
    showings = [
        replace(own, edit=0, similarity=first * own.expected),
        replace(own, similarity=second * own.expected),
    ]
    twice = [*found[:2], *showings, *found[3:]]
    is_refuted = gain == WEAK and min(first, second) < 0.7
    assert bool(refuted(model, reading, [edit], twice, 1.0)) == is_refuted


@pytest.mark.parametrize("kind", ["move", "swap", "replace", "insert"])
@pytest.mark.parametrize(
    ("dwell", "deletion_gain", "step_kind", "is_refuted"),
    [
        (0.5, -5.0, StepKind.STAGED, True),
        (0.9, -5.0, StepKind.STAGED, False),
        (0.5, -40.0, StepKind.STAGED, False),
        (0.5, -5.0, StepKind.CYCLIC, False),
    ],
)
def test_what_is_hardly_shown_was_not_put_there(
    model: TaskModel,
    kind: str,
    dwell: float,
    deletion_gain: float,
    step_kind: StepKind,
    is_refuted: bool,
) -> None:
    edit = AcceptedEdit(kind, (2, 4), (4,), 3 * WEAK_NATS)  # type: ignore[arg-type]
    reading, found = _seen(model, 1.0, {2: 4})
    shown = [
        replace(slot, moving_sec=dwell * slot.gold_moving_sec, deletion_gain=deletion_gain)
        if slot.edit == 0
        else slot
        for slot in found
    ]
    kinds = replace(model, kinds=(step_kind,) * len(model.kinds))
    assert bool(refuted(kinds, reading, [edit], shown, 1.0)) == is_refuted


@pytest.mark.parametrize(
    ("kind", "share", "taken_out", "is_refuted"),
    [
        ("insert", 0.5, 0, True),
        ("insert", 0.8, 0, False),
        ("insert", 1.0, 2, True),  # later edits left one chunk of three
        ("replace", 0.5, 0, False),
    ],
)
@pytest.mark.parametrize("pace", [1.0, 1.3])
def test_a_run_of_chunks_is_not_done_again_in_half_its_time(
    kind: str, share: float, taken_out: int, is_refuted: bool, pace: float
) -> None:
    chunked = fit([execution(range(6), versions=2)], None)
    video = execution(range(6), seed=4)
    reading = read(chunked, video)
    found = judge(chunked, video, reading).found
    slots = [replace(slot, moving_sec=pace * slot.gold_moving_sec) for slot in found]
    run = [replace(slot, edit=0, moving_sec=share * slot.moving_sec) for slot in slots[3:6]]
    edit = AcceptedEdit(kind, (3, 4, 5), (), 3 * WEAK_NATS)  # type: ignore[arg-type]
    twice = [*slots[:12], *run[taken_out:], *slots[12:]]
    assert bool(refuted(chunked, reading, [edit], twice, 1.0)) == is_refuted
