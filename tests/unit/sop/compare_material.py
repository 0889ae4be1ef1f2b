"""Made-up features of executions with known content, for the tests of the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from sopilot.core.records import Producer, Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import Blocks, VideoFeatures

HOP_SEC, CLIP_SEC, STEP_SEC = 0.6, 1.6, 7.2
WIDTH = 60
CYCLE_CLIPS = 4
PRODUCER = Producer("made-up", "1")


def execution(
    order: Sequence[int],
    *,
    seed: int = 1,
    stretch: dict[int, float] | None = None,
    slot_stretch: Mapping[int, float] | None = None,
    noise: float = 0.25,
    place: float = 0.0,
    versions: int = 0,
    strange: float = 0.0,
    strange_step: int | None = None,
    freezes: Sequence[TimeSpan] = (),
    quiet: Sequence[int] = (),
    task: int = 0,
    cyclic: Sequence[int] = (),
) -> VideoFeatures:
    """Features of the steps in `order`, 7.2 s each times their stretch and their slot's.

    place: offset of all numbers. strange: how far strange_step is from its usual look. quiet: slots
    without movement. task: another number, other steps. cyclic: steps that are one motion again and
    again, begun anywhere in it.
    """
    rng = np.random.default_rng(seed)
    rows, energy = [], []
    for slot, step in enumerate(order):
        factor = (stretch or {}).get(step, 1.0) * (slot_stretch or {}).get(slot, 1.0)
        count = _clips(factor)
        share = np.linspace(0, 1, count)[:, None]
        begin, way, other = np.random.default_rng([task, step]).normal(size=(3, WIDTH))
        look = begin + 1.5 * share * way + (strange * other if step == strange_step else 0.0)
        if step in cyclic:
            began = np.random.default_rng([seed, slot]).uniform(0, CYCLE_CLIPS)
            turns = (np.arange(count)[:, None] + began) / CYCLE_CLIPS
            look = begin + way * np.sin(2 * np.pi * turns)
        rows.append(look)
        energy += [0.001 if slot in quiet else 0.05] * count
    clean = np.concatenate(rows) + place
    starts = np.arange(len(clean)) * HOP_SEC
    duration = float(starts[-1] + HOP_SEC)
    spans = np.stack([starts, np.minimum(starts + CLIP_SEC, duration)], axis=1)
    spans[:, 0] -= 0.5  # centres lie in the middle of their share of the time line
    spans = np.clip(spans, 0.0, duration)
    blocks = {"crop": clean + noise * rng.normal(size=clean.shape)}
    for version in range(1, versions + 1):
        blocks[f"crop@{version}"] = clean + 0.4 * rng.normal(size=clean.shape)
    return VideoFeatures(
        PRODUCER, spans, Blocks(blocks), np.array(energy, np.float32), tuple(freezes), duration
    )


def _clips(factor: float) -> int:
    return round(STEP_SEC * factor / HOP_SEC)


def spans_of(order: Sequence[int], slot_stretch: Mapping[int, float]) -> list[TimeSpan]:
    """Where `execution` puts every slot."""
    ends = np.cumsum([_clips(slot_stretch.get(slot, 1.0)) for slot in range(len(order))])
    times = [0.0, *(float(end) * HOP_SEC for end in ends)]
    return [TimeSpan(a, b) for a, b in pairwise(times)]


def filmed(features: VideoFeatures, freeze: TimeSpan) -> VideoFeatures:
    """The same with a freeze: the clips in it are gone, as the extraction leaves them out."""
    centres = features.clip_spans.mean(axis=1)
    kept = (centres <= freeze.start_sec) | (centres >= freeze.end_sec)
    blocks = {name: features.blocks[name][kept] for name in features.blocks}
    freezes = tuple(sorted((*features.freezes, freeze), key=lambda f: f.start_sec))
    return replace(
        features,
        clip_spans=features.clip_spans[kept],
        blocks=Blocks(blocks),
        energy=features.energy[kept],
        freezes=freezes,
    )


def without(features: VideoFeatures, first: int, stop: int) -> VideoFeatures:
    """The same with the clips [first, stop) not done: what came after them follows at once."""
    kept = np.delete(np.arange(features.clip_count), np.s_[first:stop])
    return replace(
        features,
        clip_spans=features.clip_spans[: len(kept)],
        blocks=Blocks({name: features.blocks[name][kept] for name in features.blocks}),
        energy=features.energy[kept],
        duration_sec=features.duration_sec - (stop - first) * HOP_SEC,
    )


def marked(count: int) -> tuple[Step, ...]:
    """Steps of a gold that was made with the order 0..count-1."""
    return tuple(
        Step(index=k, span=TimeSpan(STEP_SEC * k, STEP_SEC * (k + 1))) for k in range(count)
    )
