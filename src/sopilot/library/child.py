"""What limited children do with a video that is stored already: look again, cut a clip, take the
sound.

The parents are `library.look`, `library.cut` and `library.sound`; the child of an upload is
`library.analyze`. Like that one, this module imports neither settings nor database: a child that
decodes hostile bytes has no use for them, and loading them costs more than a short span of video.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sopilot.core.errors import NoFrames
from sopilot.core.records import Limits, Progress
from sopilot.core.timespan import TimeSpan
from sopilot.library.analyze import PICTURES, SIGNALS, given_mask, renamed
from sopilot.media.audio import write_sound
from sopilot.media.cut import CutClip
from sopilot.media.decode import FrameConsumer, run_pass, run_span
from sopilot.media.pictures import PictureStrip, plan_of
from sopilot.media.probe import probe
from sopilot.media.signals import SignalMeter

CLIP_FILE: Final = "clip.mp4"
SOUND_FILE: Final = "sound.s16"


def look(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Pictures by a plan and signals, into the folder; see `look.look_again`."""
    path, folder = Path(arguments["path"]), Path(arguments["folder"])
    mask = given_mask(arguments["mask"])
    with renamed(path, arguments["name"]):
        info = probe(path, Limits(**arguments["limits"]), arguments["sha256"])
        plan = None if arguments["plan"] is None else plan_of(arguments["plan"])
        strip = None if plan is None else PictureStrip(folder / PICTURES, plan)
        if strip is not None and plan is not None and plan.spans and not arguments["wants_signals"]:
            for span in plan.reach():
                run_span(path, info, span, [strip], mask, progress)
            strip.close()
            return {}
        meter = SignalMeter(info.fps) if arguments["wants_signals"] else None
        consumers: list[FrameConsumer] = [item for item in (strip, meter) if item is not None]
        summary = run_pass(path, info, consumers, mask, progress)
        if strip is not None:
            strip.close()
        if meter is not None:
            meter.write(folder / SIGNALS, summary.duration_sec)
    return {"duration_sec": summary.duration_sec, "frame_count": summary.frame_count}


def cut(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The clip of a span, into the folder; see `cut.clip_of`."""
    path, folder = Path(arguments["path"]), Path(arguments["folder"])
    span = TimeSpan(*arguments["span"])
    with renamed(path, arguments["name"]):
        info = probe(path, Limits(**arguments["limits"]), arguments["sha256"])
        clip = CutClip(folder / CLIP_FILE, info, span)
        run_span(path, info, span, [clip], given_mask(arguments["mask"]), progress)
        clip.close()
    if clip.frame_count == 0:
        raise NoFrames(f"{arguments['name']} shows nothing within {span.as_list()}")
    return {"frame_count": clip.frame_count}


def extract(arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The sound as 16-bit samples, into the folder; see `sound.sound_of`."""
    path, folder = Path(arguments["path"]), Path(arguments["folder"])
    limits = Limits(**{**arguments["limits"], "min_duration_sec": 0.0})
    with renamed(path, arguments["name"]):
        info = probe(path, limits, arguments["sha256"])
        return {"has_sound": write_sound(path, folder / SOUND_FILE, info.duration_sec, progress)}
