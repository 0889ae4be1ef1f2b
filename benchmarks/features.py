"""Seeded features of a procedure in the shape that the colour-motion embedder gives them.

The comparison rows need features of any length without decoding hours of video. What is measured
is cost; nothing here says anything about accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import Role, Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.embed.color_motion import ColorMotionEmbedder
from sopilot.embed.crop import CROP_LENGTH
from sopilot.embed.framing import READ_COUNT, draw_framings
from sopilot.embed.layout import LAYOUT_LENGTH
from sopilot.embed.rhythm import RHYTHM_LENGTH

STEP_COUNT = 10
HOP_SEC, CLIP_SEC = 0.6, 1.6
WIDTHS = {"crop": 2 * CROP_LENGTH, "layout": LAYOUT_LENGTH, "rhythm": RHYTHM_LENGTH}
_PHASES = 3
_NOISE = 0.25
_EXCHANGED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A gold with marked steps and a trainee with two steps exchanged."""

    gold: VideoFeatures
    trainee: VideoFeatures
    steps: tuple[Step, ...]


def clip_count_of(duration_sec: float) -> int:
    """Clips of a video of this length."""
    return max(1, int((duration_sec - CLIP_SEC) / HOP_SEC) + 1)


def make_case(clip_count: int) -> Case:
    """Gold and trainee of clip_count clips each."""
    random = np.random.default_rng(clip_count)
    scenes = {
        name: random.normal(0, 1, (STEP_COUNT * _PHASES, width)).astype(np.float32)
        for name, width in WIDTHS.items()
    }
    order = list(range(STEP_COUNT))
    exchanged = list(order)
    exchanged[_EXCHANGED], exchanged[_EXCHANGED + 1] = (
        exchanged[_EXCHANGED + 1],
        exchanged[_EXCHANGED],
    )
    return Case(
        gold=_video(scenes, order, clip_count, Role.GOLD, random),
        trainee=_video(scenes, exchanged, clip_count, Role.TRAINEE, random),
        steps=_steps(clip_count),
    )


def _video(
    scenes: dict[str, NDArray[np.float32]],
    order: Sequence[int],
    clip_count: int,
    role: Role,
    random: np.random.Generator,
) -> VideoFeatures:
    embedder = ColorMotionEmbedder()
    tails = ["", *(f"~{k + 1}" for k in range(READ_COUNT))]
    if role is Role.GOLD:
        tails = ["", *(f"~{k + 1}" for k in range(len(draw_framings())))]
    # Where in the sequence of (step, phase) scenes each clip stands.
    place = np.linspace(0, STEP_COUNT * _PHASES - 1e-6, clip_count).astype(np.int64)
    shown = np.array(order)[place // _PHASES] * _PHASES + place % _PHASES
    blocks = {}
    for name, scene in scenes.items():
        again = [f"@{k + 1}" for k in range(embedder.gold_versions if role is Role.GOLD else 0)]
        for tail in [*(tails if name == "crop" else [""]), *again]:
            noise = random.normal(0, _NOISE, (clip_count, scene.shape[1]))
            blocks[name + tail] = scene[shown] + noise
    starts = HOP_SEC * np.arange(clip_count)
    return VideoFeatures(
        producer=embedder.producer_for(role),
        clip_spans=np.stack([starts, starts + CLIP_SEC], axis=1),
        blocks=Blocks(blocks),
        energy=np.full(clip_count, 0.1, np.float32),
        freezes=(),
        duration_sec=float(starts[-1] + CLIP_SEC),
    )


def _steps(clip_count: int) -> tuple[Step, ...]:
    edges = np.linspace(0.0, HOP_SEC * (clip_count - 1) + CLIP_SEC, STEP_COUNT + 1)
    return tuple(
        Step(index, name_en=f"step {index}", span=TimeSpan(float(low), float(high)))
        for index, (low, high) in enumerate(pairwise(edges))
    )
