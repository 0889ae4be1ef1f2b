"""A report from the JSON of an analysis alone, ours or the earlier inference service's.

Answers `POST /generate_report_from_json` of that service; without a video there are no pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sopilot.core.errors import InputError
from sopilot.incidents.page import pass_record, report_file
from sopilot.incidents.schemas import Language
from sopilot.report.incident_record import IncidentReport, ReportEvent, ReportWindow
from sopilot.vlm.wire import WireAnalysis


class _Event(BaseModel):
    """An event in the form of our API."""

    model_config = ConfigDict(extra="ignore")

    event_type: str = Field(max_length=64)
    start_time: float = Field(ge=0)
    end_time: float = Field(ge=0)
    confidence: float | None = Field(default=None, ge=0, le=1)
    percentile: float | None = Field(default=None, ge=0, le=100)
    description: str = Field(default="", max_length=4000)
    highlight: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?-\d+(\.\d+)?$")
    method: Literal["vlm", "signal"] = "vlm"


class _Analysis(BaseModel):
    """An analysis in the form of our API; passes are read where they are there."""

    model_config = ConfigDict(extra="ignore")

    has_event: bool
    inferred_domain: str | None = None
    requested_domain: str | None = None
    events: list[_Event] = Field(max_length=1000)
    method: Literal["vlm", "signal"] = "vlm"
    duration_sec: float = Field(default=0.0, ge=0)
    video_sha256: str = Field(default="", max_length=64)
    model: str = Field(default="", max_length=256)
    passes: list[dict[str, Any]] = Field(default_factory=list, max_length=3)


def report_from_json(text: str, form: Literal["docx", "pdf", "json"], language: Language) -> bytes:
    """The report of an analysis. Raises InputError when the text is none."""
    report = _ours(text, language) or _theirs(text)
    return report_file(report, form, language, datetime.now(UTC))


def _ours(text: str, language: Language) -> IncidentReport | None:
    """The record of our own form; None where it is not ours."""
    try:
        found = _Analysis.model_validate_json(text)
    except ValidationError:
        return None
    events = tuple(_event(number, event) for number, event in enumerate(found.events, 1))
    passes = tuple(
        pass_record(record, language)
        for record in found.passes
        if isinstance(record.get("parameters"), Mapping) and record.get("number") in {1, 2, 3}
    )
    return _record(
        found.has_event,
        found.inferred_domain,
        found.duration_sec,
        events,
        domain=found.requested_domain,
        method=found.method,
        sha256=found.video_sha256,
        model_version=found.model,
        passes=passes,
    )


def _event(number: int, event: _Event) -> ReportEvent:
    first, _, last = (event.highlight or f"{event.start_time}-{event.end_time}").partition("-")
    return ReportEvent(
        number=number,
        type=event.event_type,
        start_sec=event.start_time,
        end_sec=event.end_time,
        highlight_start_sec=float(first),
        highlight_end_sec=float(last),
        confidence=event.confidence,
        percentile=event.percentile,
        description=event.description,
        method=event.method,
        keyframe=None,
    )


def _theirs(text: str) -> IncidentReport:
    try:
        found = WireAnalysis.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the text"
        raise InputError(
            f"analysis_json is neither our analysis nor that of /analyze_video: {place}: "
            f"{first['msg']}; send what one of the two answered",
            {"field": "analysis_json"},
        ) from error
    events = tuple(
        ReportEvent(
            number=number,
            type=event.event_type,
            start_sec=event.interval_start_sec,
            end_sec=event.interval_end_sec,
            highlight_start_sec=event.highlight_start_sec,
            highlight_end_sec=event.highlight_end_sec,
            confidence=None,
            percentile=None,
            description=event.description,
            method="vlm",
            keyframe=None,
        )
        for number, event in enumerate(found.events, 1)
    )
    windows = tuple(
        ReportWindow(
            index=line.window_idx,
            start_sec=line.timestamp_sec,
            end_sec=line.interval_end_sec or line.timestamp_sec,
            label=line.label or ("EVENT" if line.has_event else "SAFE"),
            has_event=line.has_event,
            caption=line.caption or "",
            risk_score=line.risk_score,
            event_type=line.event_type,
        )
        for line in found.timeline
    )
    return _record(
        found.has_event,
        found.inferred_domain,
        found.metadata.duration_sec,
        events,
        windows=windows,
    )


def _record(
    has_event: bool,
    inferred_domain: str | None,
    duration_sec: float,
    events: tuple[ReportEvent, ...],
    **further: Any,
) -> IncidentReport:
    values: dict[str, Any] = {
        "iid": 0,
        "title": "analysis_json",
        "status": "DONE",
        "domain": None,
        "method": "vlm",
        "width_px": None,
        "height_px": None,
        "fps": None,
        "sha256": "",
        "created_at": "",
        "analysed_at": "",
        "model_version": "",
        "prompt_version": "",
        "windows": (),
        "passes": (),
        "unchecked": (),
    }
    return IncidentReport(
        **(values | further),
        inferred_domain=inferred_domain,
        has_event=has_event,
        duration_sec=duration_sec,
        events=events,
    )
