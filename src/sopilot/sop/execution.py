"""What the trainee did, slot by slot: the found order of steps with spans and similarities.

Made by `sop.compare` from an order search, read by `sop.findings` and `sop.conformity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sopilot.align.search import Slot
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.model import GoldReference, Reading, TaskModel, cut_times, frozen_sec


@dataclass(frozen=True, slots=True)
class Likeness:
    """Similarity to a unit, and what re-recordings of the gold reach there."""

    similarity: float
    expected: float

    @property
    def ratio(self) -> float:
        """1 = as alike as another recording of the same work."""
        return self.similarity / max(self.expected, 1e-9)


@dataclass(frozen=True, slots=True)
class Execution:
    """One slot of the found order: a unit of the model and how it was done.

    clips: index range in the trainee. edit: index of the edit that put it here, None = where the
    gold has it. moving_sec: dwell without frozen time; gold_moving_sec: the same in the slowest
    gold. similarity: median over clips of the best cosine to the unit's clips in the gold that is
    most alike; expected: what that gold's re-recordings reach. deletion_gain: nats gained by
    leaving the slot out.
    """

    unit: int
    span: TimeSpan
    clips: range
    edit: int | None
    moving_sec: float
    gold_moving_sec: float
    similarity: float
    expected: float
    deletion_gain: float

    @property
    def likeness(self) -> float:
        """Similarity relative to re-recordings, see `Likeness.ratio`."""
        return Likeness(self.similarity, self.expected).ratio


def executions(
    model: TaskModel,
    trainee: VideoFeatures,
    reading: Reading,
    slots: Sequence[Slot],
    cuts: NDArray[np.int64],
    deletion_gains: NDArray[np.float64],
) -> tuple[Execution, ...]:
    """The found slots with times and similarities, in the trainee's order of time."""
    times = cut_times(trainee, cuts)
    found = []
    for number, slot in enumerate(slots):
        span = TimeSpan(times[number], times[number + 1])
        clips = range(int(cuts[number]), int(cuts[number + 1]))
        best = unit_likeness(model, reading, slot.step, clips)
        found.append(
            Execution(
                unit=slot.step,
                span=span,
                clips=clips,
                edit=slot.edit,
                moving_sec=span.duration_sec - frozen_sec(trainee, span),
                gold_moving_sec=model.gold_moving_sec(slot.step),
                similarity=best.similarity,
                expected=best.expected,
                deletion_gain=float(deletion_gains[number]),
            )
        )
    return tuple(found)


def unit_likeness(model: TaskModel, reading: Reading, unit: int, clips: range) -> Likeness:
    """How alike some clips are to a unit in the gold that is most alike."""
    # Where in its chunk a moment lies is uncertain by about a chunk.
    beside = 1 if model.method.chunked(model.steps_are_marked) else 0
    likenesses = [_likeness(gold, reading, unit, clips, beside) for gold in model.golds]
    return max(likenesses, key=lambda item: item.similarity - item.expected)


def _likeness(
    gold: GoldReference, reading: Reading, unit: int, clips: range, beside: int
) -> Likeness:
    """How alike some clips are to a unit of one gold, and so many units on either side."""
    total = sum(reading.gates.values())
    rows = (gold.units >= 0) & (np.abs(gold.units - unit) <= beside)
    similarity = expected = 0.0
    for name, gate in reading.gates.items():
        share = gate / total
        if share <= 0.0:
            continue
        reached = 0.0
        if len(clips):
            match = gold.points[name][rows] @ reading.points[name][clips.start : clips.stop].T
            reached = float(np.median(match.max(axis=0)))
        similarity += share * reached
        expected += share * float(gold.null_similarity[name][unit])
    return Likeness(similarity, expected)
