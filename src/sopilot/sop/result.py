"""From a comparison to the public result record. Pure; called by the score job and the CLI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import Producer, Step
from sopilot.core.timespan import TimeSpan
from sopilot.sop import comments, schemas
from sopilot.sop.calibrate import Calibration
from sopilot.sop.comparison import Comparison, EventType, Finding
from sopilot.sop.decision import count_severities, severity_of, verdict_on
from sopilot.sop.notes import notes_of
from sopilot.sop.profile import Severity, TaskProfile, Weights
from sopilot.sop.score import Score, score_comparison

LEVEL = 0.95
SD_PER_HALF_WIDTH = 1 / 1.96
"""A normal spread's standard deviation as a share of its 95 % half-width."""

LEGACY_TYPE: Mapping[EventType, str] = MappingProxyType(
    {
        EventType.MISSING_STEP: "step_missing",
        EventType.STEP_DEVIATION: "execution_deviation",
        EventType.ORDER_SWAP: "order_swap",
    }
)
"""Names that clients of the first demonstrator know; recorded beside the public type."""


@dataclass(frozen=True, slots=True)
class ScoreIds:
    """Which rows a result is about; None on the command line's single files."""

    task_id: str
    gold_video_ids: tuple[int, ...] = ()
    trainee_video_id: int | None = None


@dataclass(frozen=True, slots=True)
class ScoreOrigin:
    """What produced a result: the method's version and the producers of the arrays by part.

    adapter_version: of the adaptation that took part, None where none did.
    """

    algorithm: str
    producers: Mapping[str, Producer]
    adapter_version: int | None = None


def build_result(
    comparison: Comparison,
    profile: TaskProfile,
    *,
    ids: ScoreIds,
    origin: ScoreOrigin,
    weights: Weights | None = None,
    interval: tuple[float, float] | None = None,
    replicate_count: int | None = None,
    gold_count: int | None = None,
) -> schemas.ScoreResult:
    """The result record of the contract.

    weights: of the request; None = the profile's. interval: (low, high) of the score as
    `sop.interval` measured it with the same weights, widened here to contain the score; None =
    none was asked for. gold_count: where golds have no ids (command line).
    """
    used = (weights or profile.weights).normalised()
    score = score_comparison(comparison, used)
    order = _gold_order(comparison.findings)
    steps = {step.index: step for step in comparison.steps}
    severities = [severity_of(item, profile, steps) for item in comparison.findings]
    deviations = [
        _deviation(comparison.findings[i], severities[i], score.finding_points[i], comparison)
        for i in order
    ]
    confidence = _confidence(
        score.total, interval, replicate_count, comparison.calibration.is_calibrated
    )
    return schemas.ScoreResult(
        score=score.total,
        summary=summary_of(
            score.total, profile, comparison.findings, steps, comparison.is_comparable
        ),
        metrics=_metrics(comparison, score),
        deviations=deviations,
        boundaries=_boundaries(comparison),
        alignment=_alignment(comparison),
        confidence=confidence,
        uncertainty=_uncertainty(confidence, gold_count or len(ids.gold_video_ids) or 1),
        step_contributions=contributions_of(steps, comparison.findings, score.finding_points),
        unassigned_deductions=unassigned(steps, comparison.findings, score.finding_points),
        time_compliance=_time_compliance(comparison),
        timeline=_timeline(comparison, deviations),
        gold_video_id=ids.gold_video_ids[0] if ids.gold_video_ids else None,
        trainee_video_id=ids.trainee_video_id,
        gold_video_ids=list(ids.gold_video_ids),
        task_id=ids.task_id,
        gold_count=gold_count or len(ids.gold_video_ids) or 1,
        steps_source=comparison.steps_source,
        conformity=_round(comparison.conformity, 4),
        comparability=_round(comparison.comparability, 4),
        likeness=_round(comparison.likeness, 4),
        is_comparable=comparison.is_comparable,
        calibration=_calibration(comparison.calibration),
        gold_distinctness=(
            None
            if comparison.gold_distinctness is None
            else _round(comparison.gold_distinctness, 4)
        ),
        similar_steps=list(comparison.similar_steps),
        notes=[
            schemas.NoteRecord.model_validate({"code": code, "text_ja": ja, "text_en": en})
            for code, (ja, en) in notes_of(comparison)
        ],
        gold_duration_sec=_round(comparison.gold_duration_sec, 3),
        trainee_duration_sec=_round(comparison.trainee_duration_sec, 3),
        weights=schemas.WeightsRecord(
            **{name: _round(value, 6) for name, value in used.as_dict().items()}
        ),
        algorithm=origin.algorithm,
        profile_version=profile.version,
        adapter_version=origin.adapter_version,
        producers={
            part: schemas.ProducerRecord(
                name=item.name, version=item.version, fingerprint=item.fingerprint
            )
            for part, item in sorted(origin.producers.items())
        },
    )


def _calibration(found: Calibration) -> schemas.CalibrationRecord:
    return schemas.CalibrationRecord(
        calibrated=found.is_calibrated,
        gold_count=found.gold_count,
        golds_missing=found.golds_missing,
        price_factor=_round(found.price_factor, 4),
        unlike_factor=_round(found.unlike_factor, 4),
    )


def clip_range(clips: NDArray[np.float64], span: TimeSpan) -> tuple[int, int]:
    """Half-open range of the clips whose centre lies in the span.

    clips: (n, 2) start and end seconds, ascending. A span shorter than the clips' hop yields the
    clip nearest to its centre; an instant yields the empty range at its place.
    """
    centres = clips.mean(axis=1)
    first = int(np.searchsorted(centres, span.start_sec, side="left"))
    end = int(np.searchsorted(centres, span.end_sec, side="left"))
    if first == end and span.duration_sec > 0 and len(centres):
        first = int(np.argmin(np.abs(centres - span.centre_sec)))
        end = first + 1
    return first, end


def _round(value: float, digits: int) -> float:
    return round(float(value), digits) + 0.0


def _gold_order(findings: Sequence[Finding]) -> list[int]:
    def key(i: int) -> tuple[float, float, str, int]:
        item = findings[i]
        return (item.gold_span.start_sec, item.trainee_span.start_sec, item.type.value, i)

    return sorted(range(len(findings)), key=key)


def summary_of(
    total: float,
    profile: TaskProfile,
    findings: Sequence[Finding],
    steps: Mapping[int, Step],
    is_comparable: bool,
) -> schemas.Summary:
    """The verdict on a score and findings, with its numbers and its line. steps: by index."""
    counts = count_severities(severity_of(item, profile, steps) for item in findings)
    verdict = verdict_on(total, findings, profile, steps, is_comparable)
    ja, en = comments.summary_comment(total, verdict.decision, counts, verdict.basis)
    return schemas.Summary(
        decision=verdict.decision,
        decision_reason=verdict.reason,
        decision_basis=verdict.basis,
        score_band=verdict.band,
        severity_counts=schemas.SeverityCounts(
            critical=counts[Severity.CRITICAL],
            quality=counts[Severity.QUALITY],
            efficiency=counts[Severity.EFFICIENCY],
        ),
        pass_score=profile.pass_score,
        retrain_score=profile.retrain_score,
        comment_ja=ja,
        comment_en=en,
    )


def _metrics(comparison: Comparison, score: Score) -> schemas.Metrics:
    def count(kind: EventType, by_step: bool) -> int:
        found = [item for item in comparison.findings if item.type is kind]
        if not by_step:
            return len(found)
        unnamed = sum(item.step_index is None for item in found)
        return unnamed + len({item.step_index for item in found if item.step_index is not None})

    gold_sec, trainee_sec = comparison.gold_duration_sec, comparison.trainee_duration_sec
    longer = max(0.0, trainee_sec / gold_sec - 1.0) if gold_sec > 0 else 0.0
    terms = comparison.structural
    return schemas.Metrics(
        miss_steps=count(EventType.MISSING_STEP, True),
        swap_steps=count(EventType.ORDER_SWAP, False),
        deviation_steps=count(EventType.STEP_DEVIATION, True),
        repeat_steps=count(EventType.REPEATED_STEP, True),
        extra_count=count(EventType.EXTRA_ACTION, False),
        over_time_count=count(EventType.OVER_TIME, False),
        freeze_count=count(EventType.FREEZE, False),
        over_time_ratio=_round(longer, 4),
        dtw_normalized_cost=_round(comparison.normalized_cost, 4),
        total_steps=len(comparison.steps),
        penalty_breakdown=penalties_of(score),
        structural=schemas.StructuralRecord(
            order_violation_ratio=_round(terms.order_violation_ratio, 4),
            duplicate_ratio=_round(terms.duplicate_ratio, 4),
            temporal_drift=_round(terms.temporal_drift, 4),
            local_similarity_gap=_round(terms.local_similarity_gap, 4),
        ),
    )


def penalties_of(score: Score) -> schemas.PenaltyBreakdown:
    """Who lost how many points."""
    return schemas.PenaltyBreakdown(
        miss_penalty=score.weight_points["w_miss"],
        swap_penalty=score.weight_points["w_swap"],
        dev_penalty=score.weight_points["w_dev"],
        time_penalty=score.weight_points["w_time"],
        conformity_penalty=score.conformity_points,
        total_penalty=score.loss_points,
    )


def _deviation(
    finding: Finding, severity: Severity, points: float, comparison: Comparison
) -> schemas.Deviation:
    steps = {step.index: step for step in comparison.steps}
    comment_ja, comment_en = comments.deviation_comment(finding, steps)
    label_ja, label_en = comments.SEVERITY_LABEL[severity]
    about_ja, about_en = comments.SEVERITY_DESCRIPTION[severity]
    gold_range = clip_range(comparison.gold_clips, finding.gold_span)
    span_len = gold_range[1] - gold_range[0]
    missing = finding.type is EventType.MISSING_STEP
    pace = len(comparison.trainee_clips) / max(1, len(comparison.gold_clips))
    ratio = comments.time_ratio(finding)
    evidence = _round(finding.evidence, 4)
    distance = evidence if finding.evidence_unit == "distance" else None
    return schemas.Deviation(
        type=finding.type.value,
        legacy_type=LEGACY_TYPE.get(finding.type),
        step_index=finding.step_index,
        gold_step=finding.step_index,
        other_step_index=finding.other_step_index,
        severity=severity.value,
        severity_ja=label_ja,
        severity_en=label_en,
        comment_ja=comment_ja,
        comment_en=comment_en,
        severity_description_ja=about_ja,
        severity_description_en=about_en,
        gold_clip_range=gold_range,
        trainee_clip_range=clip_range(comparison.trainee_clips, finding.trainee_span),
        gold_timecode=_timecode(finding.gold_span),
        trainee_timecode=_timecode(finding.trainee_span),
        points=points,
        strength=_round(finding.strength, 4),
        evidence=evidence,
        evidence_unit=finding.evidence_unit,
        certainty=finding.certainty,
        alternative_type=None if finding.alternative is None else finding.alternative.value,
        detail=finding.detail,
        time_ratio=None if ratio is None else _round(ratio, 2),
        gold_span_len=span_len,
        expected_span_len=_round(span_len * pace, 2) if missing else None,
        unique_positions=_unique_positions(comparison.path, gold_range) if missing else None,
        distance=distance,
        mean_distance=distance,
    )


def _timecode(span: TimeSpan) -> tuple[float, float]:
    start, end = span.as_list()
    return start + 0.0, end + 0.0


def _unique_positions(path: NDArray[np.int32], gold_range: tuple[int, int]) -> int:
    if not len(path):
        return 0
    inside = (path[:, 0] >= gold_range[0]) & (path[:, 0] < gold_range[1])
    return len(np.unique(path[inside, 1]))


def _boundaries(comparison: Comparison) -> schemas.Boundaries:
    return schemas.Boundaries(
        gold=step_edges(comparison.gold_clips, (step.span for step in comparison.steps)),
        trainee=step_edges(comparison.trainee_clips, comparison.trainee_steps),
    )


def step_edges(clips: NDArray[np.float64], spans: Iterable[TimeSpan | None]) -> list[int]:
    """Edges between steps as clip indices, ascending, from 0 to the clip count.

    An edge is the first clip of every step but the first; a pause belongs to the step before it.
    """
    starts = sorted(span.start_sec for span in spans if span is not None)[1:]
    centres = clips.mean(axis=1)
    inner = {int(np.searchsorted(centres, start, side="left")) for start in starts}
    return sorted({0, len(clips)} | inner)


def _alignment(comparison: Comparison) -> schemas.AlignmentRecord:
    def centres(clips: NDArray[np.float64]) -> list[float]:
        return [_round(value, 3) for value in clips.mean(axis=1).tolist()]

    return schemas.AlignmentRecord(
        path=[(int(gold), int(trainee)) for gold, trainee in comparison.path.tolist()],
        normalized_cost=_round(comparison.normalized_cost, 4),
        gold_clip_times=centres(comparison.gold_clips),
        trainee_clip_times=centres(comparison.trainee_clips),
    )


def _confidence(
    total: float,
    interval: tuple[float, float] | None,
    replicate_count: int | None,
    calibrated: bool,
) -> schemas.Confidence | None:
    if interval is None:
        return None
    low = min(total, _round(max(0.0, interval[0]), 2))
    high = max(total, _round(min(100.0, interval[1]), 2))
    width = round(high - low, 2)
    return schemas.Confidence(
        ci_low=low,
        ci_high=high,
        ci_half_width=_round(width / 2, 2),
        level=LEVEL,
        stability="high" if width <= 8 else "medium" if width <= 16 else "low",
        method="replicates",
        replicates=replicate_count,
        calibrated=calibrated,
    )


def _uncertainty(
    confidence: schemas.Confidence | None, gold_count: int
) -> schemas.Uncertainty | None:
    if confidence is None:
        return None
    spread = _round(confidence.ci_half_width * SD_PER_HALF_WIDTH, 2)
    return schemas.Uncertainty(
        epistemic=None,
        aleatoric=spread,
        total=spread,
        ci_lower=confidence.ci_low,
        ci_upper=confidence.ci_high,
        ci_stability=confidence.stability,
        note=(
            "Range of the score if the same execution were recorded again, from simulated "
            f"recordings. Differences between people are not in it ({gold_count} gold video"
            f"{'' if gold_count == 1 else 's'})."
        ),
        method=confidence.method,
        replicates=confidence.replicates,
        n_bootstrap=confidence.replicates,
        calibrated=confidence.calibrated,
    )


def _owners(finding: Finding, steps: Mapping[int, Step]) -> list[int]:
    both = [finding.step_index]
    if finding.type is EventType.ORDER_SWAP and finding.other_step_index != finding.step_index:
        both.append(finding.other_step_index)
    return [index for index in both if index is not None and index in steps]


def unassigned(
    steps: Mapping[int, Step], findings: Sequence[Finding], points: Sequence[float]
) -> list[schemas.Deduction]:
    """The losses that belong to no step. points: one per finding."""
    return [
        schemas.Deduction(type=finding.type.value, amount=amount)
        for finding, amount in zip(findings, points, strict=True)
        if not _owners(finding, steps)
    ]


def contributions_of(
    steps: Mapping[int, Step], findings: Sequence[Finding], points: Sequence[float]
) -> list[schemas.StepContribution]:
    """What every step earned and lost. points: one per finding."""
    deductions: dict[int, list[schemas.Deduction]] = {index: [] for index in steps}
    missed: set[int] = set()
    for finding, lost in zip(findings, points, strict=True):
        owners = _owners(finding, steps)
        for index, amount in zip(owners, _halves(lost, len(owners)), strict=True):
            deductions[index].append(schemas.Deduction(type=finding.type.value, amount=amount))
        if finding.type is EventType.MISSING_STEP:
            missed.update(owners)
    possible = _round(100.0 / len(steps), 2) if steps else 0.0
    rows = []
    for index, step in steps.items():
        left = possible - sum(item.amount for item in deductions[index])
        rows.append(
            schemas.StepContribution(
                step_index=index,
                name_ja=step.name_ja,
                name_en=step.name_en,
                is_critical=step.is_critical,
                points_possible=possible,
                points_earned=0.0 if index in missed else _round(max(0.0, left), 2),
                deductions=deductions[index],
            )
        )
    return rows


def _halves(points: float, count: int) -> list[float]:
    if count < 2:
        return [points][:count]
    first = round(points * 100) // 2 / 100
    return [round(points - first, 2), first]


def _time_compliance(comparison: Comparison) -> list[schemas.TimeCompliance]:
    slow = {
        item.step_index
        for item in comparison.findings
        if item.type is EventType.OVER_TIME and item.detail != "idle"
    }
    rows = []
    for step, span in zip(comparison.steps, comparison.trainee_steps, strict=True):
        actual = None if span is None else _round(span.duration_sec, 3)
        rows.append(
            schemas.TimeCompliance(
                step_index=step.index,
                name_ja=step.name_ja,
                name_en=step.name_en,
                actual_duration_sec=actual,
                gold_duration_sec=_round(step.span.duration_sec, 3) if step.span else None,
                expected_duration_sec=step.expected_duration_sec,
                min_duration_sec=step.min_duration_sec,
                max_duration_sec=step.max_duration_sec,
                is_critical=step.is_critical,
                compliance=time_verdict(step, actual, step.index in slow),
            )
        )
    return rows


def time_verdict(step: Step, actual_sec: float | None, is_slow: bool) -> schemas.Compliance:
    """Whether the trainee kept the step's time limits; without limits only over_time speaks.

    undefined where the step was not found, or nothing says how long it may take.
    """
    if actual_sec is None:
        return "undefined"
    if step.min_duration_sec is not None and actual_sec < step.min_duration_sec:
        return "too_fast"
    if step.max_duration_sec is not None:
        return "too_slow" if actual_sec > step.max_duration_sec else "ok"
    if is_slow:
        return "too_slow"
    return "undefined" if step.min_duration_sec is None else "ok"


def _timeline(
    comparison: Comparison, deviations: Sequence[schemas.Deviation]
) -> list[schemas.TimelineStep]:
    rows = []
    for step, span in zip(comparison.steps, comparison.trainee_steps, strict=True):
        own = [i for i, item in enumerate(deviations) if step.index in _touched(item)]
        gold = step.span or TimeSpan(0.0, 0.0)
        rows.append(
            schemas.TimelineStep(
                step_index=step.index,
                name_ja=step.name_ja,
                name_en=step.name_en,
                is_critical=step.is_critical,
                gold_clip_range=clip_range(comparison.gold_clips, gold),
                trainee_clip_range=span and clip_range(comparison.trainee_clips, span),
                gold_timecode=_timecode(gold),
                trainee_timecode=span and _timecode(span),
                status=_status([deviations[i] for i in own]),
                deviations=own,
            )
        )
    return rows


def _touched(deviation: schemas.Deviation) -> set[int | None]:
    if deviation.type == "order_swap":
        return {deviation.step_index, deviation.other_step_index}
    return {deviation.step_index}


def _status(own: Sequence[schemas.Deviation]) -> schemas.StepStatus:
    kinds = {item.type for item in own}
    if "missing_step" in kinds:
        return "missing"
    if "order_swap" in kinds:
        return "swapped"
    return "deviation" if kinds else "ok"
