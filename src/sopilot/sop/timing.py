"""Steps and pauses that take too long, and frozen pictures. Called by `sop.findings`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import StepKind
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.evidence import (
    LEAST_MOVING_SEC,
    Evidence,
    StepSlot,
    hull,
    paces,
    pauses,
    slot_at,
    slot_before,
    usual_sec,
)
from sopilot.sop.model import TaskModel, Unit

OVER_RATIO, MARKED_RATIO, OVER_SEC = 1.65, 1.55, 3.0
"""Dwell relative to the usual from which a step takes too long, and seconds that it must take more.
The second for steps marked by a person that are no motion that goes on as it pleases: there good
executions of generated tasks reach 1.50, slow ones begin at 1.56."""
STILL_SHARE, STILL_PERCENTILES = 0.45, (75.0, 90.0)
"""A stretch that moves less than this share of the gold's step, at either percentile of the clips,
is a pause that looks like the step. Movement is relative to each video's median. Generated: runs
that are done again reach 0.47 and more at both, pauses that look like one 0.43 at most at one."""
IDLE_SEC = 6.0
IDLE_ENERGY_RATIO = 0.35
IDLE_SHARE = 0.35
FREEZE_SEC = 1.5
MOST_EDGE_SEC, MOST_EDGE_SHARE = 10.0, 0.25
"""A freeze beside the first or last clip of the work, no longer than this and than this share of
the video, may lie outside the work."""


@dataclass(frozen=True, slots=True)
class _Dwell:
    """A step's time: what it took, what it usually takes, and the longest that is not too long."""

    slot: StepSlot
    taken_sec: float
    usual_sec: float
    most_sec: float


def dwell(evidence: Evidence, skip: set[int]) -> Iterator[Finding]:
    """Steps that took much longer than usual. skip: steps that are told otherwise."""
    for item in _dwells(evidence):
        slot = item.slot
        if slot.step not in skip and item.taken_sec > item.most_sec:
            yield over_time(
                slot.step,
                evidence.model.step_span(slot.step),
                slot.span,
                excess_sec=item.taken_sec - item.usual_sec,
                ratio=item.taken_sec / max(item.usual_sec, 1e-9),
            )


def slowness(evidence: Evidence) -> float:
    """How far the slowest cyclic step is on the way from its usual time to too much of it, 0-1.

    Of a staged one the time follows from its acts, which are judged themselves, and the ends of a
    proposed one are anybody's guess.
    """
    if not evidence.model.steps_are_marked:
        return 0.0
    shares = [
        (item.taken_sec - item.usual_sec) / (item.most_sec - item.usual_sec)
        for item in _dwells(evidence)
        if item.slot.kind is StepKind.CYCLIC
        and item.slot.edit is None
        and item.most_sec > item.usual_sec
    ]
    return float(np.clip(max(shares, default=0.0), 0.0, 1.0))


def _dwells(evidence: Evidence) -> Iterator[_Dwell]:
    for slot, pace in zip(evidence.steps, paces(evidence.steps), strict=True):
        step = evidence.model.steps[slot.step]
        if step.max_duration_sec is not None:
            # A person's limit is of time as it passes, as in the record's time compliance.
            limit_sec = step.max_duration_sec
            yield _Dwell(slot, slot.span.duration_sec, limit_sec, limit_sec)
            continue
        usual = _usual_dwell_sec(evidence.steps, slot, pace)
        usual = max(step.expected_duration_sec or 0.0, usual)
        is_cyclic = slot.kind is StepKind.CYCLIC
        ratio = MARKED_RATIO if evidence.model.steps_are_marked and not is_cyclic else OVER_RATIO
        is_timed = slot.gold_moving_sec >= LEAST_MOVING_SEC
        most_sec = max(ratio * usual, usual + OVER_SEC) if is_timed else np.inf
        yield _Dwell(slot, slot.moving_sec, usual, most_sec)


def over_time(
    step: int | None, gold_span: TimeSpan, span: TimeSpan, *, excess_sec: float, ratio: float
) -> Finding:
    """What took so much longer than usual, and so many times as long."""
    return Finding(
        type=EventType.OVER_TIME,
        strength=float(np.clip(excess_sec / (2 * OVER_SEC), 0.5, 1.0)),
        evidence=ratio,
        evidence_unit="ratio",
        step_index=step,
        gold_span=gold_span,
        trainee_span=span,
        detail="dwell",
    )


def _usual_dwell_sec(slots: Sequence[StepSlot], slot: StepSlot, pace: float) -> float:
    """What a step usually takes this trainee.

    A staged step takes the slowest gold's time at the trainee's pace. A motion that goes on again
    and again has no length of its own: it takes what the trainee's others take. Where nobody said
    which it is, the longer of the two.
    """
    own_sec = slot.gold_moving_sec * pace
    others = [s.moving_sec for s in slots if s is not slot and s.kind is slot.kind]
    if slot.kind is StepKind.STAGED or len(others) < 3:
        return own_sec
    beside_sec = float(np.median(others))
    return beside_sec if slot.kind is StepKind.CYCLIC else max(own_sec, beside_sec)


def work_of(model: TaskModel, trainee: VideoFeatures) -> tuple[int, VideoFeatures]:
    """The video without the time before the work begins and after it ends: clips with hardly any
    of the golds' movement. Returns the first clip left, and the features from there on."""
    moving = np.flatnonzero(trainee.energy >= quiet_level(model))
    if len(moving) == 0:
        return 0, trainee
    first, last = int(moving[0]), int(moving[-1])
    # A clip shows 1.6 s; the neighbours of a moving one see the work begin and end.
    first, stop = max(0, first - 1), min(trainee.clip_count, last + 2)
    if stop - first == trainee.clip_count:
        return 0, trainee
    return first, trainee.clips(first, stop)


def quiet_level(model: TaskModel) -> float:
    """Energy below which hardly anything moves, by what the golds' calmest clips show."""
    energy = np.concatenate([gold.features.energy for gold in model.golds])
    return float(np.percentile(energy, 10)) * IDLE_ENERGY_RATIO


def _pause_level(video: VideoFeatures) -> float:
    """Energy below which nobody works: a share of what this video's clips usually show, since
    sensor noise and a shaking camera move pixels even while the hands rest."""
    return IDLE_SHARE * float(np.median(video.energy))


def idle(evidence: Evidence, known: Sequence[Finding]) -> Iterator[Finding]:
    """Long pauses: clips with hardly any of the video's usual movement, outside known over-time.

    Only what goes beyond the longest pause that a gold makes in the same unit counts.
    """
    golds = evidence.model.golds
    usual = [pauses(gold.features, _pause_level(gold.features)) for gold in golds]
    for span, pause_sec in pauses(evidence.trainee, _pause_level(evidence.trainee)):
        told = any(f.type is EventType.OVER_TIME and f.trainee_span.iou(span) > 0.3 for f in known)
        excess_sec = pause_sec - usual_sec(evidence, usual, span)
        if excess_sec < IDLE_SEC or told:
            continue
        unit = evidence.model.units[slot_at(evidence.found, span).unit]
        yield _pause(unit, span, pause_sec, excess_sec)


def _pause(unit: Unit, span: TimeSpan, pause_sec: float, excess_sec: float) -> Finding:
    return Finding(
        type=EventType.OVER_TIME,
        strength=float(np.clip(excess_sec / (2 * IDLE_SEC), 0.5, 1.0)),
        evidence=pause_sec,
        evidence_unit="seconds",
        step_index=unit.step,
        gold_span=unit.span,
        trainee_span=span,
        detail="idle",
    )


def as_pause(evidence: Evidence, item: Finding) -> Finding | None:
    """A repetition in which hardly anything moves is a pause beside the step that it follows, and
    None where that is short and of no step; every other finding as it is."""
    if item.type not in (EventType.REPEATED_STEP, EventType.EXTRA_ACTION):
        return item
    shown = [item.trainee_span, *_other_showings(evidence, item)]
    still = next((span for span in shown if _is_still(evidence, span, item)), None)
    if still is None:
        return item
    if item.type is EventType.EXTRA_ACTION and still.duration_sec < IDLE_SEC:
        return None
    placed = [slot for slot in evidence.found if slot.edit is None and slot.span != still]
    unit = evidence.model.units[slot_before(placed or evidence.found, still).unit]
    return _pause(unit, still, still.duration_sec, still.duration_sec)


def _other_showings(evidence: Evidence, item: Finding) -> Iterator[TimeSpan]:
    """Where the trainee shows the same time of the gold as well."""
    units = evidence.model.units
    spans = [
        slot.span
        for slot in evidence.found
        if item.gold_span.contains(units[slot.unit].span.centre_sec)
        and not item.trainee_span.contains(slot.span.centre_sec)
    ]
    if spans:
        yield hull(spans)


def _is_still(evidence: Evidence, span: TimeSpan, item: Finding) -> bool:
    gold = evidence.model.golds[0].features
    here, there = _movement(evidence.trainee, span), _movement(gold, item.gold_span)
    if here is None or there is None:
        return False
    if item.type is EventType.EXTRA_ACTION:  # the gold itself may rest there
        there = np.maximum(there, 1.0)
    return bool((here < STILL_SHARE * there).any())


def _movement(video: VideoFeatures, span: TimeSpan) -> NDArray[np.float64] | None:
    """Movement in a span at STILL_PERCENTILES, relative to the video's median; None without any."""
    centres = video.clip_spans.mean(axis=1)
    inside = video.energy[(centres >= span.start_sec) & (centres < span.end_sec)]
    usual = float(np.median(video.energy))
    if len(inside) == 0 or usual <= 0.0:
        return None
    return np.asarray(np.percentile(inside, STILL_PERCENTILES) / usual)


def freezes(evidence: Evidence, known: Sequence[Finding]) -> Iterator[Finding]:
    """Frozen pictures, unless a gold stands still as long in the same step.

    A picture that stands before the work begins or after it ends hides nothing as long as the
    first or the last step is there.
    """
    absent = {item.step_index for item in known if item.type is EventType.MISSING_STEP}
    work = evidence.trainee.clip_spans
    last_step = len(evidence.model.steps) - 1
    most_sec = min(MOST_EDGE_SEC, MOST_EDGE_SHARE * evidence.trainee.duration_sec)
    golds = evidence.model.golds
    usual = [[(own, own.duration_sec) for own in gold.features.freezes] for gold in golds]
    for freeze in evidence.trainee.freezes:
        before = freeze.start_sec < work[0, 1] and 0 not in absent
        after = freeze.end_sec > work[-1, 0] and last_step not in absent
        if (before or after) and freeze.duration_sec <= most_sec:
            continue
        if freeze.duration_sec < usual_sec(evidence, usual, freeze) + FREEZE_SEC:
            continue
        unit = evidence.model.units[slot_at(evidence.found, freeze).unit]
        yield Finding(
            type=EventType.FREEZE,
            strength=float(np.clip(freeze.duration_sec / 3.5, 0.5, 1.0)),
            evidence=freeze.duration_sec,
            evidence_unit="seconds",
            step_index=unit.step,
            gold_span=unit.span,
            trainee_span=freeze,
        )
