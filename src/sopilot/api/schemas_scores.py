"""Public shapes around scores: batches, ensembles, reviews, views of a result, rescoring."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sopilot.api.schemas import JobStatus, RowId, ScoreJobResponse, ScoreRequest, WeightsRequest
from sopilot.sop.queries import ReviewRow, ScoreRow
from sopilot.sop.rescore import Rescored
from sopilot.sop.reviews import MAX_NOTE_LENGTH
from sopilot.sop.schemas import (
    Decision,
    Deviation,
    EnsembleRecord,
    ScoreResult,
    TimelineStep,
    Uncertainty,
)
from sopilot.sop.soft_distance import SoftDistance


class BatchRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pairs: list[ScoreRequest] = Field(min_length=1, max_length=50)


class BatchItem(BaseModel):
    job_id: int
    score_job_id: str = Field(description="UUID of the same job.")
    gold_video_id: int
    trainee_video_id: int
    status: JobStatus


class BatchResponse(BaseModel):
    jobs: list[BatchItem] = Field(description="In the order of the pairs.")
    count: int


class EnsembleRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gold_video_ids: list[RowId] = Field(
        max_length=1000, description="1 to 10 different golds; the first has the steps' times."
    )
    trainee_video_id: RowId
    weights: WeightsRequest | None = None


class EnsembleResponse(BaseModel):
    """An ensemble job; what the comparison finds is null until it is completed."""

    job_id: int
    score_job_id: str = Field(description="UUID of the same job.")
    status: JobStatus
    progress: float = Field(description="0-1.")
    poll: str = Field(description="Where to look for the outcome.")
    trainee_video_id: int
    gold_video_ids: list[int]
    gold_count: int
    consensus_score: float | None = Field(description="One comparison with all golds.")
    mean_score: float | None
    min_score: float | None
    max_score: float | None
    std_score: float | None
    agreement: str | None = Field(description="high, medium or low, by std_score.")
    individual_scores: list[float]
    individual_results: list[dict[str, Any]] = Field(description="What each gold alone finds.")
    best_gold_video_id: int | None
    best_result: ScoreResult | None = Field(
        description="The result in full: that of the consensus, which decides."
    )
    errors: list[dict[str, Any]]
    decision: Decision | None
    decision_source: str = "consensus"
    error: str | None
    error_code: str | None
    error_message: str | None


class ReviewRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Decision
    note: str | None = Field(default=None, max_length=MAX_NOTE_LENGTH)


class ReviewResponse(BaseModel):
    job_id: int
    score_job_id: str
    verdict: Decision
    note: str | None
    reviewer: str
    agrees: bool = Field(description="Is the verdict the decision of the score?")
    created_at: str
    updated_at: str


class TimelineView(TimelineStep):
    """A step with its deviations in full. deviation_indices: their places in the result."""

    deviations: list[Deviation]  # type: ignore[assignment]
    deviation_indices: list[int]


class TimelineResponse(BaseModel):
    job_id: int
    score_job_id: str
    score: float
    decision: Decision
    total_steps: int
    steps: list[TimelineView]


class UncertaintyResponse(BaseModel):
    job_id: int
    score_job_id: str
    score: float
    uncertainty: Uncertainty | None = Field(description="The stored interval; never made anew.")


class StreamEvent(BaseModel):
    """The data of a `status` event; a `done` event has job_id and final_status."""

    job_id: int
    status: JobStatus
    progress: float
    score: float | None = None
    decision: str | None = None
    error: str | None = None


class RescoreResponse(BaseModel):
    task_id: str
    total_jobs_processed: int
    decisions_changed: int
    results_changed: int = Field(description="Scores, decisions, bases or severities.")
    steps_outdated: int = Field(
        description="Scores whose steps are defined otherwise today; rerun them to apply those."
    )
    breakdown: dict[str, int] = Field(description="Changed decisions, old -> new.")
    dry_run: bool


class SoftDtwRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gold_video_id: RowId
    trainee_video_id: RowId
    gamma: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0


class SoftDtwResponse(BaseModel):
    soft_dtw_distance: float = Field(description="Soft minimum over all paths; may be negative.")
    normalized_cost: float = Field(description="Distance per cell of the cheapest path.")
    gamma: float
    alignment_path_length: int


def batch_response(rows: list[ScoreRow]) -> BatchResponse:
    """The queued jobs of a batch."""
    jobs = [
        BatchItem(
            job_id=row.id,
            score_job_id=row.uid,
            gold_video_id=row.gold_video_id,
            trainee_video_id=row.trainee_video_id,
            status=row.status,
        )
        for row in rows
    ]
    return BatchResponse(jobs=jobs, count=len(jobs))


def ensemble_response(row: ScoreRow, job: ScoreJobResponse, poll: str) -> EnsembleResponse:
    """An ensemble job under the names of the contract. job: the same row as a score job."""
    result = job.result
    record = result.ensemble if result else None
    known = record.model_dump(mode="json") if record else dict.fromkeys(EnsembleRecord.model_fields)
    filled = known | {
        "gold_count": len(row.gold_video_ids),
        "individual_scores": known["individual_scores"] or [],
        "individual_results": known["individual_results"] or [],
        "errors": known["errors"] or [],
        "decision_source": "consensus",
    }
    return EnsembleResponse(
        job_id=row.id,
        score_job_id=row.uid,
        status=job.status,
        progress=job.progress,
        poll=poll,
        trainee_video_id=row.trainee_video_id,
        gold_video_ids=list(row.gold_video_ids),
        best_result=result,
        error=job.error,
        error_code=job.error_code,
        error_message=job.error_message,
        **filled,
    )


def review_response(row: ScoreRow, review: ReviewRow) -> ReviewResponse:
    """A stored review."""
    return ReviewResponse(
        job_id=row.id,
        score_job_id=row.uid,
        verdict=review.verdict,
        note=review.note,
        reviewer=review.reviewer,
        agrees=review.verdict == row.decision,
        created_at=review.created_at,
        updated_at=review.updated_at,
    )


def timeline_response(row: ScoreRow, result: ScoreResult) -> TimelineResponse:
    """The steps of a result with what went differently in each."""
    steps = [
        TimelineView(
            **step.model_dump(exclude={"deviations"}),
            deviations=[result.deviations[i] for i in step.deviations],
            deviation_indices=step.deviations,
        )
        for step in result.timeline
    ]
    return TimelineResponse(
        job_id=row.id,
        score_job_id=row.uid,
        score=result.score,
        decision=result.summary.decision,
        total_steps=result.metrics.total_steps,
        steps=steps,
    )


def uncertainty_response(row: ScoreRow, result: ScoreResult) -> UncertaintyResponse:
    """The stored interval of a result."""
    return UncertaintyResponse(
        job_id=row.id, score_job_id=row.uid, score=result.score, uncertainty=result.uncertainty
    )


def rescore_response(task_id: str, done: Rescored, *, is_dry_run: bool) -> RescoreResponse:
    """What a rescore did, or would do."""
    return RescoreResponse(
        task_id=task_id,
        total_jobs_processed=done.total_jobs_processed,
        decisions_changed=done.decisions_changed,
        results_changed=done.results_changed,
        steps_outdated=done.steps_outdated,
        breakdown=dict(done.breakdown),
        dry_run=is_dry_run,
    )


def soft_dtw_response(found: SoftDistance) -> SoftDtwResponse:
    """A soft distance, to six decimals."""
    return SoftDtwResponse(
        soft_dtw_distance=round(found.soft_dtw_distance, 6),
        normalized_cost=round(found.normalized_cost, 6),
        gamma=found.gamma,
        alignment_path_length=found.alignment_path_length,
    )
