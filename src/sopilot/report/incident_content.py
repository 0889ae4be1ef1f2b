"""An incident's record as the rows and sentences that both DOCX and PDF show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sopilot.core.records import Keyframe
from sopilot.core.timespan import timecode
from sopilot.report.incident_record import IncidentReport, ReportEvent, ReportPass, ReportWindow
from sopilot.report.incident_wording import incident_words
from sopilot.report.wording import Language, number

MOST_TIMELINE_ROWS = 2000
_MOST_CAPTION = 600
_DULL = frozenset({"SAFE", "MEASURED"})


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and its value."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class EventCard:
    """An event with its picture."""

    title: str
    facts: tuple[Fact, ...]
    description: str
    keyframe: Keyframe | None


@dataclass(frozen=True, slots=True)
class Table:
    """A heading row and rows of text."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class IncidentContent:
    """Everything that is shown, in its order. made_at: `YYYY-MM-DD HH:MM:SS`, UTC."""

    language: Language
    words: Mapping[str, str]
    title: str
    made_at: str
    summary: tuple[str, ...]
    has_event: bool
    facts: tuple[Fact, ...]
    events: tuple[EventCard, ...]
    timeline: Table
    passes: Table
    unchecked: Table


def content_of(report: IncidentReport, language: Language, made_at: datetime) -> IncidentContent:
    """What the report of an incident says. made_at: aware, UTC."""
    words = incident_words(language)
    return IncidentContent(
        language=language,
        words=words,
        title=report.title,
        made_at=made_at.strftime("%Y-%m-%d %H:%M:%S"),
        summary=_summary(report, words, language),
        has_event=report.has_event,
        facts=_facts(report, words, language, made_at),
        events=tuple(_card(event, words, language) for event in report.events),
        timeline=_timeline(report.windows, words, language),
        passes=_passes(report.passes, words),
        unchecked=_unchecked(report, words, language),
    )


def _summary(
    report: IncidentReport, words: Mapping[str, str], language: Language
) -> tuple[str, ...]:
    first = words["none_found"]
    if report.has_event:
        first = words["found"].format(count=len(report.events))
    left_out = sum(item.span.duration_sec for item in report.unchecked)
    sentences = [first]
    if left_out > 0:
        total = number(report.duration_sec, language)
        sentences.append(words["unchecked_sum"].format(sec=number(left_out, language), total=total))
    elif report.method == "vlm" and report.windows:
        sentences.append(words["all_checked"])
    return (*sentences, words[f"method_{report.method}"])


def _facts(
    report: IncidentReport, words: Mapping[str, str], language: Language, made_at: datetime
) -> tuple[Fact, ...]:
    size = f"{report.width_px} × {report.height_px}" if report.width_px else ""
    if size and report.fps:
        size += f", {number(report.fps, language)} fps"
    duration = timecode(report.duration_sec) if report.duration_sec else ""
    rows = (
        ("file", report.title),
        ("incident", str(report.iid) if report.iid else ""),
        ("domain", _domain(report, words)),
        ("duration", duration),
        ("picture", size),
        ("uploaded", _moment(report.created_at)),
        ("analysed", _moment(report.analysed_at)),
        ("model", report.model_version),
        ("prompts", report.prompt_version),
        ("hash", report.sha256),
        ("made_at", f"{made_at:%Y-%m-%d %H:%M:%S} UTC"),
    )
    return tuple(Fact(words[key], value) for key, value in rows if value)


def _domain(report: IncidentReport, words: Mapping[str, str]) -> str:
    name = report.domain or report.inferred_domain
    if name is None:
        return ""
    how = words["domain_given" if report.domain else "domain_inferred"]
    return f"{words.get(name, name)} ({how})"


def _moment(stored: str) -> str:
    """A stored moment (UTC) to the second."""
    return f"{stored[:19].replace('T', ' ')} UTC" if stored else ""


def _span(start_sec: float, end_sec: float) -> str:
    return f"{timecode(start_sec)} – {timecode(end_sec)}"


def _card(event: ReportEvent, words: Mapping[str, str], language: Language) -> EventCard:
    facts = [
        Fact(words["time"], _span(event.start_sec, event.end_sec)),
        Fact(words["highlight"], _span(event.highlight_start_sec, event.highlight_end_sec)),
    ]
    if event.percentile is not None:
        facts.append(Fact(words["percentile"], number(event.percentile, language)))
    elif event.confidence is not None:
        share = f"{number(100.0 * event.confidence, language)} %"
        facts.append(Fact(words["confidence"], share))
    else:
        facts.append(Fact(words["confidence"], words["no_confidence"]))
    title = f"{event.number}. {event.type}"
    return EventCard(title, tuple(facts), _short(event.description), event.keyframe)


def _timeline(
    windows: tuple[ReportWindow, ...], words: Mapping[str, str], language: Language
) -> Table:
    shown = _most_telling(windows)
    rows = [_line(window, words, language) for window in shown]
    left_out = len(windows) - len(rows)
    if left_out > 0:
        rows.append(("…", f"+{left_out}", "", "", ""))
    keys = ("time", "state", "incident_type", "risk", "caption")
    return Table(tuple(words[key] for key in keys), tuple(rows))


def _most_telling(windows: tuple[ReportWindow, ...]) -> list[ReportWindow]:
    """As many as the report shows, in their order: events and what nobody checked before what
    shows nothing."""
    places = sorted(range(len(windows)), key=lambda i: (windows[i].label in _DULL, i))
    return [windows[place] for place in sorted(places[:MOST_TIMELINE_ROWS])]


def _line(
    window: ReportWindow, words: Mapping[str, str], language: Language
) -> tuple[str, str, str, str, str]:
    risk = "" if window.risk_score is None else number(window.risk_score, language, 2)
    return (
        _span(window.start_sec, window.end_sec),
        words.get(window.label, window.label),
        window.event_type or "",
        risk,
        _short(window.caption),
    )


def _passes(passes: tuple[ReportPass, ...], words: Mapping[str, str]) -> Table:
    keys = ("pass", "parameters", "windows", "failed", "found_count")
    rows = []
    for item in passes:
        parameters = ", ".join(f"{name} = {value}" for name, value in item.parameters)
        counts = (str(item.window_count), str(item.failed_count), str(item.found_count))
        if item.state == "not_needed":
            counts = (words["not_needed"], "", "")
        rows.append((f"{item.number}. {item.name}", parameters, *counts))
    return Table(tuple(words[key] for key in keys), tuple(rows))


def _unchecked(report: IncidentReport, words: Mapping[str, str], language: Language) -> Table:
    rows = [
        (_span(item.span.start_sec, item.span.end_sec), item.code)
        for item in report.unchecked[:MOST_TIMELINE_ROWS]
    ]
    left_out = report.unchecked[MOST_TIMELINE_ROWS:]
    if left_out:
        seconds = number(sum(item.span.duration_sec for item in left_out), language)
        rows.append((f"… +{len(left_out)}", f"{seconds} {words['seconds']}"))
    return Table((words["time"], words["reason"]), tuple(rows))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CAPTION else f"{text[: _MOST_CAPTION - 1]}…"
