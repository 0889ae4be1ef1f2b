"""What the accepted edits of a step order mean: steps left out, exchanged, replaced, repeated.

Called by `sop.findings` where steps are marked. Where unnamed time lies is no difference, as its
absence is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sopilot.align.edits import EditKind
from sopilot.align.search import AcceptedEdit
from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.evidence import (
    Absence,
    Evidence,
    certainty_of,
    edit_strength,
    gold_span,
    hull,
)
from sopilot.sop.execution import Execution

ALTERNATIVE_NATS = 10.0
"""What is shown in a step's place may be nothing at all where leaving it out costs less."""
SURE_NATS, SURE_AGAIN_NATS = 32.0, 20.0
"""Evidence below this is a remark to review, never critical; of a repetition the second, since good
executions give hardly any evidence of one (docs/scoring.md 3)."""
EXTRA_SEC = 3.0
"""Least length of unnamed time that counts when it is shown again (docs/scoring.md 4)."""
WEAK_NATS, FULL_NATS = 26.0, 46.0
WEAK_AGAIN_NATS, FULL_AGAIN_NATS = 5.0, 30.0
"""Evidence of an edit: least strength below the first, all above the second (docs/scoring.md 4)."""


def nats_strength(kind: EditKind, nats: float) -> float:
    """Strength of an accepted edit, LEAST_STRENGTH-1."""
    if kind == "insert":
        return edit_strength(nats, WEAK_AGAIN_NATS, SURE_AGAIN_NATS, FULL_AGAIN_NATS)
    return edit_strength(nats, WEAK_NATS, SURE_NATS, FULL_NATS)


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
        elif edit.keeps_named:
            findings += _extra_action(evidence, edit, slots)
        elif slots:
            findings.append(_order_finding(evidence, edit, slots, _difference(evidence, edit)))
    return absent, findings


@dataclass(frozen=True, slots=True)
class _Difference:
    """What an edit means: the unit it is told about and the other one. units: where to look."""

    kind: EventType
    own: int
    other: int | None
    units: tuple[int, ...]


def _difference(evidence: Evidence, edit: AcceptedEdit) -> _Difference:
    """What an edit in which a named step has a part means to a reader."""
    own = edit.steps[0]
    if edit.kind == "swap":
        return _exchange(evidence, own, edit.steps[1])
    if edit.kind == "move":
        return _moved(evidence, own)
    if edit.kind == "replace":
        if _is_named(evidence, own):
            return _Difference(EventType.STEP_DEVIATION, own, edit.shown[0], (own,))
        own = edit.shown[0]
    if _was_left_out(evidence, own):
        return _moved(evidence, own)
    return _Difference(EventType.REPEATED_STEP, own, None, (own,))


def _extra_action(
    evidence: Evidence, edit: AcceptedEdit, slots: Sequence[Execution]
) -> Iterator[Finding]:
    """What unnamed time that is shown once more means; that it lies elsewhere means nothing."""
    own = edit.steps[0]
    shown_sec = sum(slot.moving_sec for slot in slots)
    if edit.kind == "insert" and shown_sec >= EXTRA_SEC and not _was_left_out(evidence, own):
        told = _Difference(EventType.EXTRA_ACTION, own, None, (own,))
        yield _order_finding(evidence, edit, slots, told)


def _was_left_out(evidence: Evidence, unit: int) -> bool:
    return any(unit in edit.steps and edit.kind == "delete" for edit in evidence.edits)


def _moved(evidence: Evidence, own: int) -> _Difference:
    return _Difference(EventType.ORDER_SWAP, own, _passed(evidence, own), (own,))


def _exchange(evidence: Evidence, one: int, other: int) -> _Difference:
    """Two that stand in each other's place, told about a named one."""
    if not _is_named(evidence, one):
        one, other = other, one
    return _Difference(EventType.ORDER_SWAP, one, other, (one, other))


def _is_named(evidence: Evidence, unit: int) -> bool:
    return evidence.model.units[unit].step is not None


def _order_finding(
    evidence: Evidence, edit: AcceptedEdit, slots: Sequence[Execution], told: _Difference
) -> Finding:
    units = evidence.model.units
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
        trainee_span=hull(item.span for item in slots),
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
