"""The comparison of one trainee with the golds of a task: features in, `Comparison` out.

`compare` does everything; `compare_with` re-uses a fitted model for many trainees. The found order
is judged apart from the pictures of it (path, structural terms), so that `sop.interval` can judge
many replicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sopilot.align.chain import cumulate
from sopilot.align.edits import Prices
from sopilot.align.search import OrderSearch, deletion_gains, search_order
from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.comparison import Comparison, Finding
from sopilot.sop.conformity import conformity, matched_path, similarity_matrix, structural_terms
from sopilot.sop.execution import Execution, executions
from sopilot.sop.findings import Evidence, find
from sopilot.sop.model import Reading, TaskModel, fit, read, require_comparable

ALGORITHM = "step-order-search-1"
"""Name of the method, recorded with every result."""
PRICES = Prices()


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What decides the score: the executed slots, the findings, the conformity."""

    found: tuple[Execution, ...]
    findings: tuple[Finding, ...]
    conformity: float


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
    reading = read(model, trainee)
    judged = judge(model, trainee, reading)
    similarity = similarity_matrix(model, reading)
    structural = structural_terms(similarity)
    # In place: for long videos the matrix is the largest thing there is.
    distances = np.subtract(np.float32(1.0), similarity, out=similarity)
    path, cost = matched_path(model, judged.found, np.maximum(distances, 0.0, out=distances))
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
    )


def judge(model: TaskModel, trainee: VideoFeatures, reading: Reading) -> Judgement:
    """Find the order that explains the evidence, and what differs."""
    search, gains = _search(model, reading, trainee.clip_count)
    found = executions(model, trainee, reading, search.slots, search.cuts, gains)
    findings = find(Evidence(model, trainee, reading.comparability, found, search.edits))
    return Judgement(found, findings, conformity(found, reading, search.spare))


def _search(
    model: TaskModel, reading: Reading, clip_count: int
) -> tuple[OrderSearch, NDArray[np.float64]]:
    """The found order with cuts in clips, and what leaving out each slot would gain."""
    # A video of very few clips (a still picture has one) is looked at in finer grains, so that
    # the whole order can be laid over it.
    grain = max(1, -(-2 * model.class_count // clip_count))
    sums = cumulate(np.repeat(reading.evidence, grain, axis=0) / grain)
    classes = model.classes(clip_count * grain)
    search = search_order(sums, classes, PRICES)
    gains = deletion_gains(sums, classes, search)
    return replace(search, cuts=search.cuts // grain), gains


def trainee_steps(model: TaskModel, found: Sequence[Execution]) -> tuple[TimeSpan | None, ...]:
    """Per step where the trainee did it: the longest of its slots, None = nowhere."""
    spans: list[TimeSpan | None] = [None] * len(model.steps)
    for item in sorted(found, key=lambda e: len(e.clips)):
        step = model.units[item.unit].step
        if step is not None:
            spans[step] = item.span
    return tuple(spans)
