"""From golds and steps to a `TaskModel`: units of the order, their classes, classifiers per view.

Called by `sop.learn`, which adds what the golds score themselves. A staged step is cut into up to
three parts, each a class, because reach, act and put back recur in all steps and only their
sequence tells a step; a cyclic step is one class (docs/scoring.md 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sopilot.align.chain import best_cuts, cumulate, prefix_tables
from sopilot.align.evidence import ClassView, fit_view, place, unit_rows
from sopilot.core.errors import BadSteps, InsufficientClips
from sopilot.core.records import Step, StepKind
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.kinds import judged_kinds, steadiness
from sopilot.sop.method import DEFAULT, Method
from sopilot.sop.model import (
    GoldReference,
    Similarity,
    TaskModel,
    Unit,
    cut_times,
    frozen_sec,
    read,
    require_comparable,
)
from sopilot.sop.outcome import SceneTrack, marked_changes, outcome_distances, scene_track
from sopilot.sop.residual import PartRows, StepClips, part_rows, step_distances, trusted
from sopilot.sop.segment import propose_steps
from sopilot.sop.views import view_names

LEAST_GAP_SEC = 2.0
"""Unmarked gold time of this length becomes a nameless unit of the order."""
EDGE_SEC, FOUND_EDGE_SEC = 0.3, 0.8
"""Clips centred this near to a boundary show both steps and teach neither; the second where the
boundary was found by the model and not set by a person: half a clip."""

LEAST_CHANGE = 1e-6
"""Spread of a block below this share of its level: the same number in every clip."""


def learn(
    golds: Sequence[VideoFeatures], steps: Sequence[Step] | None, method: Method = DEFAULT
) -> TaskModel:
    """Learn a task from its golds; the steps' spans lie in the first one. `own` stays empty.

    Steps without spans are laid out by segmentation, as many as were given; None proposes them.
    Raises InsufficientClips, ProducerMismatch, BadSteps.
    """
    first = golds[0]
    for gold in golds[1:]:
        require_comparable(first, gold)
    for gold in golds:
        _require_change(gold)
    marked = steps is not None and all(step.span is not None for step in steps) and len(steps) > 0
    named = tuple(steps) if marked and steps else propose_steps(first, steps)
    if method.chunks and not marked:
        chunks = _chunks(named, method.chunk_sec)
        # A chunk of a gold that stands still there has no clips.
        units = tuple(unit for unit in chunks if len(_clips_in(first, unit.span)))
    else:
        units = _taught(_units(named, first.duration_sec), first)
    spans = [[unit.span for unit in units]]
    kinds = _kinds(units, named)
    most = 1 if method.chunks and not marked else method.parts_per_step
    parts = _parts(units, kinds, first, most)
    plan = _Plan(named, marked, units, kinds, parts, method)
    model = _learn(golds[:1], spans, plan)
    if len(golds) > 1:
        spans += [_spans_in(model, gold) for gold in golds[1:]]
        model = _learn(golds, spans, plan)
        plan = _with_kinds(plan, model, first)
        if plan.kinds != kinds:
            model = _learn(golds, spans, plan)
    return model


def _with_kinds(plan: _Plan, model: TaskModel, first: VideoFeatures) -> _Plan:
    """The plan with the kinds of steps of which nobody said it, by how alike the golds are."""
    if not plan.marked or all(kind is not None for kind in plan.kinds):
        return plan
    units = [number for number, unit in enumerate(plan.units) if unit.step is not None]
    shown = [
        [
            np.concatenate([rows[gold.units == unit] for rows in gold.points.values()], 1)
            for unit in units
        ]
        for gold in model.golds
    ]
    judged = dict(zip(units, judged_kinds(shown), strict=True))
    kinds = tuple(kind or judged.get(number) for number, kind in enumerate(plan.kinds))
    parts = _parts(plan.units, kinds, first, plan.method.parts_per_step)
    return replace(plan, kinds=kinds, parts=parts)


def _require_change(gold: VideoFeatures) -> None:
    for name in view_names(gold):
        rows = gold.block(name)
        if np.ptp(rows, axis=0).max() > LEAST_CHANGE * max(1.0, float(np.abs(rows).max())):
            return
    raise InsufficientClips(
        f"the gold of {gold.duration_sec:.1f} s shows no change: its {gold.clip_count} clips are "
        "all alike; upload a recording in which the work is done"
    )


def _units(steps: Sequence[Step], duration_sec: float) -> tuple[Unit, ...]:
    """Steps in order of time, with nameless units for the gaps between them."""
    units: list[Unit] = []
    clock = 0.0
    for number, step in enumerate(steps):
        if step.span is None:
            raise BadSteps(f"step {step.index} has no times; give start_sec and end_sec")
        if step.span.start_sec - clock >= LEAST_GAP_SEC:
            units.append(Unit(None, TimeSpan(clock, step.span.start_sec)))
        units.append(Unit(number, step.span))
        clock = step.span.end_sec
    if duration_sec - clock >= LEAST_GAP_SEC:
        units.append(Unit(None, TimeSpan(clock, duration_sec)))
    return tuple(units)


def _chunks(steps: Sequence[Step], chunk_sec: float) -> tuple[Unit, ...]:
    """Equal pieces of about `chunk_sec` inside every proposed step."""
    units = []
    for number, step in enumerate(steps):
        if step.span is None:
            raise BadSteps(f"step {step.index} has no times; give start_sec and end_sec")
        count = max(1, round(step.span.duration_sec / chunk_sec))
        edges = np.linspace(step.span.start_sec, step.span.end_sec, count + 1).tolist()
        units += [Unit(number, TimeSpan(a, b)) for a, b in pairwise(edges)]
    return tuple(units)


def _taught(units: Sequence[Unit], gold: VideoFeatures) -> tuple[Unit, ...]:
    """The units that the gold has clips for. Raises BadSteps where a step has none."""
    taught = []
    for unit in units:
        if len(_clips_in(gold, unit.span)):
            taught.append(unit)
        elif unit.step is not None:
            raise BadSteps(_why_untaught(unit.step, unit.span, gold))
    return tuple(taught)


def _why_untaught(step: int, span: TimeSpan, gold: VideoFeatures) -> str:
    what = f"step {step + 1} ({span.start_sec:.1f}-{span.end_sec:.1f} s)"
    if span.start_sec >= gold.duration_sec:
        return (
            f"{what} lies beyond the end of the gold ({gold.duration_sec:.1f} s); correct its times"
        )
    if frozen_sec(gold, span) > span.duration_sec / 2:
        return (
            f"{what} cannot be learned: the gold stands still there; record the gold again, or "
            "take the step out"
        )
    return f"{what} is shorter than the distance of two clips; merge it with its neighbour"


def _clips_in(gold: VideoFeatures, span: TimeSpan) -> NDArray[np.int64]:
    """Indices of the clips whose centre lies in a span."""
    centres = gold.clip_spans.mean(axis=1)
    return np.flatnonzero((centres >= span.start_sec) & (centres < span.end_sec))


def _kinds(units: Sequence[Unit], steps: Sequence[Step]) -> tuple[StepKind | None, ...]:
    """Per unit how it goes on inside; None where nobody said."""
    return tuple(None if unit.step is None else steps[unit.step].kind for unit in units)


def _parts(
    units: Sequence[Unit], kinds: Sequence[StepKind | None], gold: VideoFeatures, most: int
) -> tuple[tuple[int, ...], ...]:
    """Class indices per unit: three parts where the gold has at least two clips for each, one
    where the step is the same motion again and again."""
    parts: list[tuple[int, ...]] = []
    begin = 0
    for unit, kind in zip(units, kinds, strict=True):
        limit = 1 if kind is StepKind.CYCLIC else most
        count = int(np.clip(len(_clips_in(gold, unit.span)) // 2, 1, limit))
        parts.append(tuple(range(begin, begin + count)))
        begin += count
    return tuple(parts)


def _labels(
    gold: VideoFeatures,
    spans: Sequence[TimeSpan],
    parts: Sequence[tuple[int, ...]],
    edge_sec: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Per clip its unit, its class, and its class for learning (-1 near a boundary)."""
    centres = gold.clip_spans.mean(axis=1)
    units = np.full(len(centres), -1, dtype=np.int64)
    classes = np.full(len(centres), -1, dtype=np.int64)
    for number, (span, own) in enumerate(zip(spans, parts, strict=True)):
        inside = _clips_in(gold, span)
        # By rank, not by time: where the picture stands still there are no clips, and every part
        # must have some.
        share = (np.arange(len(inside)) + 0.5) / max(1, len(inside))
        units[inside] = number
        classes[inside] = np.array(own)[(share * len(own)).astype(np.int64)]
    lessons = classes.copy()
    edges = np.array([edge for span in spans for edge in (span.start_sec, span.end_sec)])
    edges = edges[(edges > 0) & (edges < gold.duration_sec - 1e-6)]
    near = np.abs(centres[:, None] - edges[None]).min(axis=1, initial=np.inf) < edge_sec
    lessons[near] = -1
    for number in range(int(classes.max()) + 1):
        if not (lessons == number).any():
            lessons[classes == number] = number
    return units, classes, lessons


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is fixed before anything is learned."""

    steps: tuple[Step, ...]
    marked: bool
    units: tuple[Unit, ...]
    kinds: tuple[StepKind | None, ...]
    parts: tuple[tuple[int, ...], ...]
    method: Method


def _learn(
    golds: Sequence[VideoFeatures], spans: Sequence[Sequence[TimeSpan]], plan: _Plan
) -> TaskModel:
    class_count = sum(len(own) for own in plan.parts)
    edges_sec = [EDGE_SEC] + [FOUND_EDGE_SEC] * (len(golds) - 1)
    labels = [
        _labels(g, s, plan.parts, edge_sec)
        for g, s, edge_sec in zip(golds, spans, edges_sec, strict=True)
    ]
    views: dict[str, ClassView] = {}
    placed: list[dict[str, list[Similarity]]] = [{} for _ in golds]
    for name in view_names(golds[0]):
        # Golds may have different numbers of re-recordings and framings.
        shown = [(name, *g.rerecordings(name), *g.framings(name)) for g in golds]
        rows = [g.block(key) for g, keys in zip(golds, shown, strict=True) for key in keys]
        lessons = [own[2] for own, keys in zip(labels, shown, strict=True) for _ in keys]
        views[name] = fit_view(rows, lessons, class_count, plan.method.evidence)
        for target, gold in zip(placed, golds, strict=True):
            own = (name, *gold.rerecordings(name))
            target[name] = [place(views[name], gold.block(key)) for key in own]
    counts = np.mean([np.bincount(own[1][own[1] >= 0], minlength=class_count) for own in labels], 0)
    references = [
        _reference(g, own[0], p, s, plan)
        for g, own, p, s in zip(golds, labels, placed, spans, strict=True)
    ]
    nulls = [(_null_distances(r, references), _null_outcomes(r, references)) for r in references]
    references = [
        replace(own, null_distances=distances, null_outcomes=outcomes)
        for own, (distances, outcomes) in zip(references, nulls, strict=True)
    ]
    hop = float(np.median(np.diff(golds[0].clip_spans[:, 0]))) if golds[0].clip_count > 1 else 1.0
    return TaskModel(
        plan.steps,
        plan.marked,
        plan.units,
        plan.parts,
        counts,
        views,
        tuple(references),
        plan.kinds,
        hop,
        plan.method,
    )


def _reference(
    gold: VideoFeatures,
    units: NDArray[np.int64],
    placed: Mapping[str, Sequence[Similarity]],
    spans: Sequence[TimeSpan],
    plan: _Plan,
) -> GoldReference:
    nulls = {}
    for name, rows in placed.items():
        own = unit_rows(rows[0])
        levels = [
            unit_similarity(own @ unit_rows(other).T, units, units, len(spans))
            for other in (rows[1:] or rows)
        ]
        nulls[name] = np.mean(levels, axis=0)
    moving = np.array([span.duration_sec - frozen_sec(gold, span) for span in spans])
    points = {name: unit_rows(rows[0]) for name, rows in placed.items()}
    parts = part_rows(gold)
    steps = _step_clips(units, plan.units)
    scenes = scene_track(gold)
    return GoldReference(
        features=gold,
        units=units,
        spans=tuple(spans),
        points=points,
        moving_sec=moving,
        null_similarity=nulls,
        steadiness=steadiness(points.values(), units, len(spans)),
        parts=parts,
        steps=steps,
        null_distances=np.full((len(parts), len(plan.steps)), np.nan),
        scenes=scenes,
        changes=marked_changes(scenes, steps),
        null_outcomes=np.full(len(plan.steps), np.nan),
    )


def _step_clips(units: NDArray[np.int64], plan: Sequence[Unit]) -> tuple[StepClips, ...]:
    """Per step its clips from the first to the last."""
    own = np.array([-1 if unit.step is None else unit.step for unit in plan])
    shown = np.where(units >= 0, own[units], -1)
    found = []
    for step in sorted({int(value) for value in own if value >= 0}):
        clips = np.flatnonzero(shown == step)
        if len(clips):
            found.append(StepClips(step, range(int(clips[0]), int(clips[-1]) + 1)))
    return tuple(found)


def _null_distances(gold: GoldReference, golds: Sequence[GoldReference]) -> NDArray[np.float64]:
    """(parts, steps) how far other good work is from a gold: its own re-recordings or the other
    golds, whichever is farther."""
    filmed = [(part_rows(gold.features, tail), gold.steps) for tail in _tails(gold)]
    others = [(other.parts, other.steps) for other in golds if other is not gold]
    again = _mean_distances(gold, filmed, same_video=True)
    return trusted(np.fmax(again, _mean_distances(gold, others, same_video=False)))


def _null_outcomes(gold: GoldReference, golds: Sequence[GoldReference]) -> NDArray[np.float64]:
    """(steps,) likewise for what the steps leave behind."""
    filmed = [(scene_track(gold.features, tail), gold.steps) for tail in _tails(gold)]
    others = [(other.scenes, other.steps) for other in golds if other is not gold]
    nulls = np.fmax(_mean_outcomes(gold, filmed), _mean_outcomes(gold, others))
    return np.asarray(trusted(nulls[None])[0])


def _mean_outcomes(
    gold: GoldReference, others: Sequence[tuple[SceneTrack | None, Sequence[StepClips]]]
) -> NDArray[np.float64]:
    """(steps,) mean over other videos; nan where none says anything."""
    made = np.full((len(others), len(gold.null_outcomes)), np.nan)
    for row, (track, steps) in zip(made, others, strict=True):
        row[[item.step for item in steps]] = outcome_distances(gold.changes, track, steps)
    known = ~np.isnan(made)
    total = np.where(known, made, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _tails(gold: GoldReference) -> list[str]:
    """What the names of a gold's re-recorded blocks end in."""
    block = next(iter(gold.points))
    return [key.removeprefix(block) for key in gold.features.rerecordings(block)]


def _mean_distances(
    gold: GoldReference,
    others: Sequence[tuple[PartRows, Sequence[StepClips]]],
    same_video: bool,
) -> NDArray[np.float64]:
    """(parts, steps) mean over other videos; nan where none says anything."""
    total, known = (np.zeros_like(gold.null_distances) for _ in range(2))
    for parts, steps in others:
        if set(parts) == set(gold.parts):
            made = step_distances(gold.parts, gold.steps, parts, steps, same_video)
            columns = [item.step for item in steps]
            total[:, columns] += np.nan_to_num(made)
            known[:, columns] += ~np.isnan(made)
    return np.where(known > 0, total / np.maximum(known, 1), np.nan)


def unit_similarity(
    similarity: Similarity,
    gold_units: NDArray[np.int64],
    trainee_units: NDArray[np.int64],
    unit_count: int,
) -> NDArray[np.float64]:
    """(U,) mean over a unit's trainee clips of their best similarity to its gold clips; nan =
    the unit has no clips on one side."""
    out = np.full(unit_count, np.nan)
    for unit in range(unit_count):
        block = similarity[gold_units == unit][:, trainee_units == unit]
        if block.size:
            out[unit] = float(block.max(axis=0).mean())
    return out


def _spans_in(model: TaskModel, gold: VideoFeatures) -> list[TimeSpan]:
    """Where a further gold does the units, by its own best cutting into the expected order."""
    reading = read(model, gold)
    sums = cumulate(reading.evidence)
    classes = model.classes(gold.clip_count)
    chain = np.array([k for own in model.parts for k in own], dtype=np.int64)
    shortest = classes.shortest[chain]
    prefix = prefix_tables(sums, chain, shortest)
    if not np.isfinite(prefix[-1, -1]):
        raise InsufficientClips(
            f"a further gold of {gold.duration_sec:.1f} s is too short for {len(model.steps)} "
            "steps; leave it out"
        )
    begins = np.cumsum([0, *(len(own) for own in model.parts)])
    cuts = best_cuts(prefix, sums, chain, shortest)[begins]
    times = cut_times(gold, cuts)
    return [TimeSpan(a, b) for a, b in pairwise(times)]
