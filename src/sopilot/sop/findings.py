"""From the found order and its executions to findings: what went differently, where, how clearly.

Called by `sop.compare`. Order findings come from the accepted edits; dwell, likeness, idling and
freezes are tested on what was executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sopilot.align.search import AcceptedEdit
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.comparison import Detail, EventType, Finding
from sopilot.sop.execution import Execution
from sopilot.sop.model import TaskModel, frozen_sec

WEAK_NATS, CLEAR_NATS = 28.0, 46.0
"""Evidence of an edit: none of its strength below the first, all above (docs/scoring.md 4)."""
LEAST_STRENGTH = 0.25
PACE_RANGE = (0.6, 1.35)
LEAST_SHORT_PACE = 0.75
"""How far a trainee's own pace may excuse a long dwell, and a short one (docs/scoring.md 4)."""
SHORT_RATIO = 0.9
SHORT_NATS = {True: 5.0, False: 15.0}
VERY_SHORT_RATIO = 0.5
GONE_RATIO = 0.2
"""A step counts as missing when it has less than its usual time and leaving it out explains the
clips better; without any evidence only when next to nothing of it is left. Keys: steps marked by
a person. A proposed step may be half of one, and then a short showing proves less."""
SURE_MISSING_NATS = 25.0
LEAST_MISSING_STRENGTH = 0.9
"""A missing step is critical: whoever reports one must mean it, so that the score of a single one
lies below the usual pass mark of 60 and does not contradict the verdict."""
FOREIGN_COMPARABILITY, FOREIGN_SIMILARITY = 0.45, 0.25
"""Below both, a step's clips show nothing of the task: other videos reach 0.1-0.4 and 0.0-0.25,
other people's executions 0.6-1.1 and 0.3-0.9."""
OVER_RATIO, OVER_SEC = 1.65, 3.0
IDLE_SEC = 6.0
IDLE_ENERGY_RATIO = 0.35
UNLIKE_SPREAD = 0.25
WEAK_UNLIKE, CLEAR_UNLIKE = 1.5, 2.2
"""Excess of a step's log distance over the other steps', in units of their spread and a base."""
FREEZE_SEC = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the tests look at."""

    model: TaskModel
    trainee: VideoFeatures
    comparability: float
    found: tuple[Execution, ...]
    edits: tuple[AcceptedEdit, ...]


def find(evidence: Evidence) -> tuple[Finding, ...]:
    """All findings, in the order of where they show in the trainee."""
    absent, order = _order_findings(evidence)
    cut_short = _cut_short(evidence)
    absent = {**absent, **cut_short}
    findings = [*order]
    findings += _missing(evidence, absent)
    findings += _dwell(evidence, set(cut_short))
    findings += _unlike(evidence, set(cut_short))
    findings += _idle(evidence, findings)
    findings += _freezes(evidence)
    key = lambda item: (item.trainee_span.start_sec, item.type, item.step_index or 0)  # noqa: E731
    return tuple(sorted(findings, key=key))


def nats_strength(nats: float) -> float:
    """Strength of an accepted edit, LEAST_STRENGTH-1."""
    return float(np.clip((nats - WEAK_NATS) / (CLEAR_NATS - WEAK_NATS), LEAST_STRENGTH, 1.0))


def _order_findings(evidence: Evidence) -> tuple[dict[int, float], list[Finding]]:
    """Units that were left out with their evidence, and the other differences of order."""
    model, executed = evidence.model, {item.unit for item in evidence.found}
    absent: dict[int, float] = {}
    findings: list[Finding] = []
    for number, edit in enumerate(evidence.edits):
        slots = [item for item in evidence.found if item.edit == number]
        if edit.kind == "delete":
            # A unit that a later edit put elsewhere was moved, not left out.
            absent |= {unit: edit.gain for unit in edit.steps if unit not in executed}
        elif slots and model.units[edit.steps[0]].step is not None:
            findings += _order_finding(evidence, edit, slots)
    return absent, findings


def _order_finding(
    evidence: Evidence, edit: AcceptedEdit, slots: Sequence[Execution]
) -> Iterator[Finding]:
    units = evidence.model.units
    own = edit.steps[0]
    other: int | None = None
    kind = EventType.ORDER_SWAP
    trainee_span = _hull(item.span for item in slots)
    gold_span = units[own].span
    if edit.kind == "swap":
        other = edit.steps[1]
        gold_span = _hull([gold_span, units[other].span])
    elif edit.kind == "move":
        other = _passed(evidence, own)
    elif edit.kind == "replace":
        kind, other = EventType.STEP_DEVIATION, edit.shown
    elif any(own in past.steps and past.kind == "delete" for past in evidence.edits):
        other = _passed(evidence, own)
    else:
        kind = EventType.REPEATED_STEP
    yield Finding(
        type=kind,
        strength=nats_strength(edit.gain),
        evidence=edit.gain,
        evidence_unit="nats",
        step_index=units[own].step,
        gold_span=gold_span,
        trainee_span=trainee_span,
        other_step_index=None if other is None else units[other].step,
    )


def _passed(evidence: Evidence, unit: int) -> int | None:
    """The executed unit beside a moved one that stands on its wrong side."""
    order = [item.unit for item in evidence.found]
    place = order.index(unit)
    wrong = [u for u in order[:place] if u > unit] or [u for u in order[place + 1 :] if u < unit]
    return wrong[-1] if wrong else None


def _cut_short(evidence: Evidence) -> dict[int, float]:
    """Units that stand in the order but have too little time and evidence; their nats."""
    ratios = []
    for item, pace in zip(evidence.found, _paces(evidence.found), strict=True):
        usual_sec = max(item.gold_moving_sec, 1e-9) * max(pace, LEAST_SHORT_PACE)
        ratios.append(item.moving_sec / usual_sec)
    marked = evidence.model.steps_are_marked
    doubt = [_is_doubtful(e, r) for e, r in zip(evidence.found, ratios, strict=True)]
    gone = [_is_gone(e, r, marked) for e, r in zip(evidence.found, ratios, strict=True)]
    # Steps go missing in runs: what is doubtful beside a missing one is missing as well.
    for number in (*range(1, len(gone)), *range(len(gone) - 2, -1, -1)):
        beside = gone[max(0, number - 1) : number + 2]
        gone[number] = gone[number] or (doubt[number] and any(beside))
    short = {}
    for number, item in enumerate(evidence.found):
        if is_foreign(evidence, item):
            # The less of the task is recognised, the surer; nats of the same strength.
            unknown = 1.0 - evidence.comparability / FOREIGN_COMPARABILITY
            short[item.unit] = SURE_MISSING_NATS * unknown
        elif gone[number]:
            lack = (SHORT_RATIO - ratios[number]) / (SHORT_RATIO - GONE_RATIO)
            short[item.unit] = max(item.deletion_gain, SURE_MISSING_NATS * lack)
    return short


def _is_doubtful(item: Execution, ratio: float) -> bool:
    """Less than half the usual time, and the clips are explained better without the step."""
    return item.edit is None and ratio < VERY_SHORT_RATIO and item.deletion_gain > 0.0


def _is_gone(item: Execution, ratio: float, marked: bool) -> bool:
    """Whether so little of a step is left that it counts as missing."""
    if item.edit is not None:
        return False
    unexplained = ratio < SHORT_RATIO and item.deletion_gain > SHORT_NATS[marked]
    doubtful = _is_doubtful(item, ratio) and (marked or item.similarity < FOREIGN_SIMILARITY)
    return unexplained or doubtful or ratio < GONE_RATIO


def is_foreign(evidence: Evidence, item: Execution) -> bool:
    """Whether a slot shows nothing of the task at all."""
    unknown = evidence.comparability < FOREIGN_COMPARABILITY
    return unknown and item.similarity < FOREIGN_SIMILARITY


def _paces(found: Sequence[Execution]) -> list[float]:
    """Per slot the usual dwell ratio of the other slots, bounded."""
    ratios = np.array([item.moving_sec / max(item.gold_moving_sec, 1e-9) for item in found])
    if len(ratios) < 3:
        return [1.0] * len(ratios)
    low, high = PACE_RANGE
    return [float(np.clip(np.median(np.delete(ratios, i)), low, high)) for i in range(len(ratios))]


def _missing(evidence: Evidence, absent: dict[int, float]) -> Iterator[Finding]:
    units = evidence.model.units
    named = [number for number, unit in enumerate(units) if unit.step is not None]
    for unit, nats in sorted(absent.items()):
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
            strength=float(np.clip(nats / SURE_MISSING_NATS, LEAST_MISSING_STRENGTH, 1.0)),
            evidence=nats,
            evidence_unit="nats",
            step_index=step,
            gold_span=units[unit].span,
            trainee_span=_place_of(evidence, unit),
            detail=detail,
        )


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


def _dwell(evidence: Evidence, skip: set[int]) -> Iterator[Finding]:
    """Steps that took much longer than in the slowest gold at the trainee's own pace."""
    for item, pace in zip(evidence.found, _paces(evidence.found), strict=True):
        number = evidence.model.units[item.unit].step
        if number is None or item.unit in skip:
            continue
        step = evidence.model.steps[number]
        limit_sec = max(item.gold_moving_sec, step.expected_duration_sec or 0.0) * pace
        excess_sec = item.moving_sec - limit_sec
        over = item.moving_sec > OVER_RATIO * limit_sec and excess_sec > OVER_SEC
        if step.max_duration_sec is not None:
            over = item.moving_sec > step.max_duration_sec
        if over:
            yield Finding(
                type=EventType.OVER_TIME,
                strength=float(np.clip(excess_sec / (2 * OVER_SEC), 0.5, 1.0)),
                evidence=item.moving_sec / max(item.gold_moving_sec, 1e-9),
                evidence_unit="ratio",
                step_index=number,
                gold_span=evidence.model.units[item.unit].span,
                trainee_span=item.span,
                detail="dwell",
            )


def _unlike(evidence: Evidence, skip: set[int]) -> Iterator[Finding]:
    """Steps in their place that look or move otherwise than in every gold.

    One gold cannot show how much people differ, so the trainee's other steps serve as measure.
    """
    for number, item in enumerate(evidence.found):
        step = evidence.model.units[item.unit].step
        if step is None or item.unit in skip or item.edit is not None:
            continue
        excess = unlikeness(evidence.found, number)
        if excess > WEAK_UNLIKE:
            share = (excess - WEAK_UNLIKE) / (CLEAR_UNLIKE - WEAK_UNLIKE)
            yield Finding(
                type=EventType.STEP_DEVIATION,
                strength=float(np.clip(LEAST_STRENGTH + share, LEAST_STRENGTH, 1.0)),
                evidence=excess,
                evidence_unit="distance",
                step_index=step,
                gold_span=evidence.model.units[item.unit].span,
                trainee_span=item.span,
            )


def unlikeness(found: Sequence[Execution], number: int) -> float:
    """How far slot `number` is from every gold, against the other slots; 0 with fewer than 3."""
    if len(found) < 3:
        return 0.0
    distances = np.array([item.log_distances for item in found])
    others = np.delete(distances, number, axis=0)
    excess = distances[number] - np.median(others, axis=0)
    return float((excess / (UNLIKE_SPREAD + others.std(axis=0))).min())


def _idle(evidence: Evidence, known: Sequence[Finding]) -> Iterator[Finding]:
    """Long pauses: clips with hardly any of the gold's movement, outside known over-time."""
    trainee = evidence.trainee
    level = np.percentile(evidence.model.golds[0].features.energy, 10) * IDLE_ENERGY_RATIO
    slow = np.concatenate([[False], trainee.energy < level, [False]])
    flips = np.flatnonzero(slow[1:] != slow[:-1])
    for first, last in zip(flips[::2], flips[1::2], strict=True):
        span = TimeSpan(float(trainee.clip_spans[first, 0]), float(trainee.clip_spans[last - 1, 1]))
        pause_sec = span.duration_sec - frozen_sec(trainee, span)
        told = any(f.type is EventType.OVER_TIME and f.trainee_span.iou(span) > 0.3 for f in known)
        if pause_sec < IDLE_SEC or told:
            continue
        item = min(evidence.found, key=lambda e: abs(e.span.centre_sec - span.centre_sec))
        yield Finding(
            type=EventType.OVER_TIME,
            strength=float(np.clip(pause_sec / (2 * IDLE_SEC), 0.5, 1.0)),
            evidence=pause_sec,
            evidence_unit="seconds",
            step_index=evidence.model.units[item.unit].step,
            gold_span=evidence.model.units[item.unit].span,
            trainee_span=span,
            detail="idle",
        )


def _freezes(evidence: Evidence) -> Iterator[Finding]:
    """Frozen pictures, unless a gold stands still as long in the same step."""
    for freeze in evidence.trainee.freezes:
        item = min(evidence.found, key=lambda e: abs(e.span.centre_sec - freeze.centre_sec))
        inside = [e for e in evidence.found if e.span.overlap_sec(freeze) > 0]
        item = max(inside, key=lambda e: e.span.overlap_sec(freeze), default=item)
        unit = evidence.model.units[item.unit]
        allowed = max(
            (g.duration_sec for gold in evidence.model.golds for g in gold.features.freezes),
            default=0.0,
        )
        if freeze.duration_sec < allowed + FREEZE_SEC:
            continue
        yield Finding(
            type=EventType.FREEZE,
            strength=float(np.clip(freeze.duration_sec / 3.5, 0.5, 1.0)),
            evidence=freeze.duration_sec,
            evidence_unit="seconds",
            step_index=unit.step,
            gold_span=unit.span,
            trainee_span=freeze,
        )


def _hull(spans: Iterator[TimeSpan] | Sequence[TimeSpan]) -> TimeSpan:
    listed = list(spans)
    return TimeSpan(min(s.start_sec for s in listed), max(s.end_sec for s in listed))
