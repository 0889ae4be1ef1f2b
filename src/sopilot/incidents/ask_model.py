"""The three passes over a video with a model of ours to ask, each only after an empty one."""

from __future__ import annotations

from typing import Any

from sopilot.core.config import Settings
from sopilot.core.records import Progress
from sopilot.incidents.case import Case
from sopilot.incidents.look import Looked, RanksOf, Scene, run_pass
from sopilot.incidents.passes import OnStage, pass_settings, share_of_pass
from sopilot.incidents.prompting import (
    Prompt,
    domain_shape,
    domain_text,
    load_prompt,
    with_custom,
)
from sopilot.incidents.record import (
    analysis_head,
    events_of,
    pass_records,
    timeline,
    unchecked_records,
)
from sopilot.incidents.schemas import Domain, Found
from sopilot.media.signals import Signals
from sopilot.vlm.answers import unchecked_spans
from sopilot.vlm.client import Picture, Question, VlmClient
from sopilot.vlm.signal import window_scores

_DOMAIN_TOKENS = 50


def analyse_with_model(
    settings: Settings, case: Case, client: VlmClient, on_stage: OnStage, progress: Progress
) -> Found:
    """Ask about the domain where nobody named it, then pass after pass until something is found.

    Raises what `vlm.detect.ask_windows` raises.
    """
    domain, domain_record = domain_of(case, client)
    prompt = prompt_of(case, domain)
    scene = scene_of(settings, case)
    looked: list[Looked] = []
    settings_of = pass_settings(settings)
    for setting in settings_of:
        on_stage(setting.number, client.model, prompt.version)
        share = share_of_pass(progress, setting.number, len(settings_of))
        looked.append(run_pass(client, scene, prompt, setting, share))
        if looked[-1].events:
            break
    shown = looked[-1] if looked[-1].events else looked[0]
    events = events_of(shown.events)
    analysis = analysis_head(case, events, "vlm", domain) | {
        "model": client.model,
        "prompt": {"domain": prompt.domain, "version": prompt.version},
        "domain_answer": domain_record,
        "passes": pass_records(settings_of, looked),
        "shown_pass": shown.setting.number,
        "not_checked": unchecked_records(unchecked_spans(shown.answers)),
        "cuts_sec": [*case.cuts_sec],
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


def _ranks_of(signals: Signals) -> RanksOf:
    return lambda spans: [float(value) for value in window_scores(signals, spans)]
