"""What the tests on a trainee look at: the model, the trainee, the executed slots, the edits.

Made by `sop.judgement`, read by the modules that `sop.findings` asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sopilot.align.search import AcceptedEdit
from sopilot.core.records import StepKind
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.comparison import Certainty
from sopilot.sop.execution import Execution, Likeness
from sopilot.sop.model import Reading, TaskModel, frozen_sec

LEAST_STRENGTH = 0.18
LEAST_MISSING_STRENGTH, REVIEW_STRENGTH = 0.9, 0.45
EDIT_AT_SURE = 0.96
"""Strength of an edit whose evidence is just clear: at the usual pass mark it costs the pass."""
LEAST_MOVING_SEC = 1.0
"""Where every gold moves for less than this there is no usual time to compare with."""
PACE_RANGE = (0.6, 1.35)
"""How far a trainee's own pace may excuse a long dwell (docs/scoring.md 4)."""
MOST_STEADY = 0.44
"""`kinds.steadiness` from which a gold goes on with one motion. Over whole golds it is 0.16-0.27 on
generated tasks, 0.31 on the filter swap, 0.59-0.67 on hand washing."""


@dataclass(frozen=True, slots=True)
class StepSlot:
    """A step where it was done: one slot of the found order, or neighbouring chunks together.

    edit, moving_sec, gold_moving_sec, similarity, expected: as of `Execution`.
    """

    step: int
    kind: StepKind | None
    span: TimeSpan
    clips: range
    edit: int | None
    moving_sec: float
    gold_moving_sec: float
    similarity: float
    expected: float

    @property
    def likeness(self) -> float:
        """Similarity relative to re-recordings, see `Likeness.ratio`."""
        return Likeness(self.similarity, self.expected).ratio


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the tests look at. steps: the found slots that belong to a step."""

    model: TaskModel
    trainee: VideoFeatures
    reading: Reading
    found: tuple[Execution, ...]
    edits: tuple[AcceptedEdit, ...]
    steps: tuple[StepSlot, ...]

    @property
    def price_scale(self) -> float:
        """What the evidence of edits is divided by before it is called weak or clear."""
        return self.model.price_scale(self.reading)


def step_slots(model: TaskModel, found: Sequence[Execution]) -> tuple[StepSlot, ...]:
    """The found slots that belong to a step; neighbouring chunks of one step are one slot."""
    groups: list[list[Execution]] = []
    for item in found:
        last = groups[-1][-1] if groups else None
        if model.units[item.unit].step is None:
            continue
        if last is not None and _continues(model, last, item):
            groups[-1].append(item)
        else:
            groups.append([item])
    return tuple(_slot(model, group) for group in groups)


def _continues(model: TaskModel, last: Execution, item: Execution) -> bool:
    same = model.units[last.unit].step == model.units[item.unit].step
    return same and item.unit > last.unit and item.edit == last.edit


def _slot(model: TaskModel, group: Sequence[Execution]) -> StepSlot:
    step = model.units[group[0].unit].step
    weights = np.array([max(1, len(item.clips)) for item in group], dtype=np.float64)
    return StepSlot(
        step=step if step is not None else -1,
        kind=model.kinds[group[0].unit],
        span=TimeSpan(group[0].span.start_sec, group[-1].span.end_sec),
        clips=range(group[0].clips.start, group[-1].clips.stop),
        edit=group[0].edit,
        moving_sec=sum(item.moving_sec for item in group),
        gold_moving_sec=sum(item.gold_moving_sec for item in group),
        similarity=float(np.average([item.similarity for item in group], weights=weights)),
        expected=float(np.average([item.expected for item in group], weights=weights)),
    )


def strength_of(value: float, weak: float, clear: float) -> float:
    """Strength LEAST_STRENGTH-1 of a value: least at weak and below, full at clear and above."""
    return float(np.clip((value - weak) / (clear - weak), LEAST_STRENGTH, 1.0))


def graded_strength(value: float, weak: float, clear: float, full: float, at_clear: float) -> float:
    """Strength of a value that grows fast to at_clear, where a finding costs a pass, and on to 1 at
    full > clear."""
    if value < clear:
        return at_clear * strength_of(value, weak, clear)
    return float(np.interp(value, [clear, full], [at_clear, 1.0]))


def edit_strength(nats: float, weak: float, sure: float, full: float) -> float:
    """Strength of an edit with this evidence, which is clear from sure on."""
    return graded_strength(nats, weak, sure, full, EDIT_AT_SURE)


@dataclass(frozen=True, slots=True)
class Absence:
    """What says that a unit was not done, in nats, and how surely."""

    nats: float
    certainty: Certainty


def certainty_of(evidence: Evidence, nats: float, sure_nats: float) -> Certainty:
    """Whether the evidence of an edit is clear, or only a remark to review."""
    return "clear" if nats / evidence.price_scale >= sure_nats else "review"


def missing_strength(share: float, certainty: Certainty) -> float:
    """Strength of a missing step whose evidence is this share of what is sure.

    A clear one is critical: its score must lie below the usual pass mark of 60, so that it does not
    contradict the verdict. A remark to review costs a fifth.
    """
    if certainty == "review":
        return REVIEW_STRENGTH
    return float(np.clip(share, LEAST_MISSING_STRENGTH, 1.0))


def paces(found: Sequence[Execution | StepSlot]) -> list[float]:
    """Per slot the usual dwell ratio of the other slots, bounded."""
    timed = np.array([item.gold_moving_sec >= LEAST_MOVING_SEC for item in found])
    ratios = np.array([item.moving_sec / max(item.gold_moving_sec, 1e-9) for item in found])
    low, high = PACE_RANGE
    result = []
    for number in range(len(found)):
        others = np.delete(ratios, number)[np.delete(timed, number)]
        # Two others, one of which may itself be the odd one, are the least that tell a pace.
        result.append(float(np.clip(np.median(others), low, high)) if len(others) > 1 else 1.0)
    return result


def usual_pace(found: Sequence[Execution]) -> float:
    """Median dwell relative to the gold's, bounded; 1 where the gold never moves."""
    ratios = [
        item.moving_sec / item.gold_moving_sec for item in found if item.gold_moving_sec > 0.0
    ]
    return float(np.clip(np.median(ratios), *PACE_RANGE)) if ratios else 1.0


def slot_at(found: Sequence[Execution], span: TimeSpan) -> Execution:
    """The slot that shares most time with a span; the nearest where none does."""
    return max(
        found,
        key=lambda e: (e.span.overlap_sec(span), -abs(e.span.centre_sec - span.centre_sec)),
    )


def slot_before(found: Sequence[Execution], span: TimeSpan) -> Execution:
    """The last slot that begins before a span; the first where none does."""
    earlier = [item for item in found if item.span.start_sec < span.start_sec]
    return earlier[-1] if earlier else found[0]


def usual_sec(
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


def pauses(video: VideoFeatures, level: float) -> list[tuple[TimeSpan, float]]:
    """Runs of clips with less energy than the level, and their seconds without frozen time."""
    slow = np.concatenate([[False], video.energy < level, [False]])
    flips = np.flatnonzero(slow[1:] != slow[:-1])
    spans = [
        TimeSpan(float(video.clip_spans[first, 0]), float(video.clip_spans[last - 1, 1]))
        for first, last in zip(flips[::2], flips[1::2], strict=True)
    ]
    return [(span, span.duration_sec - frozen_sec(video, span)) for span in spans]


def most_common_step(model: TaskModel, units: Sequence[int]) -> int | None:
    """The step that most of some units belong to; of several the first."""
    steps = [model.units[unit].step for unit in units]
    return max(steps, key=lambda step: (steps.count(step), -(step or 0)))


def is_steady(model: TaskModel, units: Sequence[int]) -> bool:
    """Whether the golds go on with one motion in some units: where one of them begins and ends is
    anybody's guess, as are its parts."""
    levels = [float(gold.steadiness[unit]) for gold in model.golds for unit in units]
    return float(np.mean(levels)) >= MOST_STEADY


def gold_span(model: TaskModel, units: Iterable[int]) -> TimeSpan:
    """From the beginning of the first to the end of the last of some units, in the first gold."""
    return hull(model.units[unit].span for unit in units)


def hull(spans: Iterable[TimeSpan]) -> TimeSpan:
    """The shortest span that holds all of them; there must be one."""
    listed = list(spans)
    return TimeSpan(min(s.start_sec for s in listed), max(s.end_sec for s in listed))
