"""The one use case of incidents: a ready video in, what was found in it out.

With a model the three passes of `incidents.passes`, each only after an empty one; without, measured
changes. Called by the job; writes nothing itself.
"""

from __future__ import annotations

from sopilot.core.config import Settings
from sopilot.core.errors import ModelUnavailable
from sopilot.core.records import Progress
from sopilot.incidents.ask_model import analyse_with_model
from sopilot.incidents.ask_service import analyse_by_service
from sopilot.incidents.case import Case
from sopilot.incidents.measured import measure
from sopilot.incidents.passes import OnStage
from sopilot.incidents.record import analysis_head
from sopilot.incidents.schemas import Found
from sopilot.vlm.client import VlmClient
from sopilot.vlm.signal import SIGNAL_VERSION
from sopilot.vlm.wire import WireClient


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
        return analyse_by_service(settings, case, client, on_stage, progress)
    if client is not None:
        return analyse_with_model(settings, case, client, on_stage, progress)
    if settings.incident_without_model == "refuse":
        raise ModelUnavailable(
            "no model is configured and SOPILOT_INCIDENT_WITHOUT_MODEL=refuse; set SOPILOT_VLM_URL "
            "and analyse again"
        )
    on_stage(1, SIGNAL_VERSION, None)
    found = measure(
        case.signals,
        case.shots,
        window_sec=settings.incident_window_sec,
        rate_fps=settings.incident_target_fps,
        most=settings.incident_max_highlights,
        language=case.language,
    )
    analysis = analysis_head(case, found.events, "signal", None) | dict(found.analysis)
    return Found(
        "signal",
        None,
        found.events,
        found.windows,
        found.model_version,
        found.prompt_version,
        analysis,
    )
