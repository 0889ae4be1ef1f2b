"""The one use case of incidents: a ready video in, what was found in it out.

With a model the three passes of `incidents.passes`, each only after an empty one; without, measured
changes. Called by the job; writes nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopilot.core.config import Settings
from sopilot.core.errors import ModelUnavailable
from sopilot.core.records import Progress
from sopilot.core.timespan import TimeSpan
from sopilot.incidents.look import Looked, RanksOf, Scene, run_pass
from sopilot.incidents.measured import measure
from sopilot.incidents.passes import PassSetting, pass_settings
from sopilot.incidents.prompting import (
    Prompt,
    domain_shape,
    domain_text,
    load_prompt,
    with_custom,
)
from sopilot.incidents.schemas import (
    Domain,
    Found,
    FoundEvent,
    Label,
    Language,
    TimelineWindow,
)
from sopilot.media.pictures import PicturePlan, ShownPicture
from sopilot.media.signals import Signals
from sopilot.vlm.answers import WindowAnswer, answer_record, unchecked_spans
from sopilot.vlm.client import Picture, Question, VlmClient
from sopilot.vlm.conclude import ENTER, Detected
from sopilot.vlm.signal import window_scores
from sopilot.vlm.wire import WireAnalysis, WireClient

ANALYSIS_VERSION = 1
_DOMAIN_TOKENS = 50

OnStage = Callable[[int], None]
"""Told when a pass begins, by its number."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked about a video, and what is known of it. domain: None = inferred.

    overview: pictures spread over the whole video. pictures_of: see `look.Scene`. source: the file
    that others may see, and its name.
    """

    domain: Domain | None
    language: Language
    custom_events: Mapping[str, str]
    sha256: str
    duration_sec: float
    frame_count: int
    shots: tuple[TimeSpan, ...]
    signals: Signals
    overview: Callable[[], Sequence[ShownPicture]]
    pictures_of: Callable[[PicturePlan], Path]
    source: Callable[[], tuple[Path, str]]

    @property
    def cuts_sec(self) -> tuple[float, ...]:
        """Where the picture changes at once."""
        return tuple(shot.start_sec for shot in self.shots[1:])


def analyse(
    settings: Settings,
    case: Case,
    client: VlmClient | WireClient | None,
    on_stage: OnStage,
    progress: Progress,
) -> Found:
    """Look through a video. client: None where no model is configured.

    Raises ModelUnavailable where the settings want a model and there is none, what the passes
    raise, and what `progress` raises.
    """
    if isinstance(client, WireClient):
        return _by_service(settings, case, client, on_stage, progress)
    if client is not None:
        return _with_model(settings, case, client, on_stage, progress)
    if settings.incident_without_model == "refuse":
        raise ModelUnavailable(
            "no model is configured and SOPILOT_INCIDENT_WITHOUT_MODEL=refuse; set SOPILOT_VLM_URL "
            "and analyse again"
        )
    on_stage(1)
    found = measure(
        case.signals,
        case.shots,
        window_sec=settings.incident_window_sec,
        rate_fps=settings.incident_target_fps,
        most=settings.incident_max_highlights,
        language=case.language,
    )
    analysis = _head(case, found.events, "signal", None) | dict(found.analysis)
    return Found(
        "signal",
        None,
        found.events,
        found.windows,
        found.model_version,
        found.prompt_version,
        analysis,
    )


def _with_model(
    settings: Settings, case: Case, client: VlmClient, on_stage: OnStage, progress: Progress
) -> Found:
    domain, domain_record = domain_of(case, client)
    prompt = prompt_of(case, domain)
    scene = scene_of(settings, case)
    looked: list[Looked] = []
    settings_of = pass_settings(settings)
    for setting in settings_of:
        on_stage(setting.number)
        share = _share(progress, setting.number, len(settings_of))
        looked.append(run_pass(client, scene, prompt, setting, share))
        if looked[-1].events:
            break
    shown = looked[-1] if looked[-1].events else looked[0]
    events = events_of(shown.events)
    analysis = _head(case, events, "vlm", domain) | {
        "model": client.model,
        "prompt": {"domain": prompt.domain, "version": prompt.version},
        "domain_answer": domain_record,
        "passes": _pass_records(settings_of, looked),
        "shown_pass": shown.setting.number,
        "not_checked": [
            {"span": span.as_list(), "code": code} for span, code in unchecked_spans(shown.answers)
        ],
        "cuts_sec": [round(cut, 6) for cut in case.cuts_sec],
        "most_events": scene.most,
    }
    windows = timeline(shown.answers, shown.events)
    return Found(
        "vlm",
        domain,
        events,
        windows,
        client.model,
        prompt.version,
        analysis,
        shown.setting.plan,
    )


def prompt_of(case: Case, domain: Domain) -> Prompt:
    """The questions about a domain, with those that the sender added."""
    return with_custom(load_prompt(domain, case.language), case.custom_events)


def scene_of(settings: Settings, case: Case) -> Scene:
    """What a pass needs to know of a video."""
    return Scene(
        case.duration_sec,
        case.cuts_sec,
        case.pictures_of,
        _ranks_of(case.signals),
        settings.incident_max_windows,
        settings.incident_max_highlights,
    )


def _by_service(
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
        share = _share(progress, 3, len(settings_of))
        looked = run_pass(service, scene_of(settings, case), prompt, settings_of[2], share)
    if looked is not None and looked.events:
        shown, events = 3, events_of(looked.events)
        windows = timeline(looked.answers, looked.events)
    else:
        shown = len(replies) if replies[-1].events else 1
        events = wire_events(replies[shown - 1], case.duration_sec)
        windows = wire_timeline(replies[shown - 1], case.duration_sec)
    records = _pass_records(settings_of, [None, None, looked] if looked else [])
    for record, reply in zip(records, replies, strict=False):
        record |= {
            "state": "run",
            "window_count": reply.metadata.num_windows,
            "failed_count": 0,
            "found_count": len(reply.events),
            "request_count": 1,
            "reply": reply.model_dump(mode="json"),
        }
    analysis = _head(case, events, "vlm", domain) | {
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


def _share(progress: Progress, number: int, count: int) -> Progress:
    return lambda share: progress((number - 1 + share) / count)


def _ranks_of(signals: Signals) -> RanksOf:
    return lambda spans: [float(value) for value in window_scores(signals, spans)]


def _head(
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
    answers: Sequence[WindowAnswer], events: Sequence[Detected]
) -> tuple[TimelineWindow, ...]:
    """A line per window: what was answered, or that nobody looked."""
    return tuple(_line(answer, events) for answer in answers)


def _line(answer: WindowAnswer, events: Sequence[Detected]) -> TimelineWindow:
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


def _pass_records(
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


def domain_of(case: Case, client: VlmClient) -> tuple[Domain, dict[str, Any] | None]:
    """The domain that was given, or the one that the model takes the video for."""
    if case.domain is not None:
        return case.domain, None
    shown = case.overview()
    prompt = load_prompt("auto", case.language)
    pictures = [Picture(item.frame.time_sec, item.frame.jpeg) for item in shown]
    question = Question(
        parts=(prompt.instruction, *pictures, domain_text(prompt)),
        schema=domain_shape(),
        max_tokens=_DOMAIN_TOKENS,
    )
    found, reply = client.ask_for(question)
    domain: Domain = found.model_dump()["domain"]
    frames = [{"time_sec": item.frame.time_sec, "sha256": item.sha256} for item in shown]
    record = {"domain": domain, "raw": reply.text, "prompt": prompt.version, "frames": frames}
    return domain, record
