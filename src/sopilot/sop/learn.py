"""From golds and steps to the fitted model that trainees are compared with.

The golds are compared with their own model first. Whatever a test says about a gold says nothing
about a trainee who gets the same, so it is kept as `TaskModel.own` and taken off: a gold against
itself is 100 by construction. Called by `sop.compare` and `sop.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sopilot.core.errors import BadSteps, InsufficientClips
from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.calibrate import LEAST_GOLDS, Calibration, HeldOut, calibration
from sopilot.sop.comparison import EventType
from sopilot.sop.copies import copied
from sopilot.sop.incomplete import FOREIGN_COMPARABILITY
from sopilot.sop.judgement import judge
from sopilot.sop.method import DEFAULT, Method
from sopilot.sop.model import GoldReference, OwnMeasure, TaskModel, read, require_comparable
from sopilot.sop.teach import learn
from sopilot.sop.timing import work_of

LEAST_OWN_CONFORMITY = 1e-3
"""A first gold below this does not recognise itself; nothing could be divided by less."""


def fit(
    golds: Sequence[VideoFeatures], steps: Sequence[Step] | None, method: Method = DEFAULT
) -> TaskModel:
    """Learn a task from its golds; the steps' spans lie in the first one.

    Steps without spans are laid out by segmentation, as many as were given; None proposes them.
    Raises InsufficientClips, ProducerMismatch, BadSteps.
    """
    used = _agreeing(golds, steps, method)
    left_out = _places(golds, [gold for gold in golds if not any(gold is own for own in used)])
    model = learn(used, steps, method)
    copies = [used[k] for k in copied(model.golds)]
    if copies:
        used = [gold for gold in used if not any(gold is copy for copy in copies)]
        model = learn(used, steps, method)
    model = replace(_measured(model), left_out_golds=left_out, copied_golds=_places(golds, copies))
    known = Calibration(len(used))
    if not method.calibrate or len(used) < LEAST_GOLDS:
        return replace(model, calibration=known)
    held_out = [found for k in range(len(used)) if (found := _held_out(model, k)) is not None]
    price = method.prices_for(model.steps_are_marked).edit
    known = calibration(len(used), held_out, price, method.unlike_from(len(used) - 1)[0])
    # Measured again: what the golds get depends on the thresholds.
    return _measured(replace(model, own=OwnMeasure(), calibration=known))


def _places(golds: Sequence[VideoFeatures], some: Sequence[VideoFeatures]) -> tuple[int, ...]:
    return tuple(k for k, gold in enumerate(golds) if any(gold is other for other in some))


def _agreeing(
    golds: Sequence[VideoFeatures], steps: Sequence[Step] | None, method: Method
) -> list[VideoFeatures]:
    """The golds without those that contradict the first: another task, or a step that is clearly
    missing or elsewhere. They would teach the steps at the wrong places."""
    if len(golds) == 1:
        return list(golds)
    model = _measured(learn(golds[:1], steps, method))
    return [golds[0], *(gold for gold in golds[1:] if shows_all(model, gold))]


def shows_all(model: TaskModel, video: VideoFeatures) -> bool:
    """Whether a video shows the task, and no step is clearly missing or elsewhere."""
    require_comparable(model.golds[0].features, video)
    _, work = work_of(model, video)
    reading = read(model, work)
    if reading.comparability < FOREIGN_COMPARABILITY:
        return False
    return not any(
        item.certainty == "clear" and item.type in (EventType.MISSING_STEP, EventType.ORDER_SWAP)
        for item in judge(model, work, reading).findings
    )


def _measured(model: TaskModel) -> TaskModel:
    """The model with what its golds get themselves."""
    works = [work_of(model, gold.features)[1] for gold in model.golds]
    readings = [(work, read(model, work)) for work in works]
    # A further gold that shows another task excuses nothing.
    usable = [
        (gold, reading)
        for number, (gold, reading) in enumerate(readings)
        if number == 0 or reading.comparability >= FOREIGN_COMPARABILITY
    ]
    judged = [judge(model, gold, reading) for gold, reading in usable]
    own = OwnMeasure(
        tuple(finding for each in judged for finding in each.findings),
        max(LEAST_OWN_CONFORMITY, min(each.conformity for each in judged)),
        min(1.0, max(LEAST_OWN_CONFORMITY, min(each.likeness for each in judged))),
    )
    return replace(model, own=own)


def _held_out(model: TaskModel, number: int) -> HeldOut | None:
    """One gold as the trainee of the others; None where the others alone make no model."""
    others = [gold for k, gold in enumerate(model.golds) if k != number]
    steps = steps_in(model, others[0])
    try:
        rest = _measured(learn([gold.features for gold in others], steps, model.method))
    except (InsufficientClips, BadSteps):
        return None
    _, left = work_of(rest, model.golds[number].features)
    reading = read(rest, left)
    judged = judge(rest, left, reading)
    scale = model.method.price_scale(reading.comparability)
    return HeldOut(judged.nats / scale, judged.unlikeness)


def steps_in(model: TaskModel, gold: GoldReference) -> tuple[Step, ...] | None:
    """The task's steps where a gold does them; None where nobody marked any."""
    if not model.steps_are_marked:
        return None
    spans: dict[int, TimeSpan] = {}
    for unit, span in zip(model.units, gold.spans, strict=True):
        if unit.step is not None:
            spans[unit.step] = span
    kinds = {unit.step: kind for unit, kind in zip(model.units, model.kinds, strict=True)}
    return tuple(
        replace(step, index=k, span=spans[k], kind=kinds[k]) for k, step in enumerate(model.steps)
    )
