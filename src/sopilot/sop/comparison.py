"""What a comparison of a trainee with the golds of a task found: arrays and findings, no wording.

Made by `sop.compare`, turned into the public result record by `sop.result`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.sop.calibrate import UNCALIBRATED, Calibration


class EventType(StrEnum):
    """Public deviation types."""

    MISSING_STEP = "missing_step"
    ORDER_SWAP = "order_swap"
    STEP_DEVIATION = "step_deviation"
    REPEATED_STEP = "repeated_step"
    EXTRA_ACTION = "extra_action"
    OVER_TIME = "over_time"
    FREEZE = "freeze"


Certainty = Literal["clear", "review"]
"""review: the evidence is enough to look at it, not to fail anybody."""
Detail = Literal["inner", "start", "tail", "dwell", "idle"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between trainee and gold.

    strength: (0, 1], grows with evidence and extent. evidence: in `evidence_unit`.
    gold_span / trainee_span: where to look in each video; an instant where nothing is shown
    (a missing step's place in the trainee). other_step_index: the partner of a swap, or the step
    whose action is shown instead. alternative: what it may be as well on this evidence.
    """

    type: EventType
    strength: float
    evidence: float
    evidence_unit: Literal["nats", "ratio", "seconds", "distance"]
    step_index: int | None
    gold_span: TimeSpan
    trainee_span: TimeSpan
    detail: Detail | None = None
    other_step_index: int | None = None
    certainty: Certainty = "clear"
    alternative: EventType | None = None


@dataclass(frozen=True, slots=True)
class StructuralTerms:
    """Contract 4.6: structural penalties, each 0-1, reported beside the score, not part of it."""

    order_violation_ratio: float
    duplicate_ratio: float
    temporal_drift: float
    local_similarity_gap: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything the result record, the reports and the interval need.

    steps: with spans in the first gold, marked by a person or proposed by segmentation.
    trainee_steps: per step the span in which the trainee did it, None = not found.
    path: (k, 2) int32, matched (gold clip, trainee clip), monotone inside each executed step.
    gold_clips, trainee_clips: (n, 2) float64, start and end seconds of every clip.
    conformity: 0-1, 1 = matched clips as similar as the gold's own re-recordings.
    comparability: 0-1.., similarity of the trainee's clips to any gold clip relative to the gold's
    own; likeness: of the executed steps to the golds, relative to the golds' re-recordings;
    is_comparable: whether the videos show the same work at all. gold_distinctness: least distance
    of two steps' classes, None with one step; similar_steps: pairs that cannot be told apart.
    left_out_golds, copied_golds: see `TaskModel`.
    normalized_cost: mean matched distance, 0-2. frozen_sec: seconds without any change.
    """

    steps: tuple[Step, ...]
    steps_source: Literal["marked", "proposed"]
    trainee_steps: tuple[TimeSpan | None, ...]
    findings: tuple[Finding, ...]
    path: NDArray[np.int32]
    normalized_cost: float
    gold_clips: NDArray[np.float64]
    trainee_clips: NDArray[np.float64]
    gold_duration_sec: float
    trainee_duration_sec: float
    conformity: float
    comparability: float
    structural: StructuralTerms
    likeness: float = 1.0
    is_comparable: bool = True
    gold_count: int = 1
    calibration: Calibration = UNCALIBRATED
    gold_distinctness: float | None = None
    similar_steps: tuple[tuple[int, int], ...] = ()
    left_out_golds: tuple[int, ...] = ()
    copied_golds: tuple[int, ...] = ()
