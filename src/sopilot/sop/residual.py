"""How far a step, done in its place, is from the golds' way of doing it, part by part.

A part is a group of feature columns (`embed.parts`). Per step the distance of the gold's clips to
the trainee's clips of the same step, as a logarithm; less what another recording of the same good
work has there (its null), less the median over the video's other steps. What the gold shows must be
shown; a trainee who hesitates shows more than that. Called by `sop.teach` for the nulls and by
`sop.likeness` for trainees. Source: docs/scoring.md 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sopilot.align.evidence import unit_rows
from sopilot.embed.base import VideoFeatures
from sopilot.embed.parts import MOTION, parts_of

DISTANCE_FLOOR = 0.02
BAND_SHARE = 0.3
"""A gold's clip is compared with clips this far before or after its own share of the step."""
LEAST_CLIPS = 3
TOP_PARTS = 4
"""The mean of so many largest parts decides: a wrong tool shows in some, a wrong motion in others.
"""
SPREAD: Mapping[str, float] = MappingProxyType(
    {
        "edges": 0.23,
        "movement": 0.28,
        "movement_change": 0.25,
        "place": 0.20,
        "place_change": 0.18,
        "motion": 0.24,
        "rhythm": 0.21,
    }
)
USUAL_SPREAD, MORE_GOLDS_SPREAD = 0.24, 0.85
"""Standard deviation of a part's excess over good executions, with one gold; of another part; and
its share where the least of several golds counts. Source: good films of 9 tasks of
benchmarks/verdicts and of 8 of another generator, which agree within 0.04."""

NEAREST_USUAL: Mapping[str, float] = MappingProxyType(
    {
        "edges": -0.3,
        "movement": -0.3,
        "movement_change": -0.3,
        "place": -0.95,
        "place_change": -0.8,
        "motion": -0.7,
        "rhythm": 0.0,
    }
)
"""How near to the gold, beyond the nulls, the steps of an execution come at most. Source: 2 % of
the good films of benchmarks/verdicts, 9 generated tasks."""
NEARER_SHARE = 0.25
"""By so much the steps that come nearer count as no nearer: a copy of the gold comes nearer, and
what a rotation or a crop does to one of its steps is no other way of working. From 0.2 to 0.34
every copy of the filter-swap animation has 90 points and its wrong filter costs the pass."""

OUTCOME_FROM, OUTCOME_WEIGHT = 0.3, 1.0
"""What a step leaves behind (`sop.outcome`) counts from so much beyond the other steps on, by so
much per natural logarithm."""

NULL_TRUST = 0.5
"""How far a step's own null is trusted. Golds are recorded with more care than trainees work, and
how near they are to each other in one step tells only in part how near good trainees are there: on
the generated tasks 901-904, three golds, this finds 0.69 instead of 0.58 of the wrong verbs, tools
and targets at 5 % of good films alarmed."""
MOST_REPEATS = 0.05
"""Difference in repeated frames from which movement cannot be compared."""

Table = NDArray[np.float64]
PartRows = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class StepClips:
    """A step and the clips that show it."""

    step: int
    clips: range


def part_rows(features: VideoFeatures, tail: str = "", shown: PartRows | None = None) -> PartRows:
    """Per part (n, d) float32 rows of length one, centred on the video.

    tail: "@1", "@2" ... for a re-recording. shown: blocks to be used instead of the stored ones.
    Parts whose block is not there are left out.
    """
    instead = shown or {}
    rows: dict[str, NDArray[np.float32]] = {}
    for name, (block, columns) in parts_of(features).items():
        if block + tail in features.blocks:
            whole = instead[block] if block in instead else features.block(block + tail)
            part = whole[:, columns] - whole[:, columns].mean(axis=0)
            if name == "rhythm":  # numbers of different kinds
                spread = part.std(axis=0)
                part /= spread + 0.1 * np.sqrt(np.mean(spread**2)) + 1e-9
            rows[name] = unit_rows(part)
    return rows


def step_distances(
    gold: PartRows,
    gold_steps: Sequence[StepClips],
    other: PartRows,
    steps: Sequence[StepClips],
    same_video: bool = False,
) -> Table:
    """(parts, len(steps)) mean log distance of the gold's clips to each step's; nan = too short.

    same_video: other is the gold filmed again. Then no clip is held against itself: a person never
    does a thing at the very same moment twice.
    """
    own = {item.step: item.clips for item in gold_steps}
    out = np.full((len(gold), len(steps)), np.nan)
    for column, item in enumerate(steps):
        clips = own.get(item.step)
        if clips is None or min(len(clips), len(item.clips)) < LEAST_CLIPS:
            continue
        away = np.abs(_shares(len(clips))[:, None] - _shares(len(item.clips))[None]) > BAND_SHARE
        if same_video:
            same = np.array(clips)[:, None] == np.array(item.clips)[None]
            # A step of very few clips has no others.
            away |= same & ~(away | same).all(axis=1, keepdims=True)
        for row, name in enumerate(gold):
            a = gold[name][clips.start : clips.stop]
            b = other[name][item.clips.start : item.clips.stop]
            distance = np.where(away, 2.0, 1.0 - a @ b.T).min(axis=1)
            out[row, column] = np.log(np.maximum(distance, 0.0) + DISTANCE_FLOOR).mean()
    return out


def excess(beyond: Table, least: Sequence[float] = ()) -> Table:
    """(parts, steps) distances beyond the nulls less those of the video's other steps, moved
    towards least (parts,) where they are nearer; nan stays, 0 with fewer than three steps."""
    count = beyond.shape[1]
    if count < 3:
        return np.zeros_like(beyond)
    others = np.stack([_nanmedian(np.delete(beyond, k, axis=1)) for k in range(count)], axis=1)
    if least:
        others += NEARER_SHARE * np.maximum(np.array(least)[:, None] - others, 0.0)
    return np.asarray(beyond - others)


def unlikeness(
    beyond: Sequence[Table],
    parts: Sequence[str],
    outcomes: Sequence[NDArray[np.float64]] = (),
    with_motion: bool = True,
) -> NDArray[np.float64]:
    """(steps,) how unlike every gold: per gold the mean of the largest parts' excess in units of
    their spread over good executions, and what is left behind; of the golds the least; 0 where
    nothing can be said.

    beyond: per gold (parts, steps) distances less their nulls; outcomes: likewise (steps,), see
    `sop.outcome`; none = not known. A step that is nearer to the gold than good work is in
    everything is not unlike it, however much nearer the others are.
    """
    used = np.array([with_motion or name not in MOTION for name in parts])
    least = [NEAREST_USUAL.get(name, -np.inf) for name in parts]
    share = MORE_GOLDS_SPREAD if len(beyond) > 1 else 1.0
    spread = share * np.array([[SPREAD.get(name, USUAL_SPREAD)] for name in parts])
    per_gold = []
    for number, table in enumerate(beyond):
        outcome = outcomes[number] if outcomes else np.full(table.shape[1], np.nan)
        scaled = np.sort(np.nan_to_num(excess(table, least) / spread, nan=0.0)[used], axis=0)
        level = np.maximum(scaled[-TOP_PARTS:].mean(axis=0), 0.0)
        away = np.nan_to_num(excess(outcome[None])[0], nan=0.0)
        level += OUTCOME_WEIGHT * np.maximum(away - OUTCOME_FROM, 0.0)
        everything = np.nan_to_num(np.vstack([table[used], outcome]), nan=0.0)
        per_gold.append(np.where((everything > 0.0).any(axis=0), level, 0.0))
    return np.asarray(np.min(per_gold, axis=0))


def trusted(nulls: Table) -> Table:
    """(parts, steps) nulls of a gold drawn towards each part's mean over the steps: how steady a
    step is there tells only in part how steady it is with other people."""
    known = [row[~np.isnan(row)] for row in nulls]
    means = np.array([[row.mean() if len(row) else np.nan] for row in known]).reshape(-1, 1)
    return np.asarray(means + NULL_TRUST * (nulls - means))


def repeats_alike(gold: VideoFeatures, other: VideoFeatures) -> bool:
    """Whether two cameras repeat frames about as often, so that movement can be compared."""
    return abs(gold.repeat_ratio - other.repeat_ratio) <= MOST_REPEATS


def _shares(count: int) -> NDArray[np.float64]:
    return (np.arange(count) + 0.5) / count


def _nanmedian(table: Table) -> NDArray[np.float64]:
    """(parts,) median over the steps that have a value; 0 where none has."""
    known = ~np.isnan(table)
    rows = zip(table, known, strict=True)
    return np.array([np.median(row[mask]) if mask.any() else 0.0 for row, mask in rows])
