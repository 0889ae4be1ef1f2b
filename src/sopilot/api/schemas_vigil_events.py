"""Shapes of the events of VIGIL: definitions, runs, events, rates."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from sopilot.api.schemas_vigil import VideoName, Words
from sopilot.api.uploads import none_if_blank
from sopilot.core.timespan import TimeSpan
from sopilot.vigil.event_schemas import (
    DefinitionRow,
    EventRow,
    FoundEvent,
    NewDefinition,
    RunRow,
)
from sopilot.vigil.events import AlarmRate, Difference, Proposal

EventTypeName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{1,63}$")]
StatusName = Literal["new", "confirmed", "false_alarm"]


class QuietHours(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: time
    end: time


class Alert(BaseModel):
    """Tell of new events by the webhook, under `vigil.event_found`."""

    model_config = ConfigDict(extra="forbid")

    dedupe_sec: float = Field(
        default=300.0, ge=0, le=86_400, description="At most one per camera in this time."
    )
    quiet: QuietHours | None = Field(
        default=None, description="None goes out in these hours of the server's clock."
    )


class DefinitionBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    description: Annotated[Words, Field(min_length=3, max_length=1000)] = Field(
        description="The event in plain words."
    )
    visual_cues: list[Annotated[Words, Field(min_length=1, max_length=200)]] = Field(
        default=[], max_length=10
    )
    contrast: Annotated[Words, Field(max_length=1000), AfterValidator(none_if_blank)] | None = (
        Field(default=None, description="How it looks when it does not happen.")
    )
    method: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,15}$")] = Field(
        default="zero_shot", description="zero_shot, signal, sop, or a detector that is installed."
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Score from which an event is told."
    )
    alert: Alert | None = None
    enabled: bool = True

    @field_validator("description")
    @classmethod
    def _worded(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("describe the event in words")
        return value

    def made(self, event_type: str) -> NewDefinition:
        """The use case's form of it."""
        return NewDefinition(
            event_type,
            self.description.strip(),
            [cue.strip() for cue in self.visual_cues],
            self.contrast,
            self.method,
            self.threshold,
            None if self.alert is None else self.alert.model_dump(mode="json"),
            self.enabled,
        )


class NewDefinitionBody(DefinitionBody):
    event_type: EventTypeName


class Definition(BaseModel):
    event_type: str
    version: int
    description: str
    visual_cues: list[str]
    contrast: str | None
    method: str
    threshold: float | None
    alert: dict[str, Any] | None
    enabled: bool
    created_by: str
    created_at: str


class DefinitionList(BaseModel):
    items: list[Definition]
    methods: list[str] = Field(description="What a definition's method may be here.")


class DefinitionHistory(BaseModel):
    versions: list[Definition] = Field(description="The one in force first.")


class DetectOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    event_types: list[EventTypeName] = Field(
        default=[], max_length=100, description="All enabled ones when left out."
    )
    video_ids: list[VideoName] = Field(
        default=[], max_length=1000, description="Every indexed video when left out."
    )


class Unchecked(BaseModel):
    start_sec: float
    end_sec: float
    code: str


class Run(BaseModel):
    """checked_sec 0 with spans in `unchecked` means that nobody looked, not that nothing is."""

    run_id: str
    event_type: str
    version: int
    video_id: str
    state: str
    progress: float | None
    checked_sec: float | None
    unchecked: list[Unchecked]
    model_version: str | None
    prompt_version: str | None
    error_code: str | None
    error: str | None
    created_at: str
    finished_at: str | None


class RunList(BaseModel):
    items: list[Run]
    total: int


class VigilEvent(BaseModel):
    event_id: str
    event_type: str
    video_id: str
    camera_id: str | None
    start_sec: float
    end_sec: float
    confidence: float | None = Field(description="Null until 30 events of the type are reviewed.")
    score: float | None = Field(description="Of the method, 0-1, not calibrated.")
    method: str
    status: str
    description: str
    definition_version: int | None
    evidence: dict[str, Any]
    reviewed_by: str | None
    reviewed_at: str | None
    note: str | None
    created_at: str


class VigilEvents(BaseModel):
    events: list[VigilEvent]
    not_checked: list[Unchecked] = Field(
        description="Spans that nobody looked at for one of the asked types."
    )


class VigilEventPage(BaseModel):
    events: list[VigilEvent]
    total: int


class ReviewBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: StatusName
    note: Annotated[Words, Field(max_length=2000), AfterValidator(none_if_blank)] | None = None


class ImportedEvent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    event_type: EventTypeName
    start_sec: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    end_sec: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    score: Annotated[float, Field(ge=0, le=1)] | None = None
    description: Annotated[Words, Field(max_length=1000)] = ""

    def found(self) -> FoundEvent:
        """The use case's form of it. Raises InputError where it ends before it starts."""
        span = TimeSpan(self.start_sec, self.end_sec)
        return FoundEvent(self.event_type, span, self.score, self.description)


class ImportBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    events: list[ImportedEvent] = Field(min_length=1, max_length=10_000)


class Imported(BaseModel):
    video_id: str
    imported: int


class Rate(BaseModel):
    camera_id: str | None = Field(description="Null for all cameras together.")
    hours: float = Field(description="That were really looked at.")
    confirmed: int
    false_alarms: int
    unreviewed: int
    false_alarms_per_hour: float | None
    interval: list[float] | None = Field(description="95 % Poisson bounds, per hour.")


class Rates(BaseModel):
    event_type: str
    rates: list[Rate]


class ThresholdProposal(BaseModel):
    event_type: str
    alarms_per_hour: float = Field(description="The budget.")
    threshold: float | None
    expected_per_hour: float | None
    confirmed_kept: int
    confirmed: int
    reviewed: int
    hours: float
    note: str


class Diff(BaseModel):
    event_type: str
    before: Definition
    after: Definition
    videos: int = Field(description="In which both versions were looked for.")
    kept: int
    gained: list[VigilEvent]
    lost: list[VigilEvent]


def definition_shape(row: DefinitionRow) -> Definition:
    """A version of a definition."""
    return Definition(
        event_type=row.event_type,
        version=row.version,
        description=row.description,
        visual_cues=[*row.visual_cues],
        contrast=row.contrast,
        method=row.method,
        threshold=row.threshold,
        alert=None if row.alert is None else dict(row.alert),
        enabled=row.is_enabled,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def unchecked_shapes(row: RunRow) -> list[Unchecked]:
    """The spans that a run did not look at."""
    return [
        Unchecked(start_sec=item["span"][0], end_sec=item["span"][1], code=item["code"])
        for item in row.unchecked
    ]


def run_shape(row: RunRow) -> Run:
    """One definition over one video."""
    return Run(
        run_id=row.uid,
        event_type=row.event_type,
        version=row.version,
        video_id=row.video_uid,
        state=str(row.state),
        progress=row.progress,
        checked_sec=row.checked_sec,
        unchecked=unchecked_shapes(row),
        model_version=row.model_version,
        prompt_version=row.prompt_version,
        error_code=row.error_code,
        error=row.error_message,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def event_shape(row: EventRow) -> VigilEvent:
    """An event."""
    return VigilEvent(
        event_id=row.uid,
        event_type=row.event_type,
        video_id=row.video_uid,
        camera_id=row.camera_id,
        start_sec=row.span.as_list()[0],
        end_sec=row.span.as_list()[1],
        confidence=row.confidence,
        score=row.score,
        method=row.method,
        status=str(row.status),
        description=row.description,
        definition_version=row.version,
        evidence=dict(row.evidence),
        reviewed_by=row.reviewed_by,
        reviewed_at=row.reviewed_at,
        note=row.note,
        created_at=row.created_at,
    )


def rate_shape(rate: AlarmRate) -> Rate:
    """False alarms at a camera."""
    return Rate(
        camera_id=rate.camera_id,
        hours=rate.hours,
        confirmed=rate.confirmed,
        false_alarms=rate.false_alarms,
        unreviewed=rate.unreviewed,
        false_alarms_per_hour=rate.per_hour,
        interval=None if rate.interval is None else [*rate.interval],
    )


def proposal_shape(event_type: str, budget: float, found: Proposal) -> ThresholdProposal:
    """A threshold for a budget."""
    return ThresholdProposal(
        event_type=event_type,
        alarms_per_hour=budget,
        threshold=found.threshold,
        expected_per_hour=found.per_hour,
        confirmed_kept=found.kept,
        confirmed=found.confirmed,
        reviewed=found.reviewed,
        hours=found.hours,
        note=found.told,
    )


def diff_shape(found: Difference) -> Diff:
    """What another wording gains and loses."""
    return Diff(
        event_type=found.after.event_type,
        before=definition_shape(found.before),
        after=definition_shape(found.after),
        videos=found.video_count,
        kept=found.kept,
        gained=[event_shape(row) for row in found.gained],
        lost=[event_shape(row) for row in found.lost],
    )
