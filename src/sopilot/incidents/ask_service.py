"""A video looked through by the earlier inference service, and the third pass by ours."""

from __future__ import annotations

from sopilot.core.config import Settings
from sopilot.core.records import Progress
from sopilot.core.timespan import TimeSpan
from sopilot.incidents.ask_model import prompt_of, scene_of
from sopilot.incidents.case import Case
from sopilot.incidents.look import Looked, run_pass
from sopilot.incidents.passes import OnStage, pass_settings, share_of_pass
from sopilot.incidents.record import analysis_head, events_of, pass_records, timeline
from sopilot.incidents.schemas import Found, FoundEvent, Label, TimelineWindow
from sopilot.vlm.wire import WireAnalysis, WireClient


def analyse_by_service(
    settings: Settings, case: Case, service: WireClient, on_stage: OnStage, progress: Progress
) -> Found:
    """The earlier inference service looks at the whole video, twice; the third pass is ours."""
    path, filename = case.source()
    settings_of = pass_settings(settings)
    replies: list[WireAnalysis] = []
    for setting in settings_of[:2]:
        on_stage(setting.number)
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
        on_stage(3)
        share = share_of_pass(progress, 3, len(settings_of))
        looked = run_pass(service, scene_of(settings, case), prompt, settings_of[2], share)
    if looked is not None and looked.events:
        shown, events = 3, events_of(looked.events)
        windows = timeline(looked.answers, looked.events)
    else:
        shown = len(replies) if replies[-1].events else 1
        events = wire_events(replies[shown - 1], case.duration_sec)
        windows = wire_timeline(replies[shown - 1], case.duration_sec)
    records = pass_records(settings_of, [None, None, looked] if looked else [])
    for record, reply in zip(records, replies, strict=False):
        record |= {
            "state": "run",
            "window_count": reply.metadata.num_windows,
            "failed_count": 0,
            "found_count": len(reply.events),
            "request_count": 1,
            "reply": reply.model_dump(mode="json"),
        }
    analysis = analysis_head(case, events, "vlm", domain) | {
        "model": service.model,
        "protocol": "analyze_video",
        "prompt": {"domain": prompt.domain, "version": prompt.version},
        "passes": records,
        "shown_pass": shown,
        "not_checked": [],
        "cuts_sec": [round(cut, 6) for cut in case.cuts_sec],
        "most_events": settings.incident_max_highlights,
    }
    return Found("vlm", domain, events, windows, service.model, prompt.version, analysis)


def wire_events(reply: WireAnalysis, duration_sec: float) -> tuple[FoundEvent, ...]:
    """The events that the service told of, within the video, ascending."""
    found = [
        FoundEvent(
            event.event_type,
            TimeSpan(event.interval_start_sec, event.interval_end_sec).clamp(0.0, duration_sec),
            TimeSpan(event.highlight_start_sec, event.highlight_end_sec).clamp(0.0, duration_sec),
            "vlm",
            event.description,
        )
        for event in reply.events
    ]
    return tuple(sorted(found, key=lambda event: (event.span, event.event_type)))


def wire_timeline(reply: WireAnalysis, duration_sec: float) -> tuple[TimelineWindow, ...]:
    """The service's own timeline, numbered anew."""
    lines = []
    for index, line in enumerate(sorted(reply.timeline, key=lambda item: item.timestamp_sec)):
        end_sec = line.interval_end_sec
        last = line.timestamp_sec if end_sec is None else max(end_sec, line.timestamp_sec)
        label = Label.EVENT if line.has_event else Label.SAFE
        lines.append(
            TimelineWindow(
                index,
                TimeSpan(line.timestamp_sec, last).clamp(0.0, duration_sec),
                Label.NOT_CHECKED if line.has_event is None else label,
                line.has_event,
                line.caption,
                line.risk_score,
                line.event_type,
            )
        )
    return tuple(lines)
