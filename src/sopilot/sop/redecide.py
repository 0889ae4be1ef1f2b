"""A stored result judged anew by the profile and steps of today; nothing is compared again.

Thresholds and severities decide over the stored findings. Where the weights are others, the score
is computed from the stored strengths; its interval then falls away, because the simulated
recordings behind it are not stored. Names, limits and critical flags of steps are taken over where
the steps lie where they lay. Pure; called by `sop.rescore`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.sop import comments, schemas
from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.decision import severity_of, verdict_on
from sopilot.sop.ensemble import summarised
from sopilot.sop.profile import TaskProfile, Weights
from sopilot.sop.result import (
    contributions_of,
    penalties_of,
    summary_of,
    time_verdict,
    unassigned,
)
from sopilot.sop.schemas import ScoreResult
from sopilot.sop.score import Score, score_comparison, total_score

SAME_PLACE_SEC = 0.05
"""Step bounds that differ by no more are the same: hand-written times are rounded."""

_DROPPED = schemas.NoteRecord(
    code="interval_dropped",
    text_ja="重みの変更後に再計算したスコアです。区間は再採点（rerun）で求められます。",
    text_en="The score was computed again with other weights; a rerun gives its interval.",
)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored of a comparison, as far as a score needs it."""

    findings: tuple[Finding, ...]
    conformity: float


def redecide(
    result: ScoreResult, profile: TaskProfile, weights: Weights, defined: Sequence[Step] = ()
) -> ScoreResult:
    """The result under this profile; under the one that judged it, the same record.

    weights: in force (the request's own, else the profile's). defined: the task's steps today.
    """
    stored = _Stored(tuple(map(_finding, result.deviations)), result.conformity)
    is_redefined = are_same_steps(result, defined)
    steps = {step.index: step for step in (defined if is_redefined else _steps(result))}
    score = _score(result, stored, weights)
    points = score.finding_points if score else [item.points for item in result.deviations]
    summary = summary_of(
        score.total if score else result.score,
        profile,
        stored.findings,
        steps,
        result.is_comparable,
    )
    changes: dict[str, object] = {
        "summary": summary,
        "deviations": [
            _deviation(old, finding, amount, profile, steps, is_redefined)
            for old, finding, amount in zip(result.deviations, stored.findings, points, strict=True)
        ],
        "profile_version": profile.version,
    }
    if is_redefined:
        changes |= _renamed(result, steps)
    if score:
        changes |= _revalued(result, stored, score, weights)
    if score or is_redefined:
        changes["step_contributions"] = contributions_of(steps, stored.findings, points)
    new = result.model_copy(update=changes)
    if new.ensemble is None:
        return new
    return new.model_copy(
        update={
            "ensemble": _ensemble(new, new.ensemble, profile, weights if score else None, steps)
        }
    )


def are_same_steps(result: ScoreResult, defined: Sequence[Step]) -> bool:
    """Whether today's definitions mean the steps of a result: as many, at the same places in the
    gold where both say so."""
    if not defined or len(defined) != len(result.timeline):
        return False
    pairs = zip(defined, result.timeline, strict=True)
    return all(
        step.span is None
        or (
            abs(step.span.start_sec - row.gold_timecode[0]) <= SAME_PLACE_SEC
            and abs(step.span.end_sec - row.gold_timecode[1]) <= SAME_PLACE_SEC
        )
        for step, row in pairs
    )


def _finding(item: schemas.Deviation) -> Finding:
    other = item.alternative_type
    return Finding(
        type=EventType(item.type),
        strength=item.strength,
        evidence=item.evidence,
        evidence_unit=item.evidence_unit,
        step_index=item.step_index,
        gold_span=TimeSpan(*item.gold_timecode),
        trainee_span=TimeSpan(*item.trainee_timecode),
        detail=item.detail,
        other_step_index=item.other_step_index,
        certainty=item.certainty,
        alternative=None if other is None else EventType(other),
    )


def _steps(result: ScoreResult) -> list[Step]:
    return [
        Step(
            index=row.step_index,
            name_ja=row.name_ja,
            name_en=row.name_en,
            is_critical=row.is_critical,
        )
        for row in result.timeline
    ]


def _score(result: ScoreResult, stored: _Stored, weights: Weights) -> Score | None:
    """The score by other weights; None where they are what they were."""
    used = weights.normalised()
    before = result.weights.model_dump()
    if all(abs(value - before[name]) < 1e-6 for name, value in used.as_dict().items()):
        return None
    return score_comparison(stored, used)


def _deviation(
    old: schemas.Deviation,
    finding: Finding,
    points: float,
    profile: TaskProfile,
    steps: Mapping[int, Step],
    is_redefined: bool,
) -> schemas.Deviation:
    severity = severity_of(finding, profile, steps)
    label_ja, label_en = comments.SEVERITY_LABEL[severity]
    about_ja, about_en = comments.SEVERITY_DESCRIPTION[severity]
    ja, en = (
        comments.deviation_comment(finding, steps)
        if is_redefined
        else (old.comment_ja, old.comment_en)
    )
    return old.model_copy(
        update={
            "severity": severity.value,
            "severity_ja": label_ja,
            "severity_en": label_en,
            "severity_description_ja": about_ja,
            "severity_description_en": about_en,
            "comment_ja": ja,
            "comment_en": en,
            "points": points,
        }
    )


def _renamed(result: ScoreResult, steps: Mapping[int, Step]) -> dict[str, object]:
    """Timeline and time limits by today's definitions."""
    slow = {
        item.step_index
        for item in result.deviations
        if item.type == "over_time" and item.detail != "idle"
    }
    timeline, times = [], []
    for row, time in zip(result.timeline, result.time_compliance, strict=True):
        step = steps[row.step_index]
        names = {
            "name_ja": step.name_ja,
            "name_en": step.name_en,
            "is_critical": step.is_critical,
        }
        limits = {
            name: getattr(step, name)
            for name in ("expected_duration_sec", "min_duration_sec", "max_duration_sec")
        }
        kept = time_verdict(step, time.actual_duration_sec, row.step_index in slow)
        timeline.append(row.model_copy(update=names))
        times.append(time.model_copy(update={**names, **limits, "compliance": kept}))
    return {"timeline": timeline, "time_compliance": times}


def _revalued(
    result: ScoreResult, stored: _Stored, score: Score, weights: Weights
) -> dict[str, object]:
    """What changes with the score itself."""
    steps = {step.index: step for step in _steps(result)}
    used = weights.normalised().as_dict()
    notes = [note for note in result.notes if note.code != "interval_dropped"]
    return {
        "score": score.total,
        "weights": schemas.WeightsRecord(**{name: round(v, 6) for name, v in used.items()}),
        "metrics": result.metrics.model_copy(update={"penalty_breakdown": penalties_of(score)}),
        "unassigned_deductions": unassigned(steps, stored.findings, score.finding_points),
        "confidence": None,
        "uncertainty": None,
        "notes": [*notes, _DROPPED],
    }


def _ensemble(
    result: ScoreResult,
    old: schemas.EnsembleRecord,
    profile: TaskProfile,
    weights: Weights | None,
    steps: Mapping[int, Step],
) -> schemas.EnsembleRecord:
    """Each gold's own answer under the profile. weights: None = as they were."""
    rows = []
    for row in old.individual_results:
        findings = tuple(_brief(item) for item in row.findings)
        score = row.score
        if weights is not None:
            score = round(total_score(_Stored(findings, row.conformity), weights), 2)
        verdict = verdict_on(score, findings, profile, steps, row.is_comparable)
        rows.append(row.model_copy(update={"score": score, "decision": verdict.decision}))
    return summarised(result, rows, old.errors)


def _brief(item: schemas.FindingRecord) -> Finding:
    nowhere = TimeSpan(0.0, 0.0)
    return Finding(
        type=EventType(item.type),
        strength=item.strength,
        evidence=0.0,
        evidence_unit="nats",
        step_index=item.step_index,
        other_step_index=item.other_step_index,
        certainty=item.certainty,
        gold_span=nowhere,
        trainee_span=nowhere,
    )
