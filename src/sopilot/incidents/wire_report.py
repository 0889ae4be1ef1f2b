"""A report from the JSON of an analysis alone, ours or the earlier inference service's.

Answers `POST /generate_report_from_json` of that service. What the JSON does not say stays open: a
window of which nothing is known is not checked, never safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from sopilot.core.errors import InputError
from sopilot.core.records import Keyframe
from sopilot.core.timespan import TimeSpan
from sopilot.incidents.ask_service import (
    NOT_TOLD,
    wire_events,
    wire_timeline,
    wire_unchecked,
)
from sopilot.incidents.page import pass_record, report_file, report_window
from sopilot.incidents.record import timeline
from sopilot.incidents.schemas import Domain, FoundEvent, Language, Method, TimelineWindow
from sopilot.report.incident_record import IncidentReport, ReportEvent, UncheckedSpan
from sopilot.vlm.answers import WindowAnswer
from sopilot.vlm.told import readable_json
from sopilot.vlm.wire import Count, Seconds, WireAnalysis

Shape = TypeVar("Shape", bound=BaseModel)

_Share = Annotated[float, Field(ge=0, le=1)]
_Word = Annotated[str, Field(max_length=64)]
_Text = Annotated[str, Field(max_length=4000)]


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Event(_Loose):
    """An event in the form of our API."""

    event_type: _Word
    start_time: Seconds
    end_time: Seconds
    confidence: _Share | None = None
    percentile: Annotated[float, Field(ge=0, le=100)] | None = None
    description: _Text = ""
    highlight: str | None = Field(
        default=None, pattern=r"^\d{1,7}(\.\d{1,6})?-\d{1,7}(\.\d{1,6})?$"
    )
    method: Method = "vlm"

    @property
    def span(self) -> TimeSpan:
        """The event's; one that ends before it starts lasts no time."""
        return TimeSpan(self.start_time, max(self.start_time, self.end_time))

    @property
    def shown(self) -> TimeSpan:
        """The highlight, or the whole event."""
        if self.highlight is None:
            return self.span
        first, last = map(float, self.highlight.split("-"))
        return TimeSpan(first, max(first, last))


class _Window(_Loose):
    """What is stored of a window; `vlm.answers.answer_record` writes it."""

    index: Count
    span: tuple[Seconds, Seconds]
    scores: dict[_Word, _Share] = Field(default_factory=dict, max_length=100)
    caption: _Text = ""
    risk: _Share | None = None
    error_code: _Word | None = None

    def answer(self) -> WindowAnswer:
        """The answer that it was written of, without its pictures."""
        first, last = sorted(self.span)
        return WindowAnswer(
            self.index,
            TimeSpan(first, last),
            (),
            self.scores,
            self.caption,
            self.risk,
            error_code=self.error_code,
        )


class _Pass(_Loose):
    number: Literal[1, 2, 3]
    state: Literal["run", "not_needed"] = "run"
    parameters: dict[_Word, float | _Word] = Field(default_factory=dict, max_length=20)
    window_count: Count = 0
    failed_count: Count = 0
    found_count: Count = 0
    windows: list[_Window] = Field(default_factory=list, max_length=200_000)
    reply: WireAnalysis | None = None


class _Unchecked(_Loose):
    span: tuple[Seconds, Seconds]
    code: _Word


class _Prompt(_Loose):
    version: _Word = ""


class OurAnalysis(_Loose):
    """An analysis in the form of our API; passes are read where they are there."""

    has_event: bool
    inferred_domain: Domain | None = None
    requested_domain: Domain | None = None
    events: list[_Event] = Field(max_length=1000)
    method: Method = "vlm"
    duration_sec: Seconds = 0.0
    video_sha256: _Word = ""
    model: str = Field(default="", max_length=256)
    prompt: _Prompt = _Prompt()
    passes: list[_Pass] = Field(default_factory=list, max_length=3)
    shown_pass: Literal[1, 2, 3] = 1
    not_checked: list[_Unchecked] | None = Field(default=None, max_length=200_000)

    def unchecked(self) -> tuple[UncheckedSpan, ...]:
        """What nobody looked at; the whole video where a model looked and the JSON does not say."""
        if self.not_checked is None:
            whole = TimeSpan(0.0, self.duration_sec)
            return (UncheckedSpan(whole, NOT_TOLD),) if self.method == "vlm" else ()
        return tuple(
            UncheckedSpan(TimeSpan(*sorted(item.span)), item.code) for item in self.not_checked
        )


Analysis = OurAnalysis | WireAnalysis


def read_analysis(text: str) -> Analysis:
    """The analysis that a JSON text holds. Raises InputError when it holds none."""
    given = _parsed(text)
    if isinstance(given, dict) and "metadata" in given:
        return _shaped(WireAnalysis, given)
    return _shaped(OurAnalysis, given)


def analysis_report(
    found: Analysis,
    form: Literal["docx", "pdf", "json"],
    language: Language,
    pictures: Sequence[Keyframe | None] | None = None,
) -> bytes:
    """The report of an analysis. pictures: of its highlights, in their order."""
    shown = [None] * len(highlights_of(found)) if pictures is None else pictures
    if isinstance(found, OurAnalysis):
        report = _ours(found, language, shown)
    else:
        report = _theirs(found, shown)
    return report_file(report, form, language, datetime.now(UTC))


def highlights_of(found: Analysis) -> list[TimeSpan]:
    """The highlights of the events of an analysis."""
    if isinstance(found, OurAnalysis):
        return [event.shown for event in found.events]
    return [event.highlight for event in wire_events(found, found.metadata.duration_sec)]


def _parsed(text: str) -> Any:
    try:
        return from_json(readable_json(text), allow_inf_nan=False)
    except ValueError as error:
        raise _refused(f"it is no JSON ({error})") from error


def _shaped(shape: type[Shape], given: Any) -> Shape:
    try:
        return shape.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])[:200] or "the text"
        raise _refused(f"{place}: {first['msg']}") from error


def _refused(why: str) -> InputError:
    return InputError(
        f"analysis_json is neither our analysis nor that of /analyze_video: {why}; send what one "
        "of the two answered",
        {"field": "analysis_json"},
    )


def _ours(
    given: OurAnalysis, language: Language, pictures: Sequence[Keyframe | None]
) -> IncidentReport:
    events = tuple(
        ReportEvent(
            number=number,
            type=event.event_type,
            start_sec=event.span.start_sec,
            end_sec=event.span.end_sec,
            highlight_start_sec=event.shown.start_sec,
            highlight_end_sec=event.shown.end_sec,
            confidence=event.confidence,
            percentile=event.percentile,
            description=event.description,
            method=event.method,
            keyframe=picture,
        )
        for number, (event, picture) in enumerate(zip(given.events, pictures, strict=True), 1)
    )
    return _record(
        given.has_event or bool(events),
        given.inferred_domain,
        given.duration_sec,
        events,
        _windows(given),
        given.unchecked(),
        domain=given.requested_domain,
        method=given.method,
        sha256=given.video_sha256,
        model_version=given.model,
        prompt_version=given.prompt.version,
        passes=tuple(
            pass_record(item.model_dump(exclude={"windows", "reply"}), language)
            for item in given.passes
        ),
    )


def _windows(given: OurAnalysis) -> Sequence[TimelineWindow]:
    """The timeline of the pass that is shown; none where the passes are not there."""
    shown = next((item for item in given.passes if item.number == given.shown_pass), None)
    if shown is None:
        return ()
    if shown.reply is not None:
        return wire_timeline(shown.reply, given.duration_sec)
    found = [FoundEvent(e.event_type, e.span, e.shown, e.method, "") for e in given.events]
    return timeline([window.answer() for window in shown.windows], found)


def _theirs(given: WireAnalysis, pictures: Sequence[Keyframe | None]) -> IncidentReport:
    duration_sec = given.metadata.duration_sec
    found = wire_events(given, duration_sec)
    events = tuple(
        ReportEvent(
            number=number,
            type=event.event_type,
            start_sec=event.span.start_sec,
            end_sec=event.span.end_sec,
            highlight_start_sec=event.highlight.start_sec,
            highlight_end_sec=event.highlight.end_sec,
            confidence=None,
            percentile=None,
            description=event.description,
            method=event.method,
            keyframe=picture,
        )
        for number, (event, picture) in enumerate(zip(found, pictures, strict=True), 1)
    )
    windows = wire_timeline(given, duration_sec)
    unchecked = tuple(
        UncheckedSpan(span, code) for span, code in wire_unchecked(windows, duration_sec)
    )
    return _record(
        given.has_event or bool(events),
        given.inferred_domain,
        duration_sec,
        events,
        windows,
        unchecked,
    )


def _record(
    has_event: bool,
    inferred_domain: str | None,
    duration_sec: float,
    events: tuple[ReportEvent, ...],
    windows: Sequence[TimelineWindow],
    unchecked: tuple[UncheckedSpan, ...],
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
        "passes": (),
    }
    return IncidentReport(
        **(values | further),
        inferred_domain=inferred_domain,
        has_event=has_event,
        duration_sec=duration_sec,
        events=events,
        windows=tuple(report_window(window) for window in windows),
        unchecked=unchecked,
    )
