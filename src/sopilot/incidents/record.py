"""The JSON form of an analysis, and the lines of a timeline.

What every way of looking at a video writes down; reports and the replay read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sopilot.core.timespan import TimeSpan
from sopilot.incidents.case import Case
from sopilot.incidents.look import Looked
from sopilot.incidents.passes import PassSetting
from sopilot.incidents.schemas import Domain, FoundEvent, Label, TimelineWindow
from sopilot.vlm.answers import WindowAnswer, answer_of, answer_record, asked_counts
from sopilot.vlm.conclude import ENTER, Detected

ANALYSIS_VERSION = 1


def analysis_head(
    case: Case, events: Sequence[FoundEvent], method: str, domain: Domain | None
) -> dict[str, Any]:
    """The documented form of an analysis, and what it was made of."""
    return {
        "version": ANALYSIS_VERSION,
        "method": method,
        "has_event": bool(events),
        "inferred_domain": domain,
        "events": [event_record(event) for event in events],
        "requested_domain": case.domain,
        "language": case.language,
        "video_sha256": case.sha256,
        "duration_sec": case.duration_sec,
    }


def event_record(event: FoundEvent) -> dict[str, Any]:
    """An event in the form of the earlier product, with what ours adds."""
    start, end = event.span.as_list()
    first, last = event.highlight.as_list()
    return {
        "event_type": event.event_type,
        "start_time": start,
        "end_time": end,
        "confidence": None,
        "description": event.description,
        "highlight": highlight_text(first, last),
        "method": event.method,
        "score": event.score,
        "percentile": event.percentile,
    }


def highlight_text(start_sec: float, end_sec: float) -> str:
    """`7.36-8.86`, as the earlier product writes it."""
    return f"{start_sec:.2f}-{end_sec:.2f}"


def events_of(found: Sequence[Detected]) -> tuple[FoundEvent, ...]:
    """What the detection pass found, as events of an incident."""
    return tuple(
        FoundEvent(
            event.event_type,
            event.span,
            event.highlight,
            "vlm",
            event.description,
            score=round(event.score, 4),
        )
        for event in found
    )


def timeline(
    answers: Sequence[WindowAnswer], events: Sequence[Detected | FoundEvent]
) -> tuple[TimelineWindow, ...]:
    """A line per window: what was answered, or that nobody looked."""
    return tuple(_line(answer, events) for answer in answers)


def unchecked_records(spans: Sequence[tuple[TimeSpan, str]]) -> list[dict[str, Any]]:
    """What nobody looked at, for the record."""
    return [{"span": span.as_list(), "code": code} for span, code in spans]


def _line(answer: WindowAnswer, events: Sequence[Detected | FoundEvent]) -> TimelineWindow:
    if not answer.is_checked:
        return TimelineWindow(answer.index, answer.span, Label.NOT_CHECKED)
    inside = [event for event in events if event.span.overlap_sec(answer.span) > 0]
    best = answer.best
    told = best[0] if best is not None and best[1] >= ENTER else None
    kind = inside[0].event_type if inside else told
    return TimelineWindow(
        answer.index,
        answer.span,
        Label.EVENT if kind is not None else Label.SAFE,
        has_event=kind is not None,
        caption=answer.caption,
        risk=answer.risk,
        event_type=kind,
    )


def asked_counts_of(analysis: Mapping[str, Any]) -> tuple[int, int]:
    """How many windows a model answered in all passes, and how many questions got no answer; of
    an analysis without a model, none."""
    answers = [
        answer_of(record)
        for done in analysis.get("passes", ())
        for record in (*done.get("windows", ()), *done.get("finer", ()))
    ]
    return asked_counts(answers)


def pass_records(
    settings: Sequence[PassSetting], looked: Sequence[Looked | None]
) -> list[dict[str, Any]]:
    """Every pass with its parameters; those that were not needed say so."""
    records = []
    for setting, done in zip(settings, [*looked, None, None, None], strict=False):
        record: dict[str, Any] = {"number": setting.number, "parameters": setting.parameters}
        if done is None:
            records.append(record | {"state": "not_needed"})
            continue
        asked = [answer for answer in (*done.answers, *done.finer) if answer.attempts]
        records.append(
            record
            | {
                "state": "run",
                "window_count": len(done.answers),
                "failed_count": sum(not answer.is_checked for answer in done.answers),
                "found_count": len(done.events),
                "request_count": sum(answer.attempts for answer in asked),
                "picture_count": sum(len(answer.frames) for answer in asked),
                "windows": [answer_record(answer) for answer in done.answers],
                "finer": [answer_record(answer) for answer in done.finer],
            }
        )
    return records
