"""The report of an incident as DOCX, PDF or JSON, from what is stored and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sopilot.core.errors import TooEarly
from sopilot.core.timespan import TimeSpan
from sopilot.incidents import queries
from sopilot.incidents.passes import STAGE_NAMES
from sopilot.incidents.schemas import IncidentRow, Language, Status, TimelineWindow, WindowRow
from sopilot.library import queries as library
from sopilot.library.schemas import VideoRow
from sopilot.report.incident_docx import incident_docx, incident_json
from sopilot.report.incident_pdf import incident_pdf
from sopilot.report.incident_record import (
    IncidentReport,
    ReportEvent,
    ReportPass,
    ReportWindow,
    UncheckedSpan,
)
from sopilot.runtime import Runtime

Form = Literal["docx", "pdf", "json"]
MEDIA_TYPES: Mapping[Form, str] = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
    "json": "application/json",
}


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A report as a file."""

    data: bytes
    filename: str
    media_type: str


def report_bytes(
    runtime: Runtime, incident: int | str, form: Form, language: Language | None = None
) -> MadeReport:
    """The report of a finished incident, in its own language unless another is asked for.

    Raises IncidentNotFound, TooEarly before the analysis is stored, ReportError.
    """
    report, own = incident_report(runtime, incident)
    data = report_file(report, form, language or own, datetime.now(UTC))
    return MadeReport(data, f"report_{report.iid}.{form}", MEDIA_TYPES[form])


def report_file(report: IncidentReport, form: Form, language: Language, made_at: datetime) -> bytes:
    """A record as a file; the same record and moment give the same bytes."""
    if form == "docx":
        return incident_docx(report, language, made_at)
    if form == "pdf":
        return incident_pdf(report, language, made_at)
    return incident_json(report)


def incident_report(runtime: Runtime, incident: int | str) -> tuple[IncidentReport, Language]:
    """The record that reports are made of, and the incident's language. Raises as report_bytes."""
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, incident)
        if row.status is not Status.DONE:
            raise TooEarly(
                f"incident {row.id} is {row.status}; its report exists when it is DONE",
                {"incident_iid": row.id, "status": str(row.status)},
            )
        analysis = queries.get_analysis(connection, row.id) or {}
        video = library.get_video(connection, row.video_id)
        events = queries.list_events(connection, row.id)
        keyframes = queries.keyframes(connection, row.id)
        windows = queries.list_windows(connection, row.id)
    shown = [
        ReportEvent(
            number=number,
            type=event.event_type,
            start_sec=event.start_sec,
            end_sec=event.end_sec,
            highlight_start_sec=event.highlight_start_sec,
            highlight_end_sec=event.highlight_end_sec,
            confidence=event.confidence,
            percentile=event.percentile,
            description=event.description,
            method=event.method,
            keyframe=keyframes.get(event.id),
        )
        for number, event in enumerate(events, 1)
    ]
    lines = [report_window(timeline_window(window)) for window in windows]
    return _report(row, video, analysis, tuple(shown), tuple(lines)), row.language


def _report(
    row: IncidentRow,
    video: VideoRow,
    analysis: Mapping[str, Any],
    events: tuple[ReportEvent, ...],
    windows: tuple[ReportWindow, ...],
) -> IncidentReport:
    info = video.info or {}
    return IncidentReport(
        iid=row.id,
        title=video.original_filename or f"incident {row.id}",
        status=str(row.status),
        domain=row.domain,
        inferred_domain=row.inferred_domain,
        has_event=bool(row.has_event),
        method=row.method or "signal",
        duration_sec=row.duration_sec or 0.0,
        width_px=info.get("width_px"),
        height_px=info.get("height_px"),
        fps=info.get("fps"),
        sha256=video.sha256,
        created_at=row.created_at,
        analysed_at=row.updated_at,
        model_version=row.model_version or "",
        prompt_version=row.prompt_version or "",
        events=events,
        windows=windows,
        passes=tuple(pass_record(record, row.language) for record in analysis.get("passes", ())),
        unchecked=tuple(
            UncheckedSpan(TimeSpan(*item["span"]), str(item["code"]))
            for item in analysis.get("not_checked", ())
        ),
    )


def timeline_window(row: WindowRow) -> TimelineWindow:
    """A stored line of the timeline as it was before it had a row."""
    return TimelineWindow(
        row.window_index,
        TimeSpan(row.start_sec, row.end_sec),
        row.label,
        row.has_event,
        row.caption,
        row.risk_score,
        row.event_type,
    )


def report_window(window: TimelineWindow) -> ReportWindow:
    """A line of the timeline, for the report."""
    return ReportWindow(
        index=window.index,
        start_sec=window.span.start_sec,
        end_sec=window.span.end_sec,
        label=str(window.label),
        has_event=window.has_event,
        caption=window.caption or "",
        risk_score=window.risk,
        event_type=window.event_type,
    )


def pass_record(record: Mapping[str, Any], language: Language) -> ReportPass:
    """A pass of a stored analysis, for the report."""
    number = int(record["number"])
    return ReportPass(
        number=number,
        name=STAGE_NAMES[language][number - 1],
        parameters=tuple((name, str(value)) for name, value in record["parameters"].items()),
        window_count=int(record.get("window_count", 0)),
        failed_count=int(record.get("failed_count", 0)),
        found_count=int(record.get("found_count", 0)),
        state=record["state"],
    )
