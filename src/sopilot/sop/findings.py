"""From the found order and its executions to findings: what went differently, where, how clearly.

Called by `sop.judgement`. Each kind of test has a module of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sopilot.core.timespan import TimeSpan
from sopilot.sop.comparison import Detail, EventType, Finding
from sopilot.sop.evidence import Absence, Evidence, missing_strength, paces
from sopilot.sop.incomplete import SURE_MISSING_NATS, cut_short
from sopilot.sop.likeness import unlike
from sopilot.sop.model import TaskModel
from sopilot.sop.order import order_findings
from sopilot.sop.runs import run_findings
from sopilot.sop.stretches import hardly_shown, over_long
from sopilot.sop.timing import as_pause, dwell, freezes, idle

OTHER_TIME_SHARE = 0.6
"""Share of a missing step's time that its neighbours take in addition: it may have been done in
another way."""
WAIT_IOU = 0.5
OWN_MARGIN, OWN_DWELL_MARGIN = 1.25, 1.1
"""A finding that a gold has itself counts only where its evidence exceeds the gold's so far; the
second for times, which are known to a clip or two."""


def find(evidence: Evidence, levels: NDArray[np.float64]) -> tuple[Finding, ...]:
    """All findings, in the order of where they show in the trainee.

    levels: (len(evidence.steps),) of `likeness.step_unlikeness`.
    """
    if evidence.model.method.chunked(evidence.model.steps_are_marked):
        findings = run_findings(evidence)
        findings += dwell(evidence, _told(findings))
        if evidence.model.method.stretches:
            findings += over_long(evidence, _told(findings))
        if evidence.model.method.unlike:
            findings += unlike(evidence, levels, _told(findings) | _cut_off(evidence, findings))
        if evidence.model.method.stretches:
            findings += hardly_shown(evidence, _told(findings))
    else:
        findings = _step_findings(evidence, levels)
    if evidence.model.method.tell_pauses:
        told = [as_pause(evidence, item) for item in findings]
        findings = [item for item in told if item is not None]
    waits = list(idle(evidence, findings))
    # A pause in the middle of a step shows its rest position once more: it is not done again.
    findings = [item for item in findings if not _is_wait(item, waits)] + waits
    findings += freezes(evidence, findings)
    findings = [item for item in findings if not _is_own(evidence.model, item)]
    key = lambda item: (item.trainee_span.start_sec, item.type, item.step_index or 0)  # noqa: E731
    return tuple(sorted(findings, key=key))


def _step_findings(evidence: Evidence, levels: NDArray[np.float64]) -> list[Finding]:
    absent, order = order_findings(evidence)
    short = cut_short(evidence, set(absent)) if evidence.model.method.cut_short else {}
    findings = [*order, *_missing(evidence, {**absent, **short})]
    steps = {step for unit in short if (step := evidence.model.units[unit].step) is not None}
    findings += dwell(evidence, steps)
    if evidence.model.method.unlike:
        moved = {slot.step for slot in evidence.steps if slot.edit is not None}
        findings += unlike(evidence, levels, steps | moved | _cut_off(evidence, findings))
    return findings


def _cut_off(evidence: Evidence, findings: Sequence[Finding]) -> set[int]:
    """The steps beside a missing start or tail: a recording that begins late or ends early hides
    part of them, which is no other way of working."""
    details = {item.detail for item in findings if item.type is EventType.MISSING_STEP}
    ends = [("start", evidence.steps[:1]), ("tail", evidence.steps[-1:])]
    return {slot.step for detail, slots in ends if detail in details for slot in slots}


def _told(findings: Sequence[Finding]) -> set[int]:
    """The steps that findings are about."""
    about = {item.step_index for item in findings} | {item.other_step_index for item in findings}
    return {step for step in about if step is not None}


def _is_wait(item: Finding, waits: Sequence[Finding]) -> bool:
    """Whether a repetition is nothing but a pause."""
    return item.type is EventType.REPEATED_STEP and any(
        item.trainee_span.iou(wait.trainee_span) > WAIT_IOU for wait in waits
    )


def _is_own(model: TaskModel, item: Finding) -> bool:
    """Whether a gold shows the same about as clearly; a limit that a person set holds for all."""
    margin = OWN_MARGIN
    if item.step_index is not None and item.detail == "dwell":
        margin = OWN_DWELL_MARGIN
        if model.steps[item.step_index].max_duration_sec is not None:
            return False
    return any(
        (own.type, own.step_index, own.detail) == (item.type, item.step_index, item.detail)
        and item.evidence <= margin * own.evidence
        for own in model.own.findings
    )


def _missing(evidence: Evidence, absent: dict[int, Absence]) -> Iterator[Finding]:
    units = evidence.model.units
    named = [number for number, unit in enumerate(units) if unit.step is not None]
    for unit, absence in sorted(absent.items(), key=lambda item: item[0]):
        step = units[unit].step
        if step is None:
            continue
        detail: Detail = "inner"
        if all(number in absent for number in named if number < unit):
            detail = "start"
        elif all(number in absent for number in named if number > unit):
            detail = "tail"
        yield Finding(
            type=EventType.MISSING_STEP,
            strength=missing_strength(absence.nats / SURE_MISSING_NATS, absence.certainty),
            evidence=absence.nats,
            evidence_unit="nats",
            step_index=step,
            gold_span=units[unit].span,
            trainee_span=_place_of(evidence, unit),
            detail=detail,
            certainty=absence.certainty,
            alternative=EventType.STEP_DEVIATION if _has_time(evidence, unit) else None,
        )


def _has_time(evidence: Evidence, unit: int) -> bool:
    """Whether the steps beside a missing one take its time as well: something was done there."""
    model = evidence.model
    usual_sec = model.gold_moving_sec(unit)
    spare_sec = 0.0
    for item, pace in zip(evidence.found, paces(evidence.found), strict=True):
        if abs(item.unit - unit) == 1:
            spare_sec += max(0.0, item.moving_sec - item.gold_moving_sec * pace)
    return usual_sec > 0.0 and spare_sec >= OTHER_TIME_SHARE * usual_sec


def _place_of(evidence: Evidence, unit: int) -> TimeSpan:
    """Where in the trainee a unit that was left out should have been."""
    own = [item.span for item in evidence.found if item.unit == unit]
    if own:
        return own[0]
    before = [item for item in evidence.found if item.unit < unit]
    if not before:
        return TimeSpan(0.0, 0.0)
    moment = max(before, key=lambda item: (item.unit, item.span.end_sec)).span.end_sec
    return TimeSpan(moment, moment)
