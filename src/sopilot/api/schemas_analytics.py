"""Public shapes of the analytics; built from the records of `sop.analytics`.

A rate is 0-1 and null where there is nothing to divide by; so is a mean of nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sopilot.sop.advice import IssueType, Priority, StepCounts
from sopilot.sop.analytics import (
    ComplianceFigures,
    OperatorAdvice,
    OperatorProjection,
    OperatorTrend,
    Overview,
    StepFigures,
)
from sopilot.sop.analytics_queries import ScorePoint
from sopilot.sop.projection import Confidence, ModelType, Trajectory
from sopilot.sop.schemas import Decision
from sopilot.sop.tally import Share, TrendDirection, rate

Rate = Annotated[float | None, Field(ge=0, le=1)]


class Counted(BaseModel):
    job_count: int = Field(description="Completed scores.")
    avg_score: float | None
    pass_count: int
    fail_count: int
    compliance_rate: Rate = Field(description="pass_count / job_count.")


class OperatorShare(Counted):
    operator_id: str | None = Field(description="Null: the trainee's video names no operator.")


class SiteShare(Counted):
    site_id: str | None = Field(description="Null: the trainee's video names no site.")


class ScoreBucket(BaseModel):
    bucket: Literal["90-100", "80-89", "70-79", "0-69"] = Field(
        description="By whole points: 89.99 belongs to 80-89."
    )
    count: int


class TrendPoint(BaseModel):
    job_id: int
    task_id: str
    score: float
    decision: Decision
    created_at: str
    completed_at: str


class ReviewerAgreement(BaseModel):
    reviewed_count: int
    agree_count: int = Field(description="Reviews whose verdict is the decision of the score.")
    agreement_rate: Rate
    by_verdict: dict[str, int] = Field(description="Reviews by verdict.")


class AnalyticsResponse(BaseModel):
    total_jobs: int = Field(
        description="Completed scores, and jobs without a result ordered in the same period."
    )
    completed_jobs: int
    pass_count: int
    fail_count: int
    needs_review_count: int
    retrain_count: int
    avg_score: float | None
    min_score: float | None
    max_score: float | None
    by_operator: list[OperatorShare] = Field(description="Best mean score first.")
    by_site: list[SiteShare] = Field(description="Best mean score first.")
    score_distribution: list[ScoreBucket]
    recent_trend: list[TrendPoint] = Field(description="The 30 latest scores, newest first.")
    reviewer_agreement: ReviewerAgreement


class ComplianceResponse(BaseModel):
    compliance_rate: Rate = Field(description="pass_count / total_jobs.")
    total_jobs: int = Field(description="Completed scores.")
    pass_count: int
    trend_direction: TrendDirection = Field(
        description="Passes of the later half of the scores against the earlier; 0.05 is stable."
    )
    by_site: list[SiteShare]
    top_operators: list[OperatorShare] = Field(
        description="Up to five with the highest share of passes, of those with three scores."
    )
    bottom_operators: list[OperatorShare] = Field(description="The same, lowest first.")


class StepPerformance(BaseModel):
    step_index: int
    name_ja: str | None
    name_en: str | None
    job_count: int = Field(description="Scores that have the step; what the rates divide by.")
    miss_rate: Rate
    deviation_rate: Rate
    swap_rate: Rate
    over_time_rate: Rate
    any_issue_rate: Rate
    avg_actual_sec: float | None = Field(description="How long trainees took, where they did it.")


class StepsPerformanceResponse(BaseModel):
    task_id: str | None
    total_jobs: int = Field(description="Scores looked at: the latest 500 at most.")
    steps: list[StepPerformance]
    hardest_step_index: int | None = Field(
        description="Highest any_issue_rate; null without any issue."
    )


class OperatorTrendResponse(BaseModel):
    operator_id: str
    job_count: int = Field(description="Scores in `jobs`.")
    total_jobs: int = Field(description="All completed scores that match.")
    avg_score: float | None
    latest_decision: Decision | None
    trend_slope: float | None = Field(description="Points per evaluation, least squares.")
    improvement_pct: float | None = Field(description="Last score against the first, per cent.")
    moving_avg: list[float | None] = Field(description="Mean of five; null until five are there.")
    pass_rate: list[float | None] = Field(description="Share of passes among the same five.")
    volatility: float | None = Field(description="Standard deviation of the last five scores.")
    team_avg: float | None = Field(description="Mean of all operators under the same filter.")
    jobs: list[TrendPoint] = Field(description="The latest `limit` scores, oldest first.")


class OperatorProjectionResponse(BaseModel):
    operator_id: str
    task_id: str | None
    job_count: int
    avg_score: float | None
    latest_score: float | None
    trend_slope: float | None = Field(description="Points per evaluation, least squares.")
    trajectory: Trajectory | None = Field(
        description="By trend_slope: plateau within 1 point per evaluation; null below 3 scores."
    )
    is_certified: bool = Field(description="The latest score is a pass and reaches the pass mark.")
    pass_threshold: float = Field(description="The task's pass mark in force.")
    evaluations_to_certification: int | None = Field(
        description="0 = certified; null = not within 100 evaluations, or unknown."
    )
    confidence: Confidence = Field(description="high from 10 scores, medium from 5.")
    model_type: ModelType = Field(description="The curve of the lowest BIC.")
    projected_scores: list[float] = Field(
        description="The next five scores, 0-100; empty below 3 scores."
    )
    scores: list[float] = Field(description="Oldest first.")


class RecommendationItem(BaseModel):
    step_index: int
    issue_type: IssueType
    frequency: Rate = Field(description="count / scores that have the step; from 0.15 on.")
    count: int
    priority: Priority = Field(description="critical from 0.5, quality from 0.25.")
    advice_ja: str
    advice_en: str


class RecommendationsResponse(BaseModel):
    operator_id: str
    task_id: str | None
    job_count: int
    total_deviations: int = Field(description="Steps missing, deviating, exchanged or too slow.")
    recommendations: list[RecommendationItem] = Field(description="Most frequent first.")
    overall_assessment: Literal["要再研修", "改善中", "良好", "データなし"]
    overall_assessment_en: Literal["retraining needed", "improving", "good", "no data"]


def analytics_response(found: Overview) -> AnalyticsResponse:
    """The figures of everything that matches."""
    total = found.total
    return AnalyticsResponse(
        total_jobs=total.job_count + found.open_count,
        completed_jobs=total.job_count,
        pass_count=total.pass_count,
        fail_count=total.fail_count,
        needs_review_count=total.needs_review_count,
        retrain_count=total.retrain_count,
        avg_score=total.avg_score,
        min_score=total.min_score,
        max_score=total.max_score,
        by_operator=[_operator(share) for share in found.by_operator],
        by_site=[_site(share) for share in found.by_site],
        score_distribution=[
            ScoreBucket(bucket=name, count=count) for name, count in total.distribution
        ],
        recent_trend=[_point(point) for point in found.recent],
        reviewer_agreement=ReviewerAgreement.model_validate(found.agreement, from_attributes=True),
    )


def compliance_response(found: ComplianceFigures) -> ComplianceResponse:
    """Passes and who has them."""
    return ComplianceResponse(
        compliance_rate=found.total.compliance_rate,
        total_jobs=found.total.job_count,
        pass_count=found.total.pass_count,
        trend_direction=found.trend_direction,
        by_site=[_site(share) for share in found.by_site],
        top_operators=[_operator(share) for share in found.top_operators],
        bottom_operators=[_operator(share) for share in found.bottom_operators],
    )


def steps_performance(found: StepFigures) -> StepsPerformanceResponse:
    """The steps by index, with their names where they are defined."""
    return StepsPerformanceResponse(
        task_id=found.task_id,
        total_jobs=found.total_jobs,
        steps=[_step(found, one) for one in found.counts],
        hardest_step_index=found.hardest_step_index,
    )


def trend_response(operator_id: str, found: OperatorTrend) -> OperatorTrendResponse:
    """An operator's scores as a curve."""
    points, trend = found.points, found.trend
    return OperatorTrendResponse(
        operator_id=operator_id,
        job_count=len(points),
        total_jobs=found.total_jobs,
        avg_score=trend.avg_score,
        latest_decision=_decision(points[-1]) if points else None,
        trend_slope=trend.trend_slope,
        improvement_pct=trend.improvement_pct,
        moving_avg=list(trend.moving_avg),
        pass_rate=list(trend.pass_rate),
        volatility=trend.volatility,
        team_avg=found.team_avg,
        jobs=[_point(point) for point in points],
    )


def projection_response(operator_id: str, found: OperatorProjection) -> OperatorProjectionResponse:
    """Where an operator's scores are heading."""
    scores = [point.score for point in found.points]
    projection = found.projection
    return OperatorProjectionResponse(
        operator_id=operator_id,
        task_id=found.task_id,
        job_count=len(scores),
        avg_score=round(sum(scores) / len(scores), 2) if scores else None,
        latest_score=scores[-1] if scores else None,
        trend_slope=projection.trend_slope,
        trajectory=projection.trajectory,
        is_certified=found.is_certified,
        pass_threshold=found.pass_threshold,
        evaluations_to_certification=projection.evaluations_to_certification,
        confidence=projection.confidence,
        model_type=projection.model_type,
        projected_scores=list(projection.projected_scores),
        scores=scores,
    )


def recommendations_response(operator_id: str, found: OperatorAdvice) -> RecommendationsResponse:
    """What an operator should practise."""
    return RecommendationsResponse.model_validate(
        {
            "operator_id": operator_id,
            "task_id": found.task_id,
            "job_count": found.job_count,
            "total_deviations": found.advice.total_deviations,
            "recommendations": [
                RecommendationItem.model_validate(item, from_attributes=True)
                for item in found.advice.recommendations
            ],
            "overall_assessment": found.advice.overall_assessment,
            "overall_assessment_en": found.advice.overall_assessment_en,
        }
    )


def _operator(share: Share) -> OperatorShare:
    tally = share.tally
    return OperatorShare(
        operator_id=share.name,
        job_count=tally.job_count,
        avg_score=tally.avg_score,
        pass_count=tally.pass_count,
        fail_count=tally.fail_count,
        compliance_rate=tally.compliance_rate,
    )


def _site(share: Share) -> SiteShare:
    tally = share.tally
    return SiteShare(
        site_id=share.name,
        job_count=tally.job_count,
        avg_score=tally.avg_score,
        pass_count=tally.pass_count,
        fail_count=tally.fail_count,
        compliance_rate=tally.compliance_rate,
    )


def _point(point: ScorePoint) -> TrendPoint:
    return TrendPoint.model_validate(point, from_attributes=True)


def _decision(point: ScorePoint) -> Decision:
    return _point(point).decision


def _step(found: StepFigures, one: StepCounts) -> StepPerformance:
    step = found.steps.get(one.step_index)
    return StepPerformance(
        step_index=one.step_index,
        name_ja=step.name_ja if step else None,
        name_en=step.name_en if step else None,
        job_count=one.job_count,
        miss_rate=rate(one.miss_count, one.job_count),
        deviation_rate=rate(one.deviation_count, one.job_count),
        swap_rate=rate(one.swap_count, one.job_count),
        over_time_rate=rate(one.over_time_count, one.job_count),
        any_issue_rate=rate(one.any_issue_count, one.job_count),
        avg_actual_sec=round(one.sec_sum / one.timed_count, 3) if one.timed_count else None,
    )
