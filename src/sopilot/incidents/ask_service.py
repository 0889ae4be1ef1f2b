"""A video looked through by the earlier inference service, and the third pass by ours."""

from __future__ import annotations

from collections.abc import Sequence

from sopilot.core.config import Settings
from sopilot.core.records import Progress
from sopilot.core.timespan import TimeSpan, union
from sopilot.incidents.ask_model import prompt_of, scene_of
from sopilot.incidents.case import Case
from sopilot.incidents.guides import FRAME_EVENT
from sopilot.incidents.look import Looked, run_pass
from sopilot.incidents.passes import OnStage, pass_settings, share_of_pass
from sopilot.incidents.record import (
    analysis_head,
    events_of,
    pass_records,
    timeline,
    unchecked_records,
)
from sopilot.incidents.schemas import Found, FoundEvent, Label, TimelineWindow
from sopilot.vlm.answers import unchecked_spans
from sopilot.vlm.wire import WireAnalysis, WireClient, WireWindow

NOT_CHECKED, NOT_TOLD = "NOT_CHECKED", "NOT_TOLD"
"""Why a span counts as not checked: the service says so, or says nothing about it."""

_GAP_SEC = 0.5


def analyse_by_service(
    settings: Settings, case: Case, service: WireClient, on_stage: OnStage, progress: Progress
) -> Found:
    """The earlier inference service looks at the whole video, twice; the third pass is ours."""
    path, filename = case.source()
    settings_of = pass_settings(settings)
    replies: list[WireAnalysis] = []
    for setting in settings_of[:2]:
        on_stage(setting.number, service.model, None)
        progress((setting.number - 1) / len(settings_of))
        reply = service.analyze_video(
            path,
            filename,
            duration_sec=case.duration_sec,
            target_fps=setting.rate_fps,
            window_sec=setting.window_sec,
            frames_per_window=setting.picture_count,
            max_highlights=settings.incident_max_highlights,
            domain=case.domain,
        )
        replies.append(reply)
        if reply.has_event or reply.events:
            break
    domain = replies[-1].inferred_domain or case.domain
    looked: Looked | None = None
    prompt = prompt_of(case, domain or "other")
    if not (replies[-1].has_event or replies[-1].events):
        on_stage(3, service.model, prompt.version)
        share = share_of_pass(progress, 3, len(settings_of))
        looked = run_pass(service, scene_of(settings, case), prompt, settings_of[2], share)
    if looked is not None and looked.events:
        shown, events = 3, events_of(looked.events)
        windows = timeline(looked.answers, looked.events)
        unchecked = unchecked_spans(looked.answers)
    else:
        shown = 1 if looked is not None else len(replies)
        events = wire_events(replies[shown - 1], case.duration_sec)
        windows = wire_timeline(replies[shown - 1], case.duration_sec)
        unchecked = wire_unchecked(windows, case.duration_sec)
    records = pass_records(settings_of, [None, None, looked] if looked else [])
    for record, reply in zip(records, replies, strict=False):
        record |= {
            "state": "run",
            "window_count": reply.metadata.num_windows,
            "failed_count": sum(
                line.label is Label.NOT_CHECKED for line in wire_timeline(reply, case.duration_sec)
            ),
            "found_count": len(wire_events(reply, case.duration_sec)),
            "request_count": 1,
            "reply": reply.model_dump(mode="json"),
        }
    analysis = analysis_head(case, events, "vlm", domain) | {
        "model": service.model,
        "protocol": "analyze_video",
        "prompt": {"domain": prompt.domain, "version": prompt.version},
        "passes": records,
        "shown_pass": shown,
        "not_checked": unchecked_records(unchecked),
        "cuts_sec": [*case.cuts_sec],
        "most_events": settings.incident_max_highlights,
    }
    return Found("vlm", domain, events, windows, service.model, prompt.version, analysis)


def wire_events(reply: WireAnalysis, duration_sec: float) -> tuple[FoundEvent, ...]:
    """The events that the service told of, within the video, ascending; where it told of none but
    saw something in windows, those windows."""
    found = [
        FoundEvent(
            event.event_type,
            TimeSpan(event.interval_start_sec, event.interval_end_sec).clamp(0.0, duration_sec),
            TimeSpan(event.highlight_start_sec, event.highlight_end_sec).clamp(0.0, duration_sec),
            "vlm",
            event.description,
        )
        for event in reply.events
    ] or [
        FoundEvent(line.event_type or FRAME_EVENT, line.span, line.span, "vlm", line.caption or "")
        for line in wire_timeline(reply, duration_sec)
        if line.has_event
    ]
    return tuple(sorted(found, key=lambda event: (event.span, event.event_type)))


def wire_timeline(reply: WireAnalysis, duration_sec: float) -> tuple[TimelineWindow, ...]:
    """The service's own timeline, numbered anew. A line without an end lasts until the next."""
    told = sorted(reply.timeline, key=lambda line: line.timestamp_sec)
    ends = [line.timestamp_sec for line in told[1:]] + [duration_sec]
    return tuple(
        _line(index, line, next_sec, duration_sec)
        for index, (line, next_sec) in enumerate(zip(told, ends, strict=True))
    )


def _line(index: int, line: WireWindow, next_sec: float, duration_sec: float) -> TimelineWindow:
    end_sec = next_sec if line.interval_end_sec is None else line.interval_end_sec
    span = TimeSpan(line.timestamp_sec, max(end_sec, line.timestamp_sec)).clamp(0.0, duration_sec)
    if line.has_event is None or line.label == Label.NOT_CHECKED:
        return TimelineWindow(index, span, Label.NOT_CHECKED)
    return TimelineWindow(
        index,
        span,
        Label.EVENT if line.has_event else Label.SAFE,
        line.has_event,
        line.caption,
        line.risk_score,
        line.event_type,
    )


def wire_unchecked(
    windows: Sequence[TimelineWindow], duration_sec: float
) -> list[tuple[TimeSpan, str]]:
    """What the service did not look at: windows that it says so of, and what no line tells of."""
    failed = [line.span for line in windows if line.label is Label.NOT_CHECKED]
    found = [(span, NOT_CHECKED) for span in union(failed)]
    told_sec = 0.0
    for span in [*union(line.span for line in windows), TimeSpan(duration_sec, duration_sec)]:
        if span.start_sec - told_sec > _GAP_SEC:
            found.append((TimeSpan(told_sec, span.start_sec), NOT_TOLD))
        told_sec = span.end_sec
    return sorted(found)
