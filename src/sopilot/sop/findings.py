"""From the found order and its executions to findings: what went differently, where, how clearly.

Called by `sop.judgement`. Order findings come from the accepted edits; dwell, likeness, idling and
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
UNKNOWN_RATIO, UNKNOWN_BESIDE = 0.35, 0.5
"""Likeness relative to the gold's re-recordings below which a step is like nothing, and its largest
share of the other steps'. The stranger a step, the more it shifts the video's mean and with it the
other steps, so that the distances alone would judge it milder."""
LEAST_UNLIKE_CLIPS = 3
"""Fewer clips than this may all be blurred with a neighbour's."""
COPY_SHARE = 0.5
"""Share of a re-recording's distance from the gold; a copy stays below, in whatever it differs."""
FREEZE_SEC = 1.5
LEAST_MOVING_SEC = 1.0
"""Where every gold moves for less than this there is no usual time to compare with."""
OWN_MARGIN = 1.25
"""A finding that a gold has itself counts only where its evidence exceeds the gold's so far."""


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
    findings = [item for item in findings if not _is_own(evidence.model, item)]
    key = lambda item: (item.trainee_span.start_sec, item.type, item.step_index or 0)  # noqa: E731
    return tuple(sorted(findings, key=key))


def _is_own(model: TaskModel, item: Finding) -> bool:
    """Whether a gold shows the same about as clearly; a limit that a person set holds for all."""
    if item.step_index is not None and item.detail == "dwell":
        if model.steps[item.step_index].max_duration_sec is not None:
            return False
    return any(
        (own.type, own.step_index, own.detail) == (item.type, item.step_index, item.detail)
        and item.evidence <= OWN_MARGIN * own.evidence
        for own in model.own.findings
    )


def nats_strength(nats: float) -> float:
    """Strength of an accepted edit, LEAST_STRENGTH-1."""
    return float(np.clip((nats - WEAK_NATS) / (CLEAR_NATS - WEAK_NATS), LEAST_STRENGTH, 1.0))


def _order_findings(evidence: Evidence) -> tuple[dict[int, float], list[Finding]]:
    """Units that were left out with their evidence, and the other differences of order."""
    executed = {item.unit for item in evidence.found}
    absent: dict[int, float] = {}
    findings: list[Finding] = []
    for number, edit in enumerate(evidence.edits):
        slots = [item for item in evidence.found if item.edit == number]
        if edit.kind == "delete":
            # A unit that a later edit put elsewhere was moved, not left out.
            absent |= {unit: edit.gain for unit in edit.steps if unit not in executed}
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
            return _Difference(EventType.STEP_DEVIATION, own, edit.shown, (own,))
        if edit.shown is None or not _is_named(evidence, edit.shown):
            return None
        own = edit.shown
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
    if told.own not in {*edit.steps, edit.shown}:
        # Unnamed time was moved past it: look at the step, where it is now.
        shown = [item.span for item in evidence.found if item.unit == told.own] or shown
    return Finding(
        type=told.kind,
        strength=nats_strength(edit.gain),
        evidence=edit.gain,
        evidence_unit="nats",
        step_index=units[told.own].step,
        gold_span=_hull([units[unit].span for unit in told.units]),
        trainee_span=_hull(shown),
        other_step_index=None if told.other is None else units[told.other].step,
    )


def _passed(evidence: Evidence, unit: int) -> int | None:
    """The executed unit beside a moved one that stands on its wrong side; a named one if any."""
    order = [item.unit for item in evidence.found]
    place = order.index(unit)
    wrong = [u for u in order[:place] if u > unit] or [u for u in order[place + 1 :] if u < unit]
    named = [u for u in wrong if _is_named(evidence, u)]
    beside = named or wrong
    return beside[-1] if beside else None


def _cut_short(evidence: Evidence) -> dict[int, float]:
    """Units that stand in the order but have too little time and evidence; their nats."""
    ratios = []
    for item, pace in zip(evidence.found, _paces(evidence.found), strict=True):
        usual_sec = item.gold_moving_sec * max(pace, LEAST_SHORT_PACE)
        has_usual = item.gold_moving_sec >= LEAST_MOVING_SEC
        ratios.append(item.moving_sec / usual_sec if has_usual else 1.0)
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
    timed = np.array([item.gold_moving_sec >= LEAST_MOVING_SEC for item in found])
    ratios = np.array([item.moving_sec / max(item.gold_moving_sec, 1e-9) for item in found])
    low, high = PACE_RANGE
    paces = []
    for number in range(len(found)):
        others = np.delete(ratios, number)[np.delete(timed, number)]
        # Two others, one of which may itself be the odd one, are the least that tell a pace.
        paces.append(float(np.clip(np.median(others), low, high)) if len(others) > 1 else 1.0)
    return paces


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
        usual_sec = max(item.gold_moving_sec, step.expected_duration_sec or 0.0)
        excess_sec = item.moving_sec - usual_sec * pace
        over = item.moving_sec > OVER_RATIO * usual_sec * pace and excess_sec > OVER_SEC
        over = over and usual_sec >= LEAST_MOVING_SEC
        if step.max_duration_sec is not None:
            # A person's limit is of time as it passes, as in the record's time compliance.
            excess_sec = item.span.duration_sec - step.max_duration_sec
            over = excess_sec > 0.0
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
        if len(item.clips) < LEAST_UNLIKE_CLIPS or _is_copy(item):
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


def _is_copy(item: Execution) -> bool:
    """Whether a slot is nearer to the gold itself than to a re-recording: the same pictures."""
    return 1.0 - item.similarity < COPY_SHARE * (1.0 - item.expected)


def unlikeness(found: Sequence[Execution], number: int) -> float:
    """How far slot `number` is from every gold, against the other slots; 0 with fewer than 3."""
    if len(found) < 3:
        return 0.0
    distances = np.array([item.log_distances for item in found])
    others = np.delete(distances, number, axis=0)
    excess = distances[number] - np.median(others, axis=0)
    unlike = float((excess / (UNLIKE_SPREAD + others.std(axis=0))).min())
    levels = np.array([item.similarity / max(item.expected, 1e-9) for item in found])
    beside = float(np.median(np.delete(levels, number)))
    if levels[number] < min(UNKNOWN_RATIO, UNKNOWN_BESIDE * beside):
        return max(unlike, CLEAR_UNLIKE)
    return unlike


def _idle(evidence: Evidence, known: Sequence[Finding]) -> Iterator[Finding]:
    """Long pauses: clips with hardly any of the golds' movement, outside known over-time.

    Only what goes beyond the longest pause that a gold makes in the same unit counts.
    """
    golds = evidence.model.golds
    energy = np.concatenate([gold.features.energy for gold in golds])
    level = float(np.percentile(energy, 10)) * IDLE_ENERGY_RATIO
    usual = [_pauses(gold.features, level) for gold in golds]
    for span, pause_sec in _pauses(evidence.trainee, level):
        told = any(f.type is EventType.OVER_TIME and f.trainee_span.iou(span) > 0.3 for f in known)
        excess_sec = pause_sec - _usual_sec(evidence, usual, span)
        if excess_sec < IDLE_SEC or told:
            continue
        item = _slot_at(evidence.found, span)
        yield Finding(
            type=EventType.OVER_TIME,
            strength=float(np.clip(excess_sec / (2 * IDLE_SEC), 0.5, 1.0)),
            evidence=pause_sec,
            evidence_unit="seconds",
            step_index=evidence.model.units[item.unit].step,
            gold_span=evidence.model.units[item.unit].span,
            trainee_span=span,
            detail="idle",
        )


def _pauses(video: VideoFeatures, level: float) -> list[tuple[TimeSpan, float]]:
    """Runs of clips with less energy than the level, and their seconds without frozen time."""
    slow = np.concatenate([[False], video.energy < level, [False]])
    flips = np.flatnonzero(slow[1:] != slow[:-1])
    spans = [
        TimeSpan(float(video.clip_spans[first, 0]), float(video.clip_spans[last - 1, 1]))
        for first, last in zip(flips[::2], flips[1::2], strict=True)
    ]
    return [(span, span.duration_sec - frozen_sec(video, span)) for span in spans]


def _usual_sec(
    evidence: Evidence, usual: Sequence[Sequence[tuple[TimeSpan, float]]], span: TimeSpan
) -> float:
    """Longest of the golds' own stretches in the units that a span of the trainee lies in.

    usual: per gold its stretches with the seconds that count.
    """
    inside = {item.unit for item in evidence.found if _lies_in(span, item.span)}
    return max(
        (
            seconds
            for gold, own in zip(evidence.model.golds, usual, strict=True)
            for stretch, seconds in own
            if any(_lies_in(stretch, gold.spans[unit]) for unit in inside)
        ),
        default=0.0,
    )


def _lies_in(stretch: TimeSpan, unit: TimeSpan) -> bool:
    """Whether half of a stretch lies in a unit, or half of the unit in it."""
    shortest_sec = min(stretch.duration_sec, unit.duration_sec)
    return stretch.overlap_sec(unit) > 0.5 * shortest_sec


def _slot_at(found: Sequence[Execution], span: TimeSpan) -> Execution:
    """The slot that shares most time with a span; the nearest where none does."""
    return max(
        found,
        key=lambda e: (e.span.overlap_sec(span), -abs(e.span.centre_sec - span.centre_sec)),
    )


def _freezes(evidence: Evidence) -> Iterator[Finding]:
    """Frozen pictures, unless a gold stands still as long in the same step."""
    golds = evidence.model.golds
    usual = [[(own, own.duration_sec) for own in gold.features.freezes] for gold in golds]
    for freeze in evidence.trainee.freezes:
        if freeze.duration_sec < _usual_sec(evidence, usual, freeze) + FREEZE_SEC:
            continue
        unit = evidence.model.units[_slot_at(evidence.found, freeze).unit]
        yield Finding(
            type=EventType.FREEZE,
            strength=float(np.clip(freeze.duration_sec / 3.5, 0.5, 1.0)),
            evidence=freeze.duration_sec,
            evidence_unit="seconds",
            step_index=unit.step,
            gold_span=unit.span,
            trainee_span=freeze,
        )


def _hull(spans: Sequence[TimeSpan]) -> TimeSpan:
    return TimeSpan(min(s.start_sec for s in spans), max(s.end_sec for s in spans))
