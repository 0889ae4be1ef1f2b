"""One pass over a file that nobody keeps, in the wire form of the earlier inference service.

What `sopilot vlm serve` does for `POST /analyze_video`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sopilot.core.config import Settings
from sopilot.core.records import no_progress, plain
from sopilot.incidents.ask_model import domain_of, prompt_of, scene_of
from sopilot.incidents.case import OVERVIEW_COUNT, Case
from sopilot.incidents.look import run_pass
from sopilot.incidents.passes import PassSetting
from sopilot.incidents.record import timeline
from sopilot.incidents.schemas import Domain
from sopilot.library.analyze import PICTURES, SIGNALS
from sopilot.library.look import file_arguments, look_at
from sopilot.media.mask import parse_mask
from sopilot.media.pictures import PictureFile, PicturePlan, ShownPicture
from sopilot.media.signals import Signals
from sopilot.vlm.client import VlmClient
from sopilot.vlm.wire import WireAnalysis, WireEvent, WireMetadata, WireWindow

_WINDOW_TOKENS = 400


@dataclass(frozen=True, slots=True)
class Wish:
    """The parameters of the wire form."""

    target_fps: float
    window_sec: float
    frames_per_window: int
    max_highlights: int
    domain: Domain | None


def analyze_file(
    settings: Settings, client: VlmClient, path: Path, name: str, wish: Wish, folder: Path
) -> WireAnalysis:
    """Look through a file once. folder: for files of this call.

    Raises MediaError, ModelError, DiskFull, InputError for parameters that fit no picture.
    """
    setting = PassSetting(
        1,
        wish.window_sec,
        wish.target_fps,
        wish.frames_per_window,
        "windows",
        _WINDOW_TOKENS,
        settings.vlm_concurrency,
        settings.vlm_picture_px,
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    mask = parse_mask(settings)
    source = file_arguments(
        path, name, sha256, settings.limits, None if mask is None else plain(mask), folder
    )
    found = look_at(settings, source, setting.plan, wants_signals=True)
    duration_sec = float(found["duration_sec"])
    main = folder / PICTURES

    def pictures_of(plan: PicturePlan) -> Path:
        if plan == setting.plan:
            return main
        place = folder / plan.producer.fingerprint
        place.mkdir(exist_ok=True)
        look_at(settings, {**source, "folder": str(place)}, plan)
        return place / PICTURES

    case = Case(
        domain=wish.domain,
        language=settings.incident_language,
        custom_events={},
        sha256=sha256,
        duration_sec=duration_sec,
        frame_count=int(found["frame_count"]),
        shots=(),
        signals=Signals.from_file(folder / SIGNALS),
        overview=lambda: _overview(main, setting.plan, duration_sec),
        pictures_of=pictures_of,
        source=lambda: (path, name),
    )
    domain, _ = domain_of(case, client)
    scene = scene_of(settings, case)
    looked = run_pass(client, scene, prompt_of(case, domain), setting, no_progress)
    events = sorted(looked.events, key=lambda event: -event.score)[: wish.max_highlights]
    lines = timeline(looked.answers, looked.events)
    return WireAnalysis(
        status="OK",
        inferred_domain=domain,
        has_event=bool(events),
        events=[
            WireEvent(
                interval_start_sec=event.span.start_sec,
                interval_end_sec=event.span.end_sec,
                highlight_start_sec=event.highlight.start_sec,
                highlight_end_sec=event.highlight.end_sec,
                event_type=event.event_type,
                description=event.description,
            )
            for event in sorted(events, key=lambda event: event.span)
        ],
        timeline=[
            WireWindow(
                window_idx=line.index,
                timestamp_sec=line.span.start_sec,
                interval_end_sec=line.span.end_sec,
                label=str(line.label),
                has_event=line.has_event,
                caption=line.caption,
                risk_score=line.risk,
                event_type=line.event_type,
            )
            for line in lines
        ],
        metadata=WireMetadata(
            duration_sec=duration_sec, num_frames=case.frame_count, num_windows=len(lines)
        ),
    )


def _overview(path: Path, plan: PicturePlan, duration_sec: float) -> Sequence[ShownPicture]:
    windows = plan.windows(duration_sec)
    count = min(OVERVIEW_COUNT, len(windows))
    places = sorted({round(place) for place in np.linspace(0, len(windows) - 1, count)})
    pictures = PictureFile(path)
    try:
        return [item for place in places for item in pictures.of(windows[place].index)[:1]]
    finally:
        pictures.close()
