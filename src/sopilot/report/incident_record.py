"""What the report of an incident is made from: stored rows and pictures, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sopilot.core.records import Keyframe
from sopilot.core.timespan import TimeSpan


@dataclass(frozen=True, slots=True)
class ReportEvent:
    """An event, times in seconds. confidence: 0-1, calibrated, or None. percentile: 0-100 of a
    measured change, or None. keyframe: a picture of the highlight."""

    number: int
    type: str
    start_sec: float
    end_sec: float
    highlight_start_sec: float
    highlight_end_sec: float
    confidence: float | None
    percentile: float | None
    description: str
    method: Literal["vlm", "signal"]
    keyframe: Keyframe | None


@dataclass(frozen=True, slots=True)
class ReportWindow:
    """A line of the timeline. label: EVENT, SAFE, NOT_CHECKED or MEASURED."""

    index: int
    start_sec: float
    end_sec: float
    label: str
    has_event: bool | None
    caption: str
    risk_score: float | None
    event_type: str | None


@dataclass(frozen=True, slots=True)
class ReportPass:
    """A pass over the video. parameters: (name, value) as they are shown."""

    number: int
    name: str
    parameters: tuple[tuple[str, str], ...]
    window_count: int
    failed_count: int
    found_count: int
    state: Literal["run", "not_needed"]


@dataclass(frozen=True, slots=True)
class UncheckedSpan:
    """What nobody looked at, with the code of the reason."""

    span: TimeSpan
    code: str


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """An analysed incident as every form of the report shows it. Empty text, None and 0 = left out.

    domain: what the sender said; inferred_domain: what the model took it for. created_at,
    analysed_at: stored moments.
    """

    iid: int
    title: str
    status: str
    domain: str | None
    inferred_domain: str | None
    has_event: bool
    method: Literal["vlm", "signal"]
    duration_sec: float
    width_px: int | None
    height_px: int | None
    fps: float | None
    sha256: str
    created_at: str
    analysed_at: str
    model_version: str
    prompt_version: str
    events: tuple[ReportEvent, ...]
    windows: tuple[ReportWindow, ...]
    passes: tuple[ReportPass, ...]
    unchecked: tuple[UncheckedSpan, ...]
