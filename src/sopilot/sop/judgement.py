"""What decides a score, apart from the pictures of it: the found order, the findings, conformity.

Called by `sop.compare` for a trainee, by `sop.interval` for replicates of one, and by `sop.learn`
for the golds themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sopilot.align.chain import cumulate
from sopilot.align.search import (
    Change,
    Classes,
    Near,
    OrderSearch,
    deletion_gains,
    search_order,
)
from sopilot.embed.base import VideoFeatures
from sopilot.sop.comparison import Finding
from sopilot.sop.conformity import conformity, doubt, likeness
from sopilot.sop.evidence import Evidence, step_slots
from sopilot.sop.execution import Execution, executions
from sopilot.sop.findings import find
from sopilot.sop.likeness import step_unlikeness, thresholds
from sopilot.sop.model import Reading, TaskModel
from sopilot.sop.refute import refuted
from sopilot.sop.timing import slowness


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What decides the score: the executed slots, the findings, the conformity.

    likeness: of the executed slots to the golds, relative to the golds' own re-recordings. nats:
    largest evidence of any edit, accepted or not. unlikeness: of the most unlike step. near: see
    `align.search`.
    """

    found: tuple[Execution, ...]
    findings: tuple[Finding, ...]
    conformity: float
    likeness: float
    nats: float
    unlikeness: float
    near: Near


def judge(
    model: TaskModel, trainee: VideoFeatures, reading: Reading, near: Near | None = None
) -> Judgement:
    """Find the order that explains the evidence, and what differs.

    near: of a judgement on nearly the same evidence, which makes the search short. Edits that the
    pictures contradict are taken back, and the search begins anew without them.
    """
    refused: frozenset[Change] = frozenset()
    while True:
        search, gone = _search(model, reading, trainee.clip_count, near, refused)
        found = executions(model, trainee, reading, search.slots, search.cuts, gone)
        if not model.method.refute:
            break
        more = refuted(model, reading, search.edits, found, model.price_scale(reading))
        if more <= refused:
            break
        refused |= more
    slots = step_slots(model, found)
    evidence = Evidence(model, trainee, reading, found, search.edits, slots)
    levels = step_unlikeness(evidence)
    findings = find(evidence, levels)
    level = conformity(found, reading, search.spare)
    nats = max([search.spare, *(edit.gain for edit in search.edits if not edit.keeps_named)])
    unlike = float(levels.max(initial=0.0))
    if model.method.doubt:
        level *= doubt(unlike / thresholds(model)[0], slowness(evidence))
    level = min(1.0, level / model.own.conformity)
    return Judgement(found, findings, level, likeness(found), nats, unlike, search.near)


def _search(
    model: TaskModel,
    reading: Reading,
    clip_count: int,
    near: Near | None,
    refused: frozenset[Change],
) -> tuple[OrderSearch, NDArray[np.float64]]:
    """The found order with cuts in clips; what leaving out each slot would gain."""
    sums, classes, grain = _laid_out(model, reading, clip_count)
    unnamed = frozenset(k for k, unit in enumerate(model.units) if unit.step is None)
    method = model.method
    chunked = method.chunked(model.steps_are_marked)
    prices = method.prices_for(model.steps_are_marked)
    search = search_order(
        sums,
        classes,
        prices.scaled(model.price_scale(reading)),
        unnamed=unnamed,
        runs=method.chunk_runs if chunked else None,
        near=near,
        refused=refused,
    )
    gone = deletion_gains(sums, classes, search)
    return replace(search, cuts=search.cuts // grain), gone


def _laid_out(
    model: TaskModel, reading: Reading, clip_count: int
) -> tuple[NDArray[np.float64], Classes, int]:
    """Running sums of the evidence, the classes' shortest lengths, and windows per clip."""
    # A video of very few clips (a still picture has one) is looked at in finer grains, so that
    # the whole order can be laid over it.
    grain = max(1, -(-2 * model.class_count // clip_count))
    sums = cumulate(np.repeat(reading.evidence, grain, axis=0) / grain)
    return sums, model.classes(clip_count * grain), grain
