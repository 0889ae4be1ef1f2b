"""Public shapes of the service beside the score result: fields of both documented interfaces.

Where the older interface names a thing differently, a response carries both names; aliases live
here only.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from sopilot.core.errors import SopilotError, error_from_record
from sopilot.core.records import Step, StepKind
from sopilot.jobs.records import Job, JobState
from sopilot.library.schemas import VideoRow
from sopilot.sop.profile import MAX_WEIGHT, TaskProfile
from sopilot.sop.queries import ReviewRow, ScoreListRow, ScoreRow, TaskFigures
from sopilot.sop.schemas import ScoreResult, SeverityCounts, Summary

JobStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
VideoStatusName = Literal["queued", "processing", "ready", "failed"]
RoleName = Literal["gold", "trainee", "audit", "footage"]
"""Footage comes in through the incidents and VIGIL, and is not listed unless asked for."""


class ErrorBody(BaseModel):
    code: str = Field(description="Stable, machine-readable.")
    message: str = Field(description="What is wrong, what is allowed and what to do.")
    details: dict[str, JsonValue] = {}


class ErrorEnvelope(BaseModel):
    """Every failure has this form."""

    status: Literal["ERROR"] = Field("ERROR", description="For clients of the incident routes.")
    error: ErrorBody
    detail: str = Field(description="The message again, for older clients.")


class QualitySummaryCheck(BaseModel):
    name: str
    passed: bool
    value: float
    threshold: float
    message_ja: str
    message_en: str


class QualitySummary(BaseModel):
    overall_pass: bool
    checks: list[QualitySummaryCheck]
    recommendations_ja: list[str]
    recommendations_en: list[str]


class QualityReportResponse(QualitySummary):
    """The stored report of the five axes; nothing is computed again."""

    frame_count_sampled: int
    duration_sec: float
    resolution: tuple[int, int] = Field(description="[width, height] in pixels.")


class VideoIngestResponse(BaseModel):
    video_id: int
    video_uid: str
    ingest_job_id: str = Field(description="UUID; poll /videos/jobs/{ingest_job_id}.")
    task_id: str
    role: RoleName
    is_gold: bool
    status: VideoStatusName
    clip_count: int
    num_clips: int = Field(description="Same as clip_count.")
    step_boundaries: list[int] = Field(description="Clip indices, from 0 to clip_count.")
    original_filename: str | None
    gold_version: int | None = Field(description="1-based among the ready golds of the task.")
    quality: QualitySummary | None
    duplicate: bool = Field(description="True: the same bytes were known in this task and role.")


class VideoListItem(BaseModel):
    video_id: int
    video_uid: str
    task_id: str
    role: RoleName
    is_gold: bool
    status: VideoStatusName
    site_id: str | None
    camera_id: str | None
    operator_id_hash: str | None
    recorded_at: str | None
    created_at: str
    clip_count: int
    num_clips: int
    original_filename: str | None
    gold_version: int | None
    embedding_model: str | None
    duration_sec: float | None


class VideoDetailResponse(VideoListItem):
    step_boundaries: list[int]
    quality: QualitySummary | None
    error: str | None
    error_code: str | None
    size_bytes: int
    sha256: str
    width_px: int | None
    height_px: int | None
    fps: float | None
    updated_at: str


class VideoPage(BaseModel):
    items: list[VideoListItem]
    total: int = Field(description="Rows that the filter matches.")
    has_more: bool


class IngestJobResponse(BaseModel):
    ingest_job_id: str
    status: JobStatus
    progress: float = Field(description="0-1.")
    task_id: str
    role: RoleName
    requested_by: str
    video_id: int
    num_clips: int | None
    source_fps: float | None
    sampled_fps: float | None = Field(description="Frames per second that features are made of.")
    embedding_model: str | None
    error: str | None
    error_code: str | None
    error_message: str | None
    queued_at: str
    started_at: str | None
    finished_at: str | None


Weight = Annotated[float, Field(ge=0, le=MAX_WEIGHT, allow_inf_nan=False, strict=True)] | None
RowId = Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]
Points = Annotated[float, Field(ge=0, le=100, strict=True)] | None


class WeightsRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    w_miss: Weight = None
    w_swap: Weight = None
    w_dev: Weight = None
    w_time: Weight = None


class ScoreRequest(BaseModel):
    gold_video_id: RowId
    trainee_video_id: RowId
    weights: WeightsRequest | None = None


class ReviewItem(BaseModel):
    """A person's verdict on a score."""

    verdict: str
    note: str | None
    reviewer: str
    created_at: str
    updated_at: str


class ScoreJobResponse(BaseModel):
    job_id: int
    score_job_id: str = Field(description="UUID of the same job; both are accepted in paths.")
    kind: Literal["score", "ensemble"]
    status: JobStatus
    progress: float = Field(description="0-1.")
    task_id: str
    gold_video_id: int
    gold_video_ids: list[int]
    trainee_video_id: int
    score: float | None
    result: ScoreResult | None
    weights: dict[str, float] | None
    review: ReviewItem | None = Field(description="A person's verdict; null where there is none.")
    requested_by: str
    error: str | None
    error_code: str | None
    error_message: str | None
    created_at: str
    queued_at: str
    started_at: str | None
    finished_at: str | None


class ScoreJobListItem(BaseModel):
    id: int
    job_id: int
    score_job_id: str
    gold_video_id: int
    trainee_video_id: int
    kind: Literal["score", "ensemble"]
    status: JobStatus
    score: float | None
    decision: str | None
    severity_counts: SeverityCounts | None
    score_band: str | None
    task_id: str
    requested_by: str
    created_at: str
    queued_at: str
    updated_at: str
    finished_at: str | None
    error: str | None
    error_message: str | None


class ScorePage(BaseModel):
    items: list[ScoreJobListItem]
    total: int
    has_more: bool


class TaskProfileResponse(BaseModel):
    task_id: str
    task_name: str
    pass_score: float
    retrain_score: float
    default_weights: dict[str, float]
    deviation_policy: dict[str, str]
    version: int


class TaskProfileUpdate(BaseModel):
    """Fields to change; null or absent leaves a field as it is."""

    model_config = ConfigDict(extra="forbid")

    task_name: str | None = Field(default=None, min_length=1, max_length=256)
    pass_score: Points = None
    retrain_score: Points = None
    default_weights: dict[str, Weight] | None = None
    deviation_policy: dict[str, str] | None = None


class StepDefinition(BaseModel):
    """One step; start_sec and end_sec lie in the task's first gold."""

    step_index: int
    name_ja: str | None = None
    name_en: str | None = None
    start_sec: float | None = None
    end_sec: float | None = None
    expected_duration_sec: float | None = None
    min_duration_sec: float | None = None
    max_duration_sec: float | None = None
    is_critical: bool = False
    description: str | None = None
    kind: StepKind | None = Field(
        default=None,
        description="staged: an order of acts; cyclic: one motion again and again; null: judged "
        "from the golds.",
    )


class StepsUpdate(BaseModel):
    steps: list[dict[str, JsonValue]] = Field(
        max_length=1000, description="All steps of the task, see StepDefinition."
    )


class StepsResponse(BaseModel):
    task_id: str
    step_count: int
    steps: list[StepDefinition]


class StepsDeleted(BaseModel):
    task_id: str
    deleted_count: int


class TaskItem(BaseModel):
    task_id: str
    task_name: str
    gold_count: int
    trainee_count: int
    video_count: int
    pass_score: float
    retrain_score: float


class TaskList(BaseModel):
    items: list[TaskItem]
    tasks: list[TaskItem] = Field(description="Same as items.")


class DatabaseCheck(BaseModel):
    status: Literal["up", "down"]
    latency_ms: float | None


class DiskCheck(BaseModel):
    status: Literal["up", "degraded", "down"] = Field(
        description="degraded = above SOPILOT_DISK_HIGH_WATER_PERCENT; delete or add space."
    )
    free_gb: float | None
    total_gb: float | None
    writable: bool


class EmbedderCheck(BaseModel):
    status: Literal["up", "degraded", "down"]
    name: str
    failed_over: bool


class SecondDatabaseCheck(BaseModel):
    status: Literal["up", "degraded"] = Field(
        description="Degraded where changes have waited for over a minute, or may not be applied."
    )
    waiting: int = Field(
        description="Changes that the second database has not got yet, up to 100 000."
    )
    applied_at: str | None
    waiting_since: str | None


class HealthChecks(BaseModel):
    database: DatabaseCheck
    disk: DiskCheck
    embedder: EmbedderCheck
    second_database: SecondDatabaseCheck | None = Field(
        default=None, description="Present while a second database follows only."
    )

    @model_serializer(mode="wrap")
    def _without_absent(self, told: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = told(self)
        if self.second_database is None:
            del found["second_database"]
        return found


class HealthResponse(BaseModel):
    status: Literal["healthy", "degraded", "unhealthy"]
    checks: HealthChecks
    db: bool = Field(description="Does the database answer?")
    version: str


class ReadinessResponse(BaseModel):
    ready: bool
    details: dict[str, str]


class EmbedderStats(BaseModel):
    """Analyses by all processes since the installation was made, and the backend's state."""

    requests_total: int
    primary_successes_total: int
    fallback_uses_total: int
    failure_capsules_total: int
    failed_over: bool = Field(description="Another backend stands in for the one asked for.")
    permanently_failed: bool = Field(description="It does so until the next start.")
    retry_interval_seconds: float = Field(description="0: the choice is made at start only.")


class StatusResponse(BaseModel):
    version: str
    primary_task_id: str
    embedder: str
    embedder_stats: EmbedderStats | None
    queue_depth: int = Field(description="Jobs that wait for a worker.")
    data_dir: str | None = Field(description="Shown with credentials only.")


class RootResponse(BaseModel):
    name: str
    version: str
    docs: str
    health: str


def _pick(model: type[BaseModel], record: Any, **given: Any) -> dict[str, Any]:
    """Fields of `model` that the record has under the same name, then the given ones."""
    found = {
        name: getattr(record, name)
        for name in model.model_fields
        if name not in given and hasattr(record, name)
    }
    return found | given


def _video_fields(video: VideoRow) -> dict[str, Any]:
    return {
        "video_id": video.id,
        "video_uid": video.uid,
        "role": str(video.role),
        "status": str(video.status),
        "clip_count": video.clip_count or 0,
        "num_clips": video.clip_count or 0,
    }


def ingest_response(video: VideoRow, job: Job, *, is_duplicate: bool) -> VideoIngestResponse:
    """The answer to an upload, finished or not."""
    fields = _video_fields(video)
    if job.state is JobState.QUEUED:
        fields["status"] = "queued"
    fields |= {"ingest_job_id": job.uid, "duplicate": is_duplicate}
    return VideoIngestResponse(**_pick(VideoIngestResponse, video, **fields))


def video_item(video: VideoRow) -> VideoListItem:
    """A video as lists show it."""
    return VideoListItem(**_pick(VideoListItem, video, **_video_fields(video)))


def video_detail(video: VideoRow) -> VideoDetailResponse:
    """Everything public about a video."""
    info = video.info or {}
    fields = _video_fields(video) | {
        "error": video.error_message,
        "width_px": info.get("width_px"),
        "height_px": info.get("height_px"),
        "fps": info.get("fps"),
    }
    return VideoDetailResponse(**_pick(VideoDetailResponse, video, **fields))


def ingest_job(video: VideoRow, job: Job) -> IngestJobResponse:
    """An ingest job under both names of its error."""
    return IngestJobResponse(
        ingest_job_id=job.uid,
        status=job.state.value,
        progress=job.progress,
        task_id=video.task_id,
        role=video.role.value,
        requested_by=job.requested_by,
        video_id=video.id,
        num_clips=video.clip_count,
        source_fps=(video.info or {}).get("fps"),
        sampled_fps=(video.info or {}).get("sampled_fps"),
        embedding_model=video.embedding_model,
        error=job.error_message,
        error_code=job.error_code,
        error_message=job.error_message,
        queued_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def ingest_failure(video: VideoRow, job: Job) -> SopilotError:
    """The error that a failed or cancelled ingest job means to the client that waited for it.

    What the decoder wrote (stderr) is for the server's people: it names places on its disk.
    """
    kept = {key: value for key, value in (job.error_details or {}).items() if key != "stderr"}
    details = kept | {
        "video_id": video.id,
        "ingest_job_id": job.uid,
        "status": str(video.status),
        "error": job.error_message,
    }
    code = job.error_code or "JOB_CANCELLED"
    return error_from_record(code, job.error_message or "the ingest was cancelled", details)


def score_job(row: ScoreRow, review: ReviewRow | None = None) -> ScoreJobResponse:
    """A score job with its result and review, under the names of both interfaces."""
    fields = {
        "job_id": row.id,
        "score_job_id": row.uid,
        "gold_video_ids": list(row.gold_video_ids),
        "error": row.error_message if row.status == "failed" else None,
        "error_code": row.error_code if row.status == "failed" else None,
        "error_message": row.error_message if row.status == "failed" else None,
        "queued_at": row.created_at,
        "review": None if review is None else ReviewItem(**_pick(ReviewItem, review)),
    }
    return ScoreJobResponse(**_pick(ScoreJobResponse, row, **fields))


def score_item(row: ScoreListRow) -> ScoreJobListItem:
    """A score job as lists show it."""
    summary = Summary(**row.summary) if row.summary else None
    fields = {
        "job_id": row.id,
        "score_job_id": row.uid,
        "severity_counts": summary.severity_counts if summary else None,
        "score_band": summary.score_band if summary else None,
        "queued_at": row.created_at,
        "error": row.error_message if row.status == "failed" else None,
        "error_message": row.error_message if row.status == "failed" else None,
    }
    return ScoreJobListItem(**_pick(ScoreJobListItem, row, **fields))


def profile_response(profile: TaskProfile) -> TaskProfileResponse:
    """A task profile."""
    return TaskProfileResponse(
        task_id=profile.task_id,
        task_name=profile.task_name,
        pass_score=profile.pass_score,
        retrain_score=profile.retrain_score,
        default_weights=profile.weights.as_dict(),
        deviation_policy={str(k): str(v) for k, v in profile.deviation_policy.items()},
        version=profile.version,
    )


def steps_response(task_id: str, steps: tuple[Step, ...]) -> StepsResponse:
    """The step definitions of a task."""
    items = [
        StepDefinition(
            step_index=step.index,
            name_ja=step.name_ja,
            name_en=step.name_en,
            start_sec=step.span.start_sec if step.span else None,
            end_sec=step.span.end_sec if step.span else None,
            expected_duration_sec=step.expected_duration_sec,
            min_duration_sec=step.min_duration_sec,
            max_duration_sec=step.max_duration_sec,
            is_critical=step.is_critical,
            description=step.description,
            kind=step.kind,
        )
        for step in steps
    ]
    return StepsResponse(task_id=task_id, step_count=len(items), steps=items)


def task_list(rows: list[TaskFigures]) -> TaskList:
    """All tasks."""
    items = [TaskItem(**_pick(TaskItem, row)) for row in rows]
    return TaskList(items=items, tasks=items)
