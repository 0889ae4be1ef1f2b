"""Adaptation of a task's model: more good executions as golds, kept only where they prove to help.

`adapt` takes the approved golds and the executions that a reviewer confirmed as good, learns from
both, and holds every gold out in turn: as a good execution, and with each of its steps left out and
each neighbouring pair exchanged (put together from its own clips). The new model is adopted when
less speaks against the held-out golds than before and no defect is lost that the old one found.
The job around it belongs to the service. Source: docs/scoring.md 6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from sopilot.core.records import Step
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.sop.judgement import Judgement, judge
from sopilot.sop.learn import fit, shows_all, steps_in
from sopilot.sop.likeness import thresholds
from sopilot.sop.method import DEFAULT, Method
from sopilot.sop.model import TaskModel, read
from sopilot.sop.timing import work_of

LEAST_GOLDS = 2
MOST_EXECUTIONS = 10
LEAST_GAIN = 0.05
"""Share of the doubt about good executions that a change must take away."""

Reason = Literal["helps", "too_few_golds", "nothing_new", "no_gain", "loses_defects"]


@dataclass(frozen=True, slots=True)
class Proof:
    """What held-out golds say about a model.

    doubt: mean evidence against the held-out golds, as a share of what an alarm takes (the larger
    of order and unlikeness). alarm_count: held-out golds with a finding. found_count: defective
    versions with a finding, of `defect_count`.
    """

    doubt: float
    alarm_count: int
    found_count: int
    defect_count: int


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """The model to use from now on.

    version: counts adoptions, 0 = golds alone. key: names what it was learned from, 16 hex digits.
    execution_count: golds and confirmed executions in the model. before, after: the proof, None
    where none was possible. taken: indices into the confirmed executions that are in the model.
    """

    model: TaskModel
    version: int
    key: str
    execution_count: int
    reason: Reason
    before: Proof | None = None
    after: Proof | None = None
    taken: tuple[int, ...] = ()

    @property
    def is_adopted(self) -> bool:
        """Whether the confirmed executions came into the model."""
        return self.reason == "helps"


def adapt(
    golds: Sequence[VideoFeatures],
    confirmed: Sequence[VideoFeatures],
    steps: Sequence[Step] | None,
    *,
    version: int = 0,
    adopted_count: int = 0,
    method: Method = DEFAULT,
) -> Adaptation:
    """Learn a task anew from golds and confirmed good executions, or keep the golds' model.

    version: of the model in use. confirmed: the earlier ones first; at most MOST_EXECUTIONS take
    part together with the golds, and none in which the golds' model clearly misses a step or finds
    one elsewhere: it would teach the steps at the wrong places. adopted_count: so many of the
    confirmed, the first ones, are in the model in use, which is then what must be improved on and
    what is kept. Deterministic. Cost: three fits for every gold. Raises what `fit` raises.
    """
    if not confirmed or len(golds) < LEAST_GOLDS:
        reason: Reason = "nothing_new" if not confirmed else "too_few_golds"
        return _kept(golds, steps, version, method, reason)
    marked = fit(golds, steps, method)
    whole = [k for k, video in enumerate(confirmed) if shows_all(marked, video)]
    taken = tuple(whole[: max(0, MOST_EXECUTIONS - len(golds))])
    more = [confirmed[k] for k in taken]
    present = list(confirmed[:adopted_count])
    in_use = [*golds, *present]
    if not more or taken == tuple(range(adopted_count)):
        return _kept(in_use, steps, version, method, "nothing_new")
    before, after = (_prove(marked, golds, extra, method) for extra in (present, more))
    if after.found_count < before.found_count:
        return _kept(in_use, steps, version, method, "loses_defects", before, after)
    if not is_better(before, after):
        return _kept(in_use, steps, version, method, "no_gain", before, after)
    used = [*golds, *more]
    model = fit(used, steps, method)
    return Adaptation(model, version + 1, _key(used), len(used), "helps", before, after, taken)


def _kept(
    golds: Sequence[VideoFeatures],
    steps: Sequence[Step] | None,
    version: int,
    method: Method,
    reason: Reason,
    before: Proof | None = None,
    after: Proof | None = None,
) -> Adaptation:
    model = fit(golds, steps, method)
    return Adaptation(model, version, _key(golds), len(golds), reason, before, after)


def is_better(before: Proof, after: Proof) -> bool:
    """Fewer held-out golds with a finding; at equal numbers clearly less doubt about them."""
    if after.alarm_count != before.alarm_count:
        return after.alarm_count < before.alarm_count
    return after.doubt < before.doubt and after.doubt <= before.doubt * (1.0 - LEAST_GAIN)


def _prove(
    marked: TaskModel,
    golds: Sequence[VideoFeatures],
    more: Sequence[VideoFeatures],
    method: Method,
) -> Proof:
    """Hold every gold out of golds + more, and judge it and its defective versions."""
    plain = replace(method, calibrate=False)
    doubts: list[float] = []
    alarm_count = found_count = defect_count = 0
    for number in range(len(golds)):
        rest = [gold for k, gold in enumerate(golds) if k != number]
        first = marked.golds[0 if number else 1]
        model = fit([*rest, *more], steps_in(marked, first), plain)
        judged = _judged(model, golds[number])
        doubts.append(_doubt(model, judged))
        alarm_count += bool(judged.findings)
        for defective in _defective(marked, number):
            found_count += bool(_judged(model, defective).findings)
            defect_count += 1
    return Proof(float(np.mean(doubts)), alarm_count, found_count, defect_count)


def _judged(model: TaskModel, video: VideoFeatures) -> Judgement:
    _, work = work_of(model, video)
    return judge(model, work, read(model, work))


def _doubt(model: TaskModel, judged: Judgement) -> float:
    price = model.method.prices_for(model.steps_are_marked).edit
    return max(judged.nats / price, judged.unlikeness / thresholds(model)[0])


def _defective(marked: TaskModel, left_out: int) -> Iterator[VideoFeatures]:
    """A gold with each step left out, each neighbouring pair exchanged, and each step replaced by
    another one."""
    gold = marked.golds[left_out]
    ranges = [list(item.clips) for item in gold.steps]
    everything = list(range(gold.features.clip_count))
    for clips in ranges:
        kept = [k for k in everything if k not in set(clips)]
        if kept:
            yield arranged(gold.features, kept)
    for number, clips in enumerate(ranges):
        other = ranges[(number + 2) % len(ranges)]
        if other != clips:
            yield arranged(
                gold.features, [*everything[: clips[0]], *other, *everything[clips[-1] + 1 :]]
            )
    for one, other in pairwise(ranges):
        head, tail = everything[: one[0]], everything[other[-1] + 1 :]
        between = everything[one[-1] + 1 : other[0]]
        yield arranged(gold.features, [*head, *other, *between, *one, *tail])


def arranged(features: VideoFeatures, clips: Sequence[int]) -> VideoFeatures:
    """The clips of a video in another order, on a time line of their own, without freezes."""
    order = np.asarray(clips, dtype=np.int64)
    starts = features.clip_spans[:, 0]
    hop_sec = float(np.median(np.diff(starts))) if len(starts) > 1 else 1.0
    lengths = (features.clip_spans[:, 1] - starts)[order]
    begin = np.arange(len(order)) * hop_sec
    spans = np.stack([begin, begin + lengths], axis=1)
    return replace(
        features,
        clip_spans=spans,
        blocks=Blocks({name: features.blocks.half(name)[order] for name in features.blocks}),
        energy=features.energy[order],
        freezes=(),
        duration_sec=float(spans[-1, 1]),
    )


def _key(used: Sequence[VideoFeatures]) -> str:
    """Name of what a model was learned from: contents and order."""
    sha = hashlib.sha256()
    for features in used:
        sha.update(features.producer.fingerprint.encode())
        for name in features.blocks:
            sha.update(features.blocks.half(name).tobytes())
    return sha.hexdigest()[:16]
