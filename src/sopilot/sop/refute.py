"""Differences of order that do not hold when looked at: contradicted ones, and hardly shown ones.

An edit says that another step stands in a step's place. Where its evidence is weak and the clips
there still look like the step itself, the two steps look alike in this person's hands, and nothing
was done wrong. Where what it puts somewhere is shown for the shortest time only, and leaving it out
explains nearly as much, the step is missing rather than elsewhere. Called by `sop.judgement`, which
searches again without such edits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sopilot.align.search import AcceptedEdit, Change
from sopilot.core.records import StepKind
from sopilot.sop.evidence import usual_pace
from sopilot.sop.execution import Execution, unit_likeness
from sopilot.sop.model import Reading, TaskModel

WEAK_NATS = 40.0
STILL_ALIKE = 0.55
"""Likeness to the expected step, relative to the video's other steps, from which a weak edit is
refuted. Hand washing: none of the true replacements reach it, all false ones do."""
AGAIN_ALIKE = 0.72
"""Likeness of either showing of a repeated step, relative to the video's other steps, below which a
weak repetition is refuted: idling hands and a step that runs into the next reach 0.5-0.70, steps
that are done twice 0.75 and more both times (generated)."""
SHORTEST_RATIO, HARDLY_NATS = 0.6, 24.0
"""Dwell relative to the gold's, and gain over leaving it out, below which a step that an edit puts
elsewhere, or shows again, is hardly shown. Generated: such steps reach 0.68 and 34; missing ones
that are laid over a few clips of others 0.45 and 18, wrong repetitions 0.59 and 18."""
SHORTEST_RUN_RATIO = 0.68
"""Dwell relative to the gold's at the trainee's pace below which a run of chunks is not done again,
but fits somewhere into another act. Generated tasks 1101-1104 and 1201-1204: true repetitions take
0.70 and more, those of good executions 0.41 and 0.44."""


def refuted(
    model: TaskModel,
    reading: Reading,
    edits: Sequence[AcceptedEdit],
    found: Sequence[Execution],
    price_scale: float,
) -> frozenset[Change]:
    """The accepted edits that are contradicted or hardly shown."""
    if model.method.chunked(model.steps_are_marked):
        return frozenset(
            edit.change
            for number, edit in enumerate(edits)
            if edit.kind == "insert" and _is_short_run(model, edit, number, found)
        )
    usual = float(np.median([slot.likeness for slot in found]))
    return frozenset(
        edit.change
        for number, edit in enumerate(edits)
        if _is_hardly_shown(model, edit, number, found)
        or (
            edit.gain / price_scale < WEAK_NATS
            and (
                _looks_as_expected(model, reading, edit, number, found, usual)
                or _looks_like_nothing(edit, number, found, usual)
            )
        )
    )


def _is_short_run(
    model: TaskModel, edit: AcceptedEdit, number: int, found: Sequence[Execution]
) -> bool:
    """Whether a run of chunks that is said to be done again lasts much less than the gold's, all of
    it: a later edit may have taken chunks out again."""
    shown_sec = sum(slot.moving_sec for slot in found if slot.edit == number)
    gold_sec = sum(model.gold_moving_sec(unit) for unit in edit.steps)
    return shown_sec < SHORTEST_RUN_RATIO * usual_pace(found) * gold_sec


def _looks_like_nothing(
    edit: AcceptedEdit, number: int, found: Sequence[Execution], usual: float
) -> bool:
    """Whether one showing of what is said to be done twice looks much less like the step than the
    other steps look like theirs."""
    twice = {slot.unit for slot in found if slot.edit == number}
    return edit.kind == "insert" and any(
        slot.likeness < AGAIN_ALIKE * usual for slot in found if slot.unit in twice
    )


def _looks_as_expected(
    model: TaskModel,
    reading: Reading,
    edit: AcceptedEdit,
    number: int,
    found: Sequence[Execution],
    usual: float,
) -> bool:
    alike = _expected_likeness(model, reading, edit, number, found)
    return alike is not None and alike >= STILL_ALIKE * usual


def _is_hardly_shown(
    model: TaskModel, edit: AcceptedEdit, number: int, found: Sequence[Execution]
) -> bool:
    # How long one motion goes on again and again says nothing.
    return edit.kind != "delete" and any(
        slot.moving_sec < SHORTEST_RATIO * slot.gold_moving_sec
        and slot.deletion_gain > -HARDLY_NATS
        for slot in found
        if slot.edit == number and model.kinds[slot.unit] is not StepKind.CYCLIC
    )


def _expected_likeness(
    model: TaskModel,
    reading: Reading,
    edit: AcceptedEdit,
    number: int,
    found: Sequence[Execution],
) -> float | None:
    """Mean likeness of what an edit put somewhere to what was expected there; None where another
    edit changed it again, or nothing particular was expected."""
    slots = [item for item in found if item.edit == number]
    if edit.kind == "replace" and slots:
        pairs = [(edit.steps[0], item) for item in slots]
    elif edit.kind == "swap" and len(slots) == 2:
        one, other = edit.steps
        pairs = [(one if item.unit == other else other, item) for item in slots]
    else:
        return None
    return float(np.mean([unit_likeness(model, reading, u, e.clips).ratio for u, e in pairs]))
