"""Records of events: what is looked for, in which video it was looked for, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sopilot.core.timespan import TimeSpan


class EventMethod(StrEnum):
    """How events come about; the names of plug-ins join them (see `vigil.detectors`)."""

    ZERO_SHOT = "zero_shot"
    SIGNAL = "signal"
    SOP = "sop"
    IMPORTED = "imported"


class EventStatus(StrEnum):
    """What a person said of an event."""

    NEW = "new"
    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"


class RunState(StrEnum):
    """Life of a run: queued, running, then one of two ends."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class NewDefinition:
    """An event in plain words. contrast: how the same place looks when it does not happen.

    threshold: score from which an event is told, 0-1; None = the method's own. alert: None = none,
    else `dedupe_sec` and perhaps `quiet` (start, end as HH:MM).
    """

    event_type: str
    description: str
    visual_cues: Sequence[str] = ()
    contrast: str | None = None
    method: str = EventMethod.ZERO_SHOT
    threshold: float | None = None
    alert: Mapping[str, Any] | None = None
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class DefinitionRow:
    """A row of `event_definitions`."""

    id: int
    uid: str
    event_type: str
    version: int
    description: str
    visual_cues: Sequence[str]
    contrast: str | None
    method: str
    threshold: float | None
    alert: Mapping[str, Any] | None
    is_enabled: bool
    created_by: str
    created_at: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of `event_runs`, without its analysis, with its names."""

    id: int
    uid: str
    definition_id: int
    video_id: int
    job_id: int | None
    state: RunState
    checked_sec: float | None
    unchecked: Sequence[Mapping[str, Any]]
    model_version: str | None
    prompt_version: str | None
    error_code: str | None
    error_message: str | None
    requested_by: str
    created_at: str
    finished_at: str | None
    event_type: str
    version: int
    video_uid: str
    progress: float | None


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event of a run. score: 0-1 on the method's own scale, None where it has none.

    evidence: JSON-ready; times of the pictures and texts that speak for it.
    """

    event_type: str
    span: TimeSpan
    score: float | None
    description: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Detection:
    """What a detector found in one video. unchecked: (span, code) that nobody looked at.

    checked_sec: seconds that were looked at; the hours that false alarms are divided by.
    answered_count, failed_count: questions to a model.
    """

    events: tuple[FoundEvent, ...]
    checked_sec: float
    unchecked: tuple[tuple[TimeSpan, str], ...] = ()
    model_version: str | None = None
    prompt_version: str | None = None
    analysis: Mapping[str, Any] | None = None
    answered_count: int = 0
    failed_count: int = 0


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of `vigil_events` with the names of its video, run and definition."""

    id: int
    uid: str
    video_id: int
    run_id: int | None
    event_type: str
    start_sec: float
    end_sec: float
    confidence: float | None
    score: float | None
    method: str
    description: str
    evidence: Mapping[str, Any]
    status: EventStatus
    reviewed_by: str | None
    reviewed_at: str | None
    note: str | None
    alerted_at: str | None
    created_at: str
    video_uid: str
    camera_id: str | None
    version: int | None

    @property
    def span(self) -> TimeSpan:
        """In seconds of its video."""
        return TimeSpan(self.start_sec, self.end_sec)
