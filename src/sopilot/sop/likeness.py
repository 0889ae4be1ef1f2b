"""Steps in their place that look or move otherwise than in every gold. Called by `sop.findings`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import StepKind
from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.evidence import Evidence, StepSlot, graded_strength, is_steady
from sopilot.sop.model import TaskModel
from sopilot.sop.outcome import outcome_distances
from sopilot.sop.residual import StepClips, repeats_alike, step_distances, unlikeness

UNKNOWN_RATIO, UNKNOWN_BESIDE = 0.35, 0.5
"""Likeness relative to the gold's re-recordings below which a step is like nothing, and its largest
share of the other steps'. The stranger a step, the more it shifts the video's mean and with it the
other steps, so that the distances alone would judge it milder."""
LEAST_LAYOUT = 0.55
"""Where the layout's confidence is less, the camera stands elsewhere or the hands fill the
picture, and what is left of the parts says more about the person than about the step."""
MOVED_CELLS = 1.0
"""A camera that stands this far elsewhere (a cell is 6 % of the picture's width) shows other parts
of the work."""
LEAST_UNLIKE_CLIPS, LEAST_PROPOSED_CLIPS = 3, 6
"""Fewer clips than this may all be blurred with a neighbour's; the second where the step was
proposed, so that its boundaries are anybody's guess."""
USUAL_CLIPS = 12
"""Steps of fewer clips are less surely unlike, by the root of their share: good executions of
generated tasks scatter by 0.7 from 14 clips on, by 0.95 with six to nine."""
STRENGTH_AT_CLEAR, MOST_SHARE = 0.9, 1.8
"""Strength at the second threshold; full strength is reached at so many times of it."""
COPY_SHARE = 0.5
"""Share of a re-recording's distance from the gold; a copy stays below, in whatever it differs."""


def unlike(evidence: Evidence, levels: NDArray[np.float64], skip: set[int]) -> Iterator[Finding]:
    """Deviations of steps that are in their place. levels: from `step_unlikeness`. skip: steps that
    are told otherwise.

    One gold cannot show how much people differ, so the trainee's other steps serve as measure.
    """
    weak, clear = thresholds(evidence.model)
    for slot, value in zip(evidence.steps, levels, strict=True):
        if slot.step in skip or value <= weak:
            continue
        yield Finding(
            type=EventType.STEP_DEVIATION,
            strength=graded_strength(
                float(value), weak, clear, MOST_SHARE * clear, STRENGTH_AT_CLEAR
            ),
            evidence=float(value),
            evidence_unit="distance",
            certainty="clear" if value >= clear and len(evidence.model.golds) > 1 else "review",
            step_index=slot.step,
            gold_span=evidence.model.step_span(slot.step),
            trainee_span=slot.span,
        )


def thresholds(model: TaskModel) -> tuple[float, float]:
    """Unlikeness from which a step of this task deviates, and from which it does so clearly."""
    weak, clear = model.method.unlike_from(len(model.golds))
    factor = model.calibration.unlike_factor
    return weak * factor, clear * factor


def step_unlikeness(evidence: Evidence) -> NDArray[np.float64]:
    """(len(evidence.steps),) how unlike the golds each step is done; 0 where it is not tested."""
    slots = evidence.steps
    clips = [StepClips(slot.step, slot.clips) for slot in slots]
    golds = evidence.model.golds
    if not slots or not _can_tell(evidence):
        return np.zeros(len(slots))
    beyond = [
        step_distances(gold.parts, gold.steps, evidence.reading.parts, clips)
        - gold.null_distances[:, [slot.step for slot in slots]]
        for gold in golds
    ]
    outcomes = [
        outcome_distances(gold.changes, evidence.reading.scenes, clips)
        - gold.null_outcomes[[slot.step for slot in slots]]
        for gold in golds
    ]
    alike = all(repeats_alike(gold.features, evidence.trainee) for gold in golds)
    levels = unlikeness(beyond, tuple(golds[0].parts), outcomes, with_motion=alike)
    counts = np.array([len(slot.clips) for slot in slots])
    levels *= np.minimum(1.0, np.sqrt(counts / USUAL_CLIPS))
    if evidence.reading.shaken is not None:
        levels = levels + evidence.reading.shaken[[slot.step for slot in slots]]
    ratios = np.array([slot.likeness for slot in slots])
    clear = thresholds(evidence.model)[1]
    marked = evidence.model.steps_are_marked
    least_clips = LEAST_UNLIKE_CLIPS if marked else LEAST_PROPOSED_CLIPS
    for number, slot in enumerate(slots):
        beside = np.delete(ratios, number)
        is_short = len(slot.clips) < least_clips
        if is_short or _is_copy(slot) or _goes_on(evidence.model, slot):
            levels[number] = 0.0
            continue
        if len(beside) > 1 and ratios[number] < min(
            UNKNOWN_RATIO, UNKNOWN_BESIDE * float(np.median(beside))
        ):
            levels[number] = max(levels[number], clear)
    return levels


def _can_tell(evidence: Evidence) -> bool:
    """Whether the camera stands where the gold's stood, and the layout says something."""
    reading = evidence.reading
    layout = reading.confidences.get("layout", 1.0)
    return bool(reading.parts) and layout >= LEAST_LAYOUT and reading.camera_cells < MOVED_CELLS


def _goes_on(model: TaskModel, slot: StepSlot) -> bool:
    """Whether a step is one motion that goes on: said to be, or proposed and looking so."""
    units = [number for number, unit in enumerate(model.units) if unit.step == slot.step]
    proposed = not model.steps_are_marked
    return slot.kind is StepKind.CYCLIC or (proposed and is_steady(model, units))


def _is_copy(slot: StepSlot) -> bool:
    """Whether a slot is nearer to the gold itself than to a re-recording: the same pictures."""
    return 1.0 - slot.similarity < COPY_SHARE * (1.0 - slot.expected)
