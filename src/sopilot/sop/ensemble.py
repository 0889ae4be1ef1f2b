"""What each gold of an ensemble finds alone, beside the one comparison with all of them.

The verdict is the fused comparison's: a step deviates only if it deviates from every gold. The
single-gold scores say how far the golds agree; they decide nothing. Called by `sop.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import Literal

from sopilot.core.errors import InputError
from sopilot.core.records import Progress, Step
from sopilot.embed.base import VideoFeatures
from sopilot.sop.compare import compare_with
from sopilot.sop.decision import verdict_on
from sopilot.sop.learn import fit, steps_in
from sopilot.sop.model import TaskModel
from sopilot.sop.profile import TaskProfile, Weights
from sopilot.sop.schemas import (
    AloneRecord,
    EnsembleError,
    EnsembleRecord,
    FindingRecord,
    ScoreResult,
)
from sopilot.sop.score import total_score

HIGH_AGREEMENT, MEDIUM_AGREEMENT = 3.0, 8.0
"""Spread in points below which golds agree highly, and fairly. Source: contract 4.8."""


@dataclass(frozen=True, slots=True)
class Alone:
    """One gold's own answer; None = it gave none, and error says why."""

    record: AloneRecord | None
    error: str = ""


def alone_results(
    model: TaskModel,
    golds: Sequence[VideoFeatures],
    trainee: VideoFeatures,
    progress: Progress,
    profile: TaskProfile,
    weights: Weights,
) -> list[Alone]:
    """The trainee compared with every gold by itself, in their order; the steps lie where the
    model of all golds found them in each. O(golds x one comparison)."""
    found = []
    for number, gold in enumerate(golds):
        progress(number / len(golds))
        found.append(_alone(model, gold, trainee, profile, weights))
    return found


def _alone(
    model: TaskModel,
    gold: VideoFeatures,
    trainee: VideoFeatures,
    profile: TaskProfile,
    weights: Weights,
) -> Alone:
    try:
        comparison = compare_with(fit([gold], _steps(model, gold)), trainee)
    except InputError as error:
        return Alone(None, error.message)
    score = round(total_score(comparison, weights), 2)
    steps = {step.index: step for step in comparison.steps}
    verdict = verdict_on(score, comparison.findings, profile, steps, comparison.is_comparable)
    record = AloneRecord(
        gold_video_id=0,
        score=score,
        decision=verdict.decision,
        conformity=round(comparison.conformity, 4),
        is_comparable=comparison.is_comparable,
        findings=[
            FindingRecord(
                type=item.type.value,
                step_index=item.step_index,
                other_step_index=item.other_step_index,
                strength=round(item.strength, 4),
                certainty=item.certainty,
            )
            for item in comparison.findings
        ],
    )
    return Alone(record)


def _steps(model: TaskModel, gold: VideoFeatures) -> tuple[Step, ...] | None:
    """The marked steps where this gold does them; without times for a gold that taught nothing."""
    if not model.steps_are_marked:
        return None
    for own in model.golds:
        if own.features is gold:
            return steps_in(model, own)
    return tuple(replace(step, span=None) for step in model.steps)


def ensemble_record(
    result: ScoreResult, gold_video_ids: Sequence[int], alone: Sequence[Alone]
) -> EnsembleRecord:
    """The figures of the contract over the fused result and the golds' own answers."""
    pairs = list(zip(gold_video_ids, alone, strict=True))
    rows = [
        item.record.model_copy(update={"gold_video_id": gold_id})
        for gold_id, item in pairs
        if item.record is not None
    ]
    errors = [EnsembleError(gold_video_id=i, error=item.error) for i, item in pairs if item.error]
    return summarised(result, rows, errors)


def summarised(
    result: ScoreResult, rows: list[AloneRecord], errors: list[EnsembleError]
) -> EnsembleRecord:
    """The record over answers that are known already."""
    scores = [row.score for row in rows]
    spread = pstdev(scores) if scores else None
    return EnsembleRecord(
        consensus_score=result.score,
        mean_score=round(fmean(scores), 2) if scores else None,
        min_score=min(scores, default=None),
        max_score=max(scores, default=None),
        std_score=None if spread is None else round(spread, 2),
        agreement=None if spread is None else _agreement(spread),
        gold_count=len(rows) + len(errors),
        individual_scores=scores,
        individual_results=rows,
        best_gold_video_id=max(rows, key=lambda row: row.score).gold_video_id if rows else None,
        errors=errors,
        decision=result.summary.decision,
        decision_source="consensus",
    )


def _agreement(spread: float) -> Literal["high", "medium", "low"]:
    if spread < HIGH_AGREEMENT:
        return "high"
    return "medium" if spread < MEDIUM_AGREEMENT else "low"
