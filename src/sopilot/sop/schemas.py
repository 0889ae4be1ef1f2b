"""Public shapes of a score: the *result* and *deviation* records of the contract.

Built by `sop.result`, stored as JSON, answered by the service, printed by `sopilot score --json -`
and rendered by `report`. Fields beyond the contract are additive. Times are seconds of video time,
clip ranges are half-open [first, end) clip indices, points are on the 0-100 scale.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Decision = Literal["pass", "needs_review", "retrain", "fail"]
DecisionBasis = Literal[
    "critical_deviation",
    "score_above_threshold",
    "score_between_thresholds",
    "score_below_retrain",
    "remark_to_review",
    "not_comparable",
]
CertaintyName = Literal["clear", "review"]
ScoreBand = Literal["excellent", "passing", "needs_review", "poor"]
SeverityName = Literal["critical", "quality", "efficiency"]
DeviationType = Literal[
    "missing_step",
    "order_swap",
    "step_deviation",
    "repeated_step",
    "extra_action",
    "over_time",
    "freeze",
]
DetailName = Literal["inner", "start", "tail", "dwell", "idle"]
StepStatus = Literal["ok", "missing", "deviation", "swapped"]
Compliance = Literal["ok", "too_fast", "too_slow", "undefined"]
StabilityName = Literal["high", "medium", "low"]
Range = Annotated[tuple[int, int], Field(description="Clip indices [first, end), half-open.")]
Timecode = Annotated[tuple[float, float], Field(description="[start, end] in seconds.")]


class Record(BaseModel):
    """Base of every public shape: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SeverityCounts(Record):
    critical: int = Field(ge=0, description="Deviations that fail the execution.")
    quality: int = Field(ge=0, description="Deviations that may affect quality.")
    efficiency: int = Field(ge=0, description="Deviations that cost time only.")


class Summary(Record):
    decision: Decision = Field(description="Verdict by the task's thresholds and severities.")
    decision_reason: str = Field(description="The rule that decided, with its numbers.")
    decision_basis: DecisionBasis = Field(description="Machine-readable reason.")
    score_band: ScoreBand = Field(description="Threshold-relative label; follows the decision.")
    severity_counts: SeverityCounts
    pass_score: float = Field(description="Least score of a pass when this was scored.")
    retrain_score: float = Field(description="Score below which the verdict was retrain.")
    comment_ja: str = Field(description="One line for the supervisor, Japanese.")
    comment_en: str = Field(description="One line for the supervisor, English.")


class PenaltyBreakdown(Record):
    miss_penalty: float = Field(ge=0, description="Points lost to missing steps and freezes.")
    swap_penalty: float = Field(ge=0, description="Points lost to exchanged steps.")
    dev_penalty: float = Field(ge=0, description="Points lost to deviating, repeated, extra work.")
    time_penalty: float = Field(ge=0, description="Points lost to steps or pauses too long.")
    conformity_penalty: float = Field(
        ge=0, description="Points lost to a general difference without a deviation of its own."
    )
    total_penalty: float = Field(ge=0, description="100 - score; the sum of the others.")


class StructuralRecord(Record):
    order_violation_ratio: float = Field(description="0-1, best match falls back in time.")
    duplicate_ratio: float = Field(description="0-1, several gold clips share one best match.")
    temporal_drift: float = Field(description="0-1, best match against its expected position.")
    local_similarity_gap: float = Field(description="0-1, median minus least best similarity.")


class Metrics(Record):
    miss_steps: int = Field(ge=0, description="Steps that were not done.")
    swap_steps: int = Field(ge=0, description="Exchanges of two steps.")
    deviation_steps: int = Field(ge=0, description="Steps that were done differently.")
    repeat_steps: int = Field(ge=0, description="Steps that were done again.")
    extra_count: int = Field(ge=0, description="Activities that no step explains.")
    over_time_count: int = Field(ge=0, description="Steps or pauses that took too long.")
    freeze_count: int = Field(ge=0, description="Spans with a frozen picture.")
    over_time_ratio: float = Field(
        ge=0, description="How much longer the trainee's video is than the gold's; 0.05 = 5 %."
    )
    dtw_normalized_cost: float = Field(description="Mean distance of matched clips, 0-2.")
    total_steps: int = Field(ge=0, description="Steps of the procedure.")
    penalty_breakdown: PenaltyBreakdown
    structural: StructuralRecord = Field(
        description="Structural differences, each 0-1; reported beside the score."
    )


class Deviation(Record):
    type: DeviationType = Field(description="What kind of difference was found.")
    legacy_type: str | None = Field(description="Name of the type in the older interface.")
    step_index: int | None = Field(description="0-based step; null where no step is meant.")
    gold_step: int | None = Field(description="Same as step_index, older name.")
    other_step_index: int | None = Field(
        description="Partner of a swap, or the step whose action is shown instead."
    )
    severity: SeverityName
    severity_ja: str = Field(description="Label of the severity, Japanese.")
    severity_en: str = Field(description="Label of the severity, English.")
    comment_ja: str
    comment_en: str
    severity_description_ja: str
    severity_description_en: str
    gold_clip_range: Range
    trainee_clip_range: Range
    gold_timecode: Timecode
    trainee_timecode: Timecode
    points: float = Field(ge=0, description="Points of the score that this deviation costs.")
    strength: float = Field(description="0-1, grows with evidence and extent.")
    evidence: float = Field(description="How clear the difference is, in evidence_unit.")
    evidence_unit: Literal["nats", "ratio", "seconds", "distance"]
    certainty: CertaintyName = Field(
        description="review: enough to look at it, never critical by itself."
    )
    alternative_type: DeviationType | None = Field(
        description="What it may be as well: the evidence does not tell the two apart."
    )
    detail: DetailName | None = Field(description="inner, start, tail / dwell, idle.")
    time_ratio: float | None = Field(
        description="over_time: trainee's duration over the gold's for the same span."
    )
    gold_span_len: int = Field(ge=0, description="Gold clips in the span.")
    expected_span_len: float | None = Field(
        description="missing_step: trainee clips the span would take at the trainee's pace."
    )
    unique_positions: int | None = Field(
        description="missing_step: different trainee clips matched to the span."
    )
    distance: float | None = Field(description="Distance of the span where that is the evidence.")
    mean_distance: float | None = Field(description="Same as distance, older name.")

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, value: object) -> object:
        # Records that were stored before the alias have the step only.
        if isinstance(value, dict) and "step_index" in value:
            return {"gold_step": value["step_index"], **value}
        return value


class Boundaries(Record):
    gold: list[int] = Field(description="Step edges as clip indices, from 0 to the clip count.")
    trainee: list[int] = Field(description="Step edges as clip indices, from 0 to the clip count.")


class AlignmentRecord(Record):
    path: list[tuple[int, int]] = Field(
        description="Matched [gold clip, trainee clip], monotone inside each executed step."
    )
    normalized_cost: float = Field(description="Mean distance of matched clips, 0-2.")
    gold_clip_times: list[float] = Field(description="Centre of every gold clip in seconds.")
    trainee_clip_times: list[float] = Field(description="Centre of every trainee clip in seconds.")


class Confidence(Record):
    ci_low: float = Field(description="Lower end of the interval, 0-100; never above the score.")
    ci_high: float = Field(description="Upper end of the interval; never below the score.")
    ci_half_width: float
    level: float = Field(description="Nominal level of the interval.")
    stability: StabilityName = Field(description="Width <= 8 high, <= 16 medium, else low.")
    method: Literal["replicates"] = Field(
        description="Range of the score if the same execution were recorded again."
    )
    replicates: int | None = Field(description="How many simulated recordings were scored.")
    calibrated: bool = Field(
        description="True where the thresholds behind it come from the task's own golds."
    )


class Uncertainty(Record):
    epistemic: float | None = Field(description="Points (1 sd) from too few golds; null = unknown.")
    aleatoric: float = Field(description="Points (1 sd) from the recording itself.")
    total: float = Field(description="Points (1 sd), root of the sum of squares of the known.")
    ci_lower: float = Field(description="Equals confidence.ci_low.")
    ci_upper: float = Field(description="Equals confidence.ci_high.")
    ci_stability: StabilityName
    note: str
    method: Literal["replicates"]
    replicates: int | None
    n_bootstrap: int | None = Field(description="Same as replicates, older name.")
    calibrated: bool


class Deduction(Record):
    type: DeviationType
    amount: float = Field(ge=0, description="Points of the total loss.")


class StepContribution(Record):
    step_index: int
    name_ja: str | None
    name_en: str | None
    is_critical: bool
    points_possible: float = Field(description="100 / number of steps.")
    points_earned: float = Field(description="0 for a missed step, never negative.")
    deductions: list[Deduction] = Field(
        description="Shares of the total loss that belong to this step."
    )


class TimeCompliance(Record):
    step_index: int
    name_ja: str | None
    name_en: str | None
    actual_duration_sec: float | None = Field(
        description="The trainee's time in the step; null where it was not found."
    )
    gold_duration_sec: float | None = Field(description="The gold's time in the step.")
    expected_duration_sec: float | None
    min_duration_sec: float | None
    max_duration_sec: float | None
    is_critical: bool
    compliance: Compliance = Field(
        description="By the defined limits; else too_slow where over_time was found."
    )


class TimelineStep(Record):
    step_index: int
    name_ja: str | None
    name_en: str | None
    is_critical: bool
    gold_clip_range: Range
    trainee_clip_range: Range | None
    gold_timecode: Timecode
    trainee_timecode: Timecode | None
    status: StepStatus
    deviations: list[int] = Field(description="Indices into the result's deviations.")


class ProducerRecord(Record):
    name: str
    version: str
    fingerprint: str = Field(description="Over name, version and settings.")


class WeightsRecord(Record):
    w_miss: float
    w_swap: float
    w_dev: float
    w_time: float


class NoteRecord(Record):
    code: Literal[
        "not_comparable",
        "gold_left_out",
        "gold_copied",
        "one_step",
        "similar_steps",
        "steps_proposed",
        "golds_missing",
        "interval_dropped",
    ]
    text_ja: str
    text_en: str


class CalibrationRecord(Record):
    calibrated: bool = Field(
        description="True where the thresholds come from comparing the task's golds."
    )
    gold_count: int = Field(ge=1)
    golds_missing: int = Field(ge=0, description="Further golds that a calibration needs.")
    price_factor: float = Field(description="What the order edits' thresholds are multiplied by.")
    unlike_factor: float = Field(description="The same for steps that are done differently.")


class FindingRecord(Record):
    """What a gold alone finds, as much as a new decision needs."""

    type: DeviationType
    step_index: int | None
    other_step_index: int | None
    strength: float
    certainty: CertaintyName


class AloneRecord(Record):
    gold_video_id: int
    score: float
    decision: Decision
    conformity: float
    is_comparable: bool
    findings: list[FindingRecord]


class EnsembleError(Record):
    gold_video_id: int
    error: str = Field(description="Why this gold alone gave no score.")


class EnsembleRecord(Record):
    """Several golds: the result itself is one comparison with all of them."""

    consensus_score: float = Field(description="The result's score: one fused comparison.")
    mean_score: float | None = Field(description="Of individual_scores, like the next three.")
    min_score: float | None
    max_score: float | None
    std_score: float | None
    agreement: Literal["high", "medium", "low"] | None = Field(
        description="std_score < 3 high, < 8 medium, else low."
    )
    gold_count: int = Field(ge=1)
    individual_scores: list[float] = Field(
        description="What each gold alone gives, in the order of individual_results."
    )
    individual_results: list[AloneRecord]
    best_gold_video_id: int | None = Field(
        description="The gold that alone gives the most; it decides nothing."
    )
    errors: list[EnsembleError]
    decision: Decision
    decision_source: Literal["consensus"]


class ScoreResult(Record):
    score: float = Field(ge=0, le=100, description="0-100, two decimals; higher is better.")
    summary: Summary
    metrics: Metrics
    deviations: list[Deviation] = Field(description="By time in the gold.")
    boundaries: Boundaries
    alignment: AlignmentRecord
    confidence: Confidence | None = Field(description="Null only where no interval was asked for.")
    uncertainty: Uncertainty | None = Field(description="The same interval in the older form.")
    step_contributions: list[StepContribution]
    unassigned_deductions: list[Deduction] = Field(
        description="Shares of the total loss that belong to no step."
    )
    time_compliance: list[TimeCompliance]
    timeline: list[TimelineStep] = Field(description="Where each step is in both videos.")
    gold_video_id: int | None
    trainee_video_id: int | None
    gold_video_ids: list[int] = Field(description="All golds of the comparison, the first first.")
    task_id: str
    gold_count: int = Field(ge=1)
    steps_source: Literal["marked", "proposed"] = Field(
        description="Steps marked by a person, or proposed from the gold."
    )
    conformity: float = Field(description="0-1, likeness of matched clips; 1 = a re-recording.")
    comparability: float = Field(
        description="Likeness of the trainee's clips to any gold clip, relative to the gold's own."
    )
    likeness: float = Field(
        description="Likeness of the executed steps to the golds, relative to their re-recordings."
    )
    is_comparable: bool = Field(
        description="False where the video shows another place, camera or procedure."
    )
    calibration: CalibrationRecord
    gold_distinctness: float | None = Field(
        description="Least distance of two steps of the gold, 0-2; below 0.25 they look alike."
    )
    similar_steps: list[tuple[int, int]] = Field(
        description="Pairs of steps, by index, that cannot be told apart."
    )
    notes: list[NoteRecord] = Field(description="What to know about the ground of the result.")
    gold_duration_sec: float
    trainee_duration_sec: float
    weights: WeightsRecord = Field(description="The normalised weights in force.")
    algorithm: str = Field(description="Version of the comparison and score method.")
    profile_version: int
    adapter_version: int | None = Field(
        default=None, description="Adaptation that took part; null = the golds alone."
    )
    producers: dict[str, ProducerRecord] = Field(description="What made the arrays compared.")
    ensemble: EnsembleRecord | None = Field(
        default=None, description="Only where several golds were asked for one by one as well."
    )
