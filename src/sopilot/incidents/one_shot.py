"""One pass over a file that nobody keeps, in the wire form of the earlier inference service.

What `sopilot vlm serve` does for `POST /analyze_video`, and the pictures of its reports.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sopilot.core.config import Settings
from sopilot.core.records import Keyframe, no_progress, plain
from sopilot.core.timespan import TimeSpan
from sopilot.incidents.ask_model import domain_of, prompt_of, scene_of
from sopilot.incidents.case import OVERVIEW_COUNT, Case, keyframe_plan, keyframes_in
from sopilot.incidents.look import run_pass
from sopilot.incidents.passes import pass_settings
from sopilot.incidents.record import timeline
from sopilot.incidents.schemas import Domain
from sopilot.library.analyze import PICTURES, SIGNALS
from sopilot.library.look import file_arguments, look_at
from sopilot.media.mask import parse_mask
from sopilot.media.pictures import PictureFile, PicturePlan, ShownPicture
from sopilot.media.signals import Signals
from sopilot.vlm.client import VlmClient
from sopilot.vlm.wire import WireAnalysis, WireEvent, WireMetadata, WireWindow


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
    setting = replace(
        pass_settings(settings)[0],
        window_sec=wish.window_sec,
        rate_fps=wish.target_fps,
        picture_count=wish.frames_per_window,
    )
    source = _source(settings, path, name, folder)
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
        sha256=str(source["sha256"]),
        duration_sec=duration_sec,
        frame_count=int(found["frame_count"]),
        shots=(),
        signals=Signals.from_file(folder / SIGNALS),
        overview=lambda: _overview(main, setting.plan, duration_sec),
        pictures_of=pictures_of,
        source=lambda: (path, name),
    )
    domain, _ = domain_of(case, client)
    scene = replace(scene_of(settings, case), most=wish.max_highlights)
    looked = run_pass(client, scene, prompt_of(case, domain), setting, no_progress)
    lines = timeline(looked.answers, looked.events)
    return WireAnalysis(
        status="OK",
        inferred_domain=domain,
        has_event=bool(looked.events),
        events=[
            WireEvent(
                interval_start_sec=event.span.start_sec,
                interval_end_sec=event.span.end_sec,
                highlight_start_sec=event.highlight.start_sec,
                highlight_end_sec=event.highlight.end_sec,
                event_type=event.event_type,
                description=event.description,
            )
            for event in looked.events
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


def highlight_pictures(
    settings: Settings, path: Path, name: str, highlights: Sequence[TimeSpan], folder: Path
) -> list[Keyframe | None]:
    """A picture of a file per highlight, masked when masks are on. folder: for files of this call.
    Raises MediaError, DiskFull."""
    look_at(settings, _source(settings, path, name, folder), keyframe_plan(highlights))
    return keyframes_in(folder / PICTURES, highlights)


def _source(settings: Settings, path: Path, name: str, folder: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    mask = parse_mask(settings)
    told = None if mask is None else plain(mask)
    return file_arguments(path, name, sha256, settings.limits, told, folder)


def _overview(path: Path, plan: PicturePlan, duration_sec: float) -> Sequence[ShownPicture]:
    windows = plan.windows(duration_sec)
    count = min(OVERVIEW_COUNT, len(windows))
    places = sorted({round(place) for place in np.linspace(0, len(windows) - 1, count)})
    pictures = PictureFile(path)
    try:
        return [item for place in places for item in pictures.of(windows[place].index)[:1]]
    finally:
        pictures.close()
