"""What the accepted edits of runs of chunks mean, where no step is marked.

Called by `sop.findings`. Chunks are equal pieces of the gold inside proposed steps; a finding is
about the gold's time in the run, and carries the proposed step that it touches most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from sopilot.align.edits import EditKind
from sopilot.align.search import AcceptedEdit
from sopilot.core.timespan import TimeSpan
from sopilot.sop.comparison import Detail, EventType, Finding
from sopilot.sop.evidence import (
    Evidence,
    certainty_of,
    edit_strength,
    gold_span,
    hull,
    missing_strength,
    most_common_step,
)

WEAK_NATS: Mapping[EditKind, float] = {"exchange": 14.0, "insert": 28.0, "replace": 28.0}
SURE_NATS: Mapping[EditKind, float] = {"exchange": 23.0, "insert": 36.0, "replace": 44.0}
FULL_NATS: Mapping[EditKind, float] = {"exchange": 26.0, "insert": 44.0, "replace": 60.0}
FULL_MISSING_NATS = 26.0
"""Evidence of an edit: least strength below the first, clear at the second, full at the third."""
SURE_MISSING_NATS = 28.0
"""Evidence below this is a remark to review, never critical."""
MOST_OF_STEP = 0.6
"""A run that covers so much of several proposed steps is told step by step."""


def run_findings(evidence: Evidence) -> list[Finding]:
    """Findings of the edits; what was left out in one place and done in another was moved."""
    executed = {item.unit for item in evidence.found}
    findings: list[Finding] = []
    for number, edit in enumerate(evidence.edits):
        if edit.kind == "delete":
            gone = [unit for unit in edit.steps if unit not in executed]
            for run in _runs(gone):
                findings += _missing(evidence, run, edit.gain)
        else:
            findings.append(_other(evidence, number, edit))
    return findings


def _runs(units: Sequence[int]) -> Iterator[range]:
    """Neighbouring units together."""
    starts = [k for k, unit in enumerate(units) if k == 0 or unit != units[k - 1] + 1]
    for first, last in pairwise([*starts, len(units)]):
        yield range(units[first], units[last - 1] + 1)


def _missing(evidence: Evidence, run: range, nats: float) -> Iterator[Finding]:
    """One finding a run; one a step where the run covers most of several."""
    model = evidence.model
    steps = sorted({step for unit in run if (step := model.units[unit].step) is not None})
    whole = [step for step in steps if _covered(evidence, run, step) >= MOST_OF_STEP]
    told = whole or [max(steps, key=lambda step: _covered(evidence, run, step))]
    detail: Detail = "inner"
    if run.start == 0:
        detail = "start"
    elif run.stop == len(model.units):
        detail = "tail"
    edges = [run.start]
    edges += [next(unit for unit in run if model.units[unit].step == step) for step in told[1:]]
    certainty = certainty_of(evidence, nats, SURE_MISSING_NATS)
    for step, part in zip(told, pairwise([*edges, run.stop]), strict=True):
        yield Finding(
            type=EventType.MISSING_STEP,
            strength=missing_strength(nats / evidence.price_scale / FULL_MISSING_NATS, certainty),
            evidence=nats,
            evidence_unit="nats",
            certainty=certainty,
            step_index=step,
            gold_span=gold_span(model, range(*part)),
            trainee_span=_place_of(evidence, run.start),
            detail=detail,
        )


def _covered(evidence: Evidence, run: range, step: int) -> float:
    own = [k for k, unit in enumerate(evidence.model.units) if unit.step == step]
    return sum(k in run for k in own) / len(own)


def _other(evidence: Evidence, number: int, edit: AcceptedEdit) -> Finding:
    kind = {
        "exchange": EventType.ORDER_SWAP,
        "insert": EventType.REPEATED_STEP,
        "replace": EventType.STEP_DEVIATION,
    }[edit.kind]
    slots = [item for item in evidence.found if item.edit == number]
    about = (*edit.steps, *edit.shown) if edit.kind == "exchange" else edit.steps
    shown = [item.span for item in slots] or [_place_of(evidence, min(edit.steps))]
    return Finding(
        type=kind,
        strength=edit_strength(
            edit.gain / evidence.price_scale,
            WEAK_NATS[edit.kind],
            SURE_NATS[edit.kind],
            FULL_NATS[edit.kind],
        ),
        evidence=edit.gain,
        evidence_unit="nats",
        certainty=certainty_of(evidence, edit.gain, SURE_NATS[edit.kind]),
        step_index=most_common_step(evidence.model, edit.steps),
        gold_span=gold_span(evidence.model, about),
        trainee_span=hull(shown),
        other_step_index=most_common_step(evidence.model, edit.shown) if edit.shown else None,
    )


def _place_of(evidence: Evidence, unit: int) -> TimeSpan:
    """Where in the trainee a unit that was left out should have been."""
    before = [item for item in evidence.found if item.unit < unit]
    if not before:
        return TimeSpan(0.0, 0.0)
    moment = max(before, key=lambda item: (item.unit, item.span.end_sec)).span.end_sec
    return TimeSpan(moment, moment)
