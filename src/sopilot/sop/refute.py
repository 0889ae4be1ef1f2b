"""Weak differences of order that the pictures contradict.

An edit says that another step stands in a step's place. Where its evidence is weak and the clips
there still look like the step itself, the two steps look alike in this person's hands, and nothing
was done wrong. Called by `sop.judgement`, which searches again without such edits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sopilot.align.search import AcceptedEdit, Change
from sopilot.sop.execution import Execution, Likeness, unit_likeness
from sopilot.sop.model import Reading, TaskModel

WEAK_NATS = 40.0
STILL_ALIKE = 0.55
"""Likeness to the expected step, relative to the video's other steps, from which a weak edit is
refuted. Hand washing: none of the true replacements reach it, all false ones do."""


def refuted(
    model: TaskModel,
    reading: Reading,
    edits: Sequence[AcceptedEdit],
    found: Sequence[Execution],
    price_scale: float,
) -> frozenset[Change]:
    """The accepted exchanges and replacements that are weak and contradicted."""
    usual = float(np.median([Likeness(e.similarity, e.expected).ratio for e in found]))
    return frozenset(
        edit.change
        for number, edit in enumerate(edits)
        if edit.gain / price_scale < WEAK_NATS
        and (alike := _expected_likeness(model, reading, edit, number, found)) is not None
        and alike >= STILL_ALIKE * usual
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
