"""Records of incidents: a video that is looked through for dangerous events, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from sopilot.core.records import Keyframe
from sopilot.core.timespan import TimeSpan
from sopilot.media.pictures import PicturePlan

Domain = Literal["traffic", "production", "violence", "other"]
Language = Literal["ru", "en", "ja"]
Method = Literal["vlm", "signal"]


class Status(StrEnum):
    """Life of an incident. PENDING and UPLOADING belong to the sender: a row exists from SAVED on.

    SAVED -> PROCESSING -> DONE or ERROR; a new analysis leads from those two back to SAVED.
    """

    PENDING = "PENDING"
    UPLOADING = "UPLOADING"
    SAVED = "SAVED"
    PROCESSING = "PROCESSING"
    DONE = "DONE"
    ERROR = "ERROR"


ENDS = frozenset({Status.DONE, Status.ERROR})


class LogEvent(StrEnum):
    """What is written down about an incident."""

    UPLOADED = "UPLOADED"
    PROCESSING_START = "PROCESSING_START"
    STAGE_START = "STAGE_START"
    ANALYZE_REQUESTED = "ANALYZE_REQUESTED"
    DONE = "DONE"
    ERROR = "ERROR"


class Label(StrEnum):
    """What is known about a window: the model saw an event, saw none, or was not asked; or its
    pictures were measured, and nobody looked at them."""

    EVENT = "EVENT"
    SAFE = "SAFE"
    NOT_CHECKED = "NOT_CHECKED"
    MEASURED = "MEASURED"


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """A row of `incidents`, with the progress of its job. analysis: see `incidents.analysis`."""

    id: int
    uid: str
    video_id: int
    job_id: int | None
    domain: Domain | None
    language: Language
    custom_events: Mapping[str, str]
    status: Status
    stage: int | None
    method: Method | None
    inferred_domain: Domain | None
    has_event: bool | None
    duration_sec: float | None
    frame_count: int | None
    window_count: int | None
    model_version: str | None
    prompt_version: str | None
    error_code: str | None
    error_message: str | None
    requested_by: str
    created_at: str
    updated_at: str
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of `incident_events`. confidence: calibrated, None before it is. score: of the model,
    percentile: of a measured change, within its video."""

    id: int
    incident_id: int
    event_type: str
    start_sec: float
    end_sec: float
    highlight_start_sec: float
    highlight_end_sec: float
    confidence: float | None
    score: float | None
    percentile: float | None
    method: Method
    description: str


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A row of `incident_windows`: one line of the timeline."""

    id: int
    incident_id: int
    window_index: int
    start_sec: float
    end_sec: float
    label: Label
    has_event: bool | None
    caption: str | None
    risk_score: float | None
    event_type: str | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """A row of `incident_logs`."""

    id: int
    incident_id: int
    event: LogEvent
    status: Status
    stage: int | None
    detail: Mapping[str, Any]
    model_version: str | None
    prompt_version: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event before it has a row."""

    event_type: str
    span: TimeSpan
    highlight: TimeSpan
    method: Method
    description: str
    score: float | None = None
    percentile: float | None = None
    keyframe: Keyframe | None = None


@dataclass(frozen=True, slots=True)
class TimelineWindow:
    """A line of the timeline before it has a row."""

    index: int
    span: TimeSpan
    label: Label
    has_event: bool | None = None
    caption: str | None = None
    risk: float | None = None
    event_type: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of an analysis. analysis: JSON of everything that was asked and answered. shown:
    the pictures that the model saw of it, None where they were not ours to make."""

    method: Method
    inferred_domain: Domain | None
    events: tuple[FoundEvent, ...]
    windows: tuple[TimelineWindow, ...]
    model_version: str
    prompt_version: str
    analysis: Mapping[str, Any]
    shown: PicturePlan | None = None
