"""What the accepted edits of a step order mean: steps left out, exchanged, replaced, repeated.

Called by `sop.findings` where steps are marked. Unnamed time has nothing to be called by, so what
happened to it is told by the step beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sopilot.align.edits import EditKind
from sopilot.align.search import AcceptedEdit
from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.evidence import (
    Absence,
    Evidence,
    certainty_of,
    gold_span,
    hull,
    strength_of,
)
from sopilot.sop.execution import Execution

ALTERNATIVE_NATS = 10.0
"""What is shown in a step's place may be nothing at all where leaving it out costs less."""
SURE_NATS, SURE_AGAIN_NATS = 32.0, 20.0
"""Evidence below this is a remark to review, never critical; of a repetition the second, since good
executions give hardly any evidence of one (docs/scoring.md 3)."""
WEAK_NATS, CLEAR_NATS = 26.0, 46.0
WEAK_AGAIN_NATS, CLEAR_AGAIN_NATS = 5.0, 20.0
"""Evidence of an edit: none of its strength below the first, all above (docs/scoring.md 4)."""


def nats_strength(kind: EditKind, nats: float) -> float:
    """Strength of an accepted edit, LEAST_STRENGTH-1."""
    if kind == "insert":
        return strength_of(nats, WEAK_AGAIN_NATS, CLEAR_AGAIN_NATS)
    return strength_of(nats, WEAK_NATS, CLEAR_NATS)


def order_findings(evidence: Evidence) -> tuple[dict[int, Absence], list[Finding]]:
    """Units that were left out with their evidence, and the other differences of order."""
    executed = {item.unit for item in evidence.found}
    absent: dict[int, Absence] = {}
    findings: list[Finding] = []
    for number, edit in enumerate(evidence.edits):
        slots = [item for item in evidence.found if item.edit == number]
        if edit.kind == "delete":
            # A unit that a later edit put elsewhere was moved, not left out.
            gone = Absence(edit.gain, certainty_of(evidence, edit.gain, SURE_NATS))
            absent |= {unit: gone for unit in edit.steps if unit not in executed}
        elif slots and (told := _difference(evidence, edit)) is not None:
            findings.append(_order_finding(evidence, edit, slots, told))
    return absent, findings


@dataclass(frozen=True, slots=True)
class _Difference:
    """What an edit means: the unit it is told about and the other one. units: where to look."""

    kind: EventType
    own: int
    other: int | None
    units: tuple[int, ...]


def _difference(evidence: Evidence, edit: AcceptedEdit) -> _Difference | None:
    """What an edit means to a reader; None where no named step has a part in it.

    Unnamed time has nothing to be called by, so what happened to it is told by the step beside it.
    """
    own = edit.steps[0]
    if edit.kind == "swap":
        return _exchange(evidence, own, edit.steps[1], (own, edit.steps[1]))
    if edit.kind == "move":
        return _passing(evidence, own)
    if edit.kind == "replace":
        if _is_named(evidence, own):
            return _Difference(EventType.STEP_DEVIATION, own, edit.shown[0], (own,))
        if not _is_named(evidence, edit.shown[0]):
            return None
        own = edit.shown[0]
    if any(own in past.steps and past.kind == "delete" for past in evidence.edits):
        return _passing(evidence, own)
    kind = EventType.REPEATED_STEP if _is_named(evidence, own) else EventType.EXTRA_ACTION
    return _Difference(kind, own, None, (own,))


def _passing(evidence: Evidence, own: int) -> _Difference | None:
    other = _passed(evidence, own)
    return _exchange(evidence, own, other, (own if _is_named(evidence, own) else other,))


def _exchange(
    evidence: Evidence, own: int, other: int | None, units: tuple[int | None, ...]
) -> _Difference | None:
    """An order_swap, told about the named one of the two."""
    if not _is_named(evidence, own):
        if other is None or not _is_named(evidence, other):
            return None
        own, other = other, own
    return _Difference(EventType.ORDER_SWAP, own, other, tuple(u for u in units if u is not None))


def _is_named(evidence: Evidence, unit: int) -> bool:
    return evidence.model.units[unit].step is not None


def _order_finding(
    evidence: Evidence, edit: AcceptedEdit, slots: Sequence[Execution], told: _Difference
) -> Finding:
    units = evidence.model.units
    shown = [item.span for item in slots]
    if told.own not in {*edit.steps, *edit.shown}:
        # Unnamed time was moved past it: look at the step, where it is now.
        shown = [item.span for item in evidence.found if item.unit == told.own] or shown
    weak = told.kind is EventType.STEP_DEVIATION and all(
        item.deletion_gain > -ALTERNATIVE_NATS for item in slots
    )
    return Finding(
        type=told.kind,
        strength=nats_strength(edit.kind, edit.gain / evidence.price_scale),
        evidence=edit.gain,
        evidence_unit="nats",
        certainty=certainty_of(
            evidence, edit.gain, SURE_AGAIN_NATS if edit.kind == "insert" else SURE_NATS
        ),
        step_index=units[told.own].step,
        gold_span=gold_span(evidence.model, told.units),
        trainee_span=hull(shown),
        other_step_index=None if told.other is None else units[told.other].step,
        alternative=EventType.MISSING_STEP if weak else None,
    )


def _passed(evidence: Evidence, unit: int) -> int | None:
    """The executed unit beside a moved one that stands on its wrong side; a named one if any."""
    order = [item.unit for item in evidence.found]
    place = order.index(unit)
    wrong = [u for u in order[:place] if u > unit] or [u for u in order[place + 1 :] if u < unit]
    named = [u for u in wrong if _is_named(evidence, u)]
    beside = named or wrong
    return beside[-1] if beside else None
