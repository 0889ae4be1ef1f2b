"""From golds and steps to the fitted model that trainees are compared with.

The golds are compared with their own model first. Whatever a test says about a gold says nothing
about a trainee who gets the same, so it is kept as `TaskModel.own` and taken off: a gold against
itself is 100 by construction. Called by `sop.compare` and `sop.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sopilot.core.records import Step
from sopilot.embed.base import VideoFeatures
from sopilot.sop.incomplete import FOREIGN_COMPARABILITY
from sopilot.sop.judgement import judge, order_reference
from sopilot.sop.method import DEFAULT, Method
from sopilot.sop.model import OwnMeasure, TaskModel, learn, read

LEAST_OWN_CONFORMITY = 1e-3
"""A first gold below this does not recognise itself; nothing could be divided by less."""


def fit(
    golds: Sequence[VideoFeatures], steps: Sequence[Step] | None, method: Method = DEFAULT
) -> TaskModel:
    """Learn a task from its golds; the steps' spans lie in the first one.

    Steps without spans are laid out by segmentation, as many as were given; None proposes them.
    Raises InsufficientClips, ProducerMismatch, BadSteps.
    """
    model = learn(golds, steps, method)
    readings = [(gold, read(model, gold)) for gold in golds]
    # A further gold that shows another task excuses nothing.
    usable = [
        (gold, reading)
        for number, (gold, reading) in enumerate(readings)
        if number == 0 or reading.comparability >= FOREIGN_COMPARABILITY
    ]
    references = tuple(order_reference(model, reading) for _, reading in usable)
    model = replace(model, own=OwnMeasure(references))
    judged = [judge(model, gold, reading) for gold, reading in usable]
    own = OwnMeasure(
        references,
        tuple(finding for each in judged for finding in each.findings),
        max(LEAST_OWN_CONFORMITY, min(each.conformity for each in judged)),
    )
    return replace(model, own=own)
