"""The comparison of one trainee with the golds of a task: features in, `Comparison` out.

`compare` does everything; `compare_with` re-uses a fitted model for many trainees. The found order
is judged apart from the pictures of it (path, structural terms), see `sop.judgement`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.comparison import Comparison
from sopilot.sop.conformity import matched_path, similarity_matrix, structural_terms
from sopilot.sop.distinct import distinctness, similar_steps
from sopilot.sop.evidence import step_slots
from sopilot.sop.execution import Execution
from sopilot.sop.judgement import judge
from sopilot.sop.learn import fit
from sopilot.sop.model import TaskModel, read, require_comparable
from sopilot.sop.timing import work_of

ALGORITHM = "step-order-search-7"
"""Name of the method, recorded with every result."""
LEAST_COMPARABILITY, LEAST_LIKENESS = 0.56, 0.48
"""Executions of the task, good or not, reach 0.56-0.98 and 0.50-1.00 (2 % below 0.61 and 0.56);
other footage 0.0-0.45 and 0.0-0.35, other tasks of the same bench 0.49-0.79 and 0.35-0.76.
Source: docs/scoring.md 5."""


def compare(
    golds: Sequence[VideoFeatures], trainee: VideoFeatures, steps: Sequence[Step] | None = None
) -> Comparison:
    """Compare a trainee with one or more golds; the steps' spans lie in the first gold.

    Raises InsufficientClips, ProducerMismatch, BadSteps.
    """
    return compare_with(fit(golds, steps), trainee)


def compare_with(model: TaskModel, trainee: VideoFeatures) -> Comparison:
    """Compare a trainee with a fitted model. Raises ProducerMismatch."""
    require_comparable(model.golds[0].features, trainee)
    first, work = work_of(model, trainee)
    reading = read(model, work)
    judged = judge(model, work, reading)
    similarity = similarity_matrix(model, reading)
    structural = structural_terms(similarity)
    # In place: for long videos the matrix is the largest thing there is.
    distances = np.subtract(np.float32(1.0), similarity, out=similarity)
    path, cost = matched_path(model, judged.found, np.maximum(distances, 0.0, out=distances))
    path[:, 1] += first
    gold = model.golds[0].features
    return Comparison(
        steps=model.steps,
        steps_source="marked" if model.steps_are_marked else "proposed",
        trainee_steps=trainee_steps(model, judged.found),
        findings=judged.findings,
        path=path,
        normalized_cost=cost,
        gold_clips=gold.clip_spans,
        trainee_clips=trainee.clip_spans,
        gold_duration_sec=gold.duration_sec,
        trainee_duration_sec=trainee.duration_sec,
        conformity=judged.conformity,
        comparability=reading.comparability,
        structural=structural,
        likeness=judged.likeness,
        is_comparable=not reading.is_mirrored
        and is_comparable(reading.comparability, judged.likeness / model.own.likeness),
        gold_count=len(model.golds),
        calibration=model.calibration,
        gold_distinctness=distinctness(model),
        similar_steps=similar_steps(model),
        left_out_golds=model.left_out_golds,
        copied_golds=model.copied_golds,
    )


def is_comparable(comparability: float, likeness: float) -> bool:
    """Whether a video shows the task at all: enough of it is recognised, and what is recognised is
    like the gold in its place."""
    return comparability >= LEAST_COMPARABILITY and likeness >= LEAST_LIKENESS


def trainee_steps(model: TaskModel, found: Sequence[Execution]) -> tuple[TimeSpan | None, ...]:
    """Per step where the trainee did it: the longest of its showings, None = nowhere."""
    spans: list[TimeSpan | None] = [None] * len(model.steps)
    for slot in sorted(step_slots(model, found), key=lambda s: len(s.clips)):
        spans[slot.step] = slot.span
    return tuple(spans)
