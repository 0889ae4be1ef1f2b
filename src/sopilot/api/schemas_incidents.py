"""Shapes of the incident routes: every success is `{"status": "OK", "data": …}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from sopilot.api.uploads import none_if_blank
from sopilot.incidents.record import highlight_text
from sopilot.incidents.schemas import Domain, EventRow, IncidentRow, Language, LogRow, WindowRow
from sopilot.incidents.search import SearchFound
from sopilot.incidents.submit import Order


def _none_if_empty(value: str) -> str | None:
    """A form sends every field, also those that nobody filled in."""
    return value.strip() or None


def _none_if_auto(value: str) -> str | None:
    return None if value.strip().lower() in {"", "auto", "unknown"} else value


class IncidentForm(BaseModel):
    """Fields beside the file of an upload."""

    model_config = ConfigDict(extra="ignore")

    domain: Annotated[Domain | None, BeforeValidator(_none_if_auto)] = Field(
        default=None, description="What the video shows; inferred when left out, empty or `auto`."
    )
    language: Annotated[Language | None, BeforeValidator(_none_if_empty)] = Field(
        default=None, description="Language of descriptions; the setting's when left out."
    )
    events: Annotated[str | None, Field(max_length=12_000), AfterValidator(lambda v: v or None)] = (
        Field(
            default=None,
            description="Further event types in plain words, one per line: `TYPE: question`.",
        )
    )
    filename: Annotated[str | None, Field(max_length=255), AfterValidator(none_if_blank)] = None


class Uploaded(BaseModel):
    incident_iid: int
    status: str
    stream_url: str = Field(description="Where the status is told as server-sent events.")


class UploadedAnswer(BaseModel):
    status: Literal["OK"] = "OK"
    data: Uploaded


class Incident(BaseModel):
    """analysis_json holds every question's parameters and every raw answer; lists leave it out."""

    iid: int
    uid: str
    video_link: str
    status: str
    stage: int | None
    progress: float | None
    domain: str | None
    inferred_domain: str | None
    language: str
    has_event: bool | None
    method: str | None = Field(description="`vlm`, or `signal`: measured, nobody looked.")
    duration_sec: float | None
    num_frames: int | None
    num_windows: int | None
    model_version: str | None
    prompt_version: str | None
    analysis_json: dict[str, Any] | None
    error_code: str | None
    error: str | None
    created_at: str
    updated_at: str


class IncidentAnswer(BaseModel):
    status: Literal["OK"] = "OK"
    data: Incident


class IncidentList(BaseModel):
    status: Literal["OK"] = "OK"
    data: list[Incident]
    total: int


class Event(BaseModel):
    iid: int
    incident_iid: int
    event_type: str
    start_time: float
    end_time: float
    confidence: float | None = Field(description="Calibrated; null until enough was reviewed.")
    description: str
    highlight: str
    method: str
    score: float | None = Field(description="Of the model, 0-1, not calibrated.")
    percentile: float | None = Field(
        description="0-100: where a measured change stands in its own video."
    )


class EventAnswer(BaseModel):
    status: Literal["OK"] = "OK"
    data: Event


class EventList(BaseModel):
    status: Literal["OK"] = "OK"
    data: list[Event]


class TimelineLine(BaseModel):
    window_idx: int
    timestamp_sec: float
    interval_end_sec: float
    label: str = Field(description="EVENT, SAFE, NOT_CHECKED or MEASURED.")
    has_event: bool | None
    caption: str | None
    risk_score: float | None
    event_type: str | None


class TimelineList(BaseModel):
    status: Literal["OK"] = "OK"
    data: list[TimelineLine]


class Log(BaseModel):
    iid: int
    timedate: str
    event: str
    stage: int | None
    detail: dict[str, Any]
    model_version: str | None
    prompt_version: str | None


class LogList(BaseModel):
    status: Literal["OK"] = "OK"
    data: list[Log]


class SearchLine(BaseModel):
    window_idx: int
    timestamp_sec: float
    interval_end_sec: float
    caption: str | None
    risk_score: float | None
    event_type: str | None
    score: float = Field(description="BM25 of the words' stems; 0 where only a substring matched.")


class SearchData(BaseModel):
    prompt: str
    total_windows: int
    matches: int
    results: list[SearchLine]


class SearchAnswer(BaseModel):
    status: Literal["OK"] = "OK"
    data: SearchData


def order_of(
    form: IncidentForm, custom_events: Mapping[str, str], language: Language, filename: str | None
) -> Order:
    """The order that a form gives. language: of the settings."""
    return Order(form.domain, form.language or language, custom_events, filename or form.filename)


def incident_shape(row: IncidentRow, analysis: Mapping[str, Any] | None = None) -> Incident:
    """An incident for the wire."""
    return Incident(
        iid=row.id,
        uid=row.uid,
        video_link=f"/api/v1/incidents/{row.id}/media",
        status=str(row.status),
        stage=row.stage,
        progress=row.progress,
        domain=row.domain,
        inferred_domain=row.inferred_domain,
        language=row.language,
        has_event=row.has_event,
        method=row.method,
        duration_sec=row.duration_sec,
        num_frames=row.frame_count,
        num_windows=row.window_count,
        model_version=row.model_version,
        prompt_version=row.prompt_version,
        analysis_json=None if analysis is None else dict(analysis),
        error_code=row.error_code,
        error=row.error_message,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def event_shape(row: EventRow) -> Event:
    """An event for the wire."""
    return Event(
        iid=row.id,
        incident_iid=row.incident_id,
        event_type=row.event_type,
        start_time=round(row.start_sec, 3),
        end_time=round(row.end_sec, 3),
        confidence=row.confidence,
        description=row.description,
        highlight=highlight_text(row.highlight_start_sec, row.highlight_end_sec),
        method=row.method,
        score=row.score,
        percentile=row.percentile,
    )


def timeline_shape(row: WindowRow) -> TimelineLine:
    """A line of the timeline for the wire."""
    return TimelineLine(
        window_idx=row.window_index,
        timestamp_sec=round(row.start_sec, 3),
        interval_end_sec=round(row.end_sec, 3),
        label=str(row.label),
        has_event=row.has_event,
        caption=row.caption,
        risk_score=row.risk_score,
        event_type=row.event_type,
    )


def log_shape(row: LogRow) -> Log:
    """A log row for the wire."""
    return Log(
        iid=row.id,
        timedate=row.created_at,
        event=str(row.event),
        stage=row.stage,
        detail=dict(row.detail),
        model_version=row.model_version,
        prompt_version=row.prompt_version,
    )


def search_shape(prompt: str, found: SearchFound) -> SearchData:
    """The hits of a search for the wire."""
    return SearchData(
        prompt=prompt,
        total_windows=found.window_count,
        matches=len(found.hits),
        results=[
            SearchLine(
                score=round(hit.score, 4),
                **timeline_shape(hit.window).model_dump(exclude={"label", "has_event"}),
            )
            for hit in found.hits
        ],
    )
