"""The product as its clients see it: features of golds and a trainee in, the public result out.

Everything the benchmark asks of `sopilot.sop` is here. A setup may switch stages of the method off
or hide blocks of the features; the empty setup is the product as it ships.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib import import_module
from typing import Any

from sopilot.core.records import Step
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.sop.compare import ALGORITHM, compare_with
from sopilot.sop.interval import REPLICATES, score_interval
from sopilot.sop.learn import fit
from sopilot.sop.model import TaskModel
from sopilot.sop.profile import TaskProfile
from sopilot.sop.result import ScoreIds, ScoreOrigin, build_result
from sopilot.sop.schemas import ScoreResult
from sopilot.sop.score import total_score

METHOD_MODULE = "sopilot.sop.method"
PROFILE = TaskProfile("benchmark", "benchmark")
PASS_SCORE = PROFILE.pass_score


@dataclass(frozen=True, slots=True)
class Setup:
    """How the product is run. changes: fields of the method with other values; without: names of
    the feature blocks that it does not get."""

    changes: tuple[tuple[str, Any], ...] = ()
    without: tuple[str, ...] = ()


AS_SHIPPED = Setup()


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """A task whose golds are learned."""

    model: TaskModel
    golds: tuple[VideoFeatures, ...]
    setup: Setup

    def result(self, trainee: VideoFeatures, interval_name: str | None = None) -> ScoreResult:
        """The public record on a trainee. interval_name: seeds the interval; None = none is made.

        Raises a SopilotError for a trainee that the product refuses.
        """
        shown = _hide(trainee, self.setup.without)
        comparison = compare_with(self.model, shown)
        interval = None
        if interval_name is not None:
            interval = score_interval(
                self.model,
                shown,
                lambda found: total_score(found, PROFILE.weights),
                seed=zlib.crc32(interval_name.encode()),
                comparison=comparison,
            )
        return build_result(
            comparison,
            PROFILE,
            ids=ScoreIds("benchmark"),
            origin=ScoreOrigin(ALGORITHM, {"trainee": trainee.producer}),
            interval=interval,
            replicate_count=REPLICATES if interval else None,
            gold_count=len(self.golds),
        )


def learn(
    golds: Sequence[VideoFeatures], steps: Sequence[Step] | None, setup: Setup = AS_SHIPPED
) -> Judge:
    """Learn a task; steps None = none are given. Raises a SopilotError for golds it refuses."""
    shown = tuple(_hide(gold, setup.without) for gold in golds)
    if not setup.changes:
        return Judge(fit(shown, steps), shown, setup)
    method = replace(_method(), **dict(setup.changes))
    model = fit(shown, steps, method)  # type: ignore[call-arg]
    return Judge(model, shown, setup)


def method_fields() -> dict[str, Any]:
    """The method's settings with their defaults; empty where the product has no such record."""
    try:
        method = _method()
    except ModuleNotFoundError as error:
        if error.name != METHOD_MODULE:
            raise
        return {}
    return {item.name: getattr(method, item.name) for item in fields(method)}


def _method() -> Any:
    return import_module(METHOD_MODULE).Method()


def _hide(features: VideoFeatures, without: Sequence[str]) -> VideoFeatures:
    """The features without some blocks, re-recordings of them included."""
    if not without:
        return features
    kept = [name for name in features.blocks if name.partition("@")[0] not in without]
    return replace(features, blocks=Blocks({name: features.blocks.half(name) for name in kept}))
