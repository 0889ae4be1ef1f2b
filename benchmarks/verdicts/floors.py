"""The figures that the product must reach, one table. Source: the verdicts issue's "numbers to
reach"; those of the slice are its own, a noise unit below what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Floor:
    """A limit of a figure. at_least: the figure may not fall below it, else not rise above it."""

    text: str
    limit: float
    at_least: bool = True

    def is_held(self, value: float, slack: float) -> bool:
        """Whether a value reaches the limit, up to rounding."""
        return value >= self.limit - slack if self.at_least else value <= self.limit + slack

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


FLOORS: Mapping[str, Floor] = {
    "generated.1 gold, no steps.auc": Floor("1 gold, no steps: AUC", 0.975),
    "generated.1 gold, no steps.balanced": Floor(
        "1 gold, no steps: balanced accuracy without over-time", 0.95
    ),
    "generated.1 gold, no steps.critical": Floor(
        "1 gold, no steps: good with a critical one", 0.0, at_least=False
    ),
    "generated.1 gold, no steps.stopped": Floor("1 gold, no steps: freeze, cut, skip stopped", 1.0),
    "generated.1 gold, steps.auc": Floor("1 gold, steps: AUC", 0.98),
    "generated.1 gold, steps.balanced": Floor(
        "1 gold, steps: balanced accuracy without over-time", 0.97
    ),
    "generated.1 gold, steps.missing": Floor("1 gold, steps: missing steps named", 0.95),
    "generated.1 gold, steps.swap": Floor("1 gold, steps: swap named", 0.85),
    "generated.1 gold, steps.repeat": Floor("1 gold, steps: repeat named", 0.85),
    "generated.1 gold, steps.over_time": Floor("1 gold, steps: over-time named", 0.85),
    "generated.1 gold, steps.freeze": Floor("1 gold, steps: freeze named", 0.85),
    "generated.1 gold, steps.slow": Floor(
        "1 gold, steps: over-time and idle on the right step, 5 points below good", 0.85
    ),
    "generated.1 gold, steps.stopped": Floor("1 gold, steps: freeze, cut, skip stopped", 1.0),
    "generated.3 golds, steps.auc": Floor("3 golds, steps: AUC", 0.985),
    "generated.3 golds, steps.not_passed": Floor(
        "3 golds, steps: good not passed", 0.0, at_least=False
    ),
    "generated.3 golds, steps.wrong": Floor("3 golds, steps: wrong verb, tool, target named", 0.65),
    "generated.3 golds, steps.alarm": Floor("3 golds, steps: alarms", 0.05, at_least=False),
    "generated.3 golds, steps.stopped": Floor("3 golds, steps: freeze, cut, skip stopped", 1.0),
    "generated.3 golds, no steps.stopped": Floor(
        "3 golds, no steps: freeze, cut, skip stopped", 1.0
    ),
    "handwash.1 gold, steps.auc": Floor("1 gold, steps: AUC", 0.97),
    "handwash.1 gold, steps.alarm": Floor("1 gold, steps: alarms", 0.06, at_least=False),
    "handwash.1 gold, steps.critical": Floor(
        "1 gold, steps: good with a critical one", 0.03, at_least=False
    ),
    "handwash.1 gold, steps.missing_noticed": Floor("1 gold, steps: missing noticed", 0.92),
    "handwash.1 gold, steps.missing_placed": Floor("1 gold, steps: missing placed", 0.88),
    "handwash.1 gold, steps.swap_near_placed": Floor("1 gold, steps: adjacent swap named", 0.92),
    "handwash.1 gold, steps.wrong_noticed": Floor("1 gold, steps: wrong action noticed", 0.78),
    "handwash.1 gold, steps.repeat_noticed": Floor("1 gold, steps: repeat noticed", 0.88),
    "handwash.1 gold, steps.over_time_noticed": Floor("1 gold, steps: over-time noticed", 0.88),
    "handwash.1 gold, steps.slow": Floor(
        "1 gold, steps: over-time on the right step, 5 points below good", 0.85
    ),
    "handwash.1 gold, steps.stopped": Floor("1 gold, steps: freeze, cut, broken stopped", 1.0),
    "handwash.1 gold, no steps.auc": Floor("1 gold, no steps: AUC", 0.88),
    "handwash.1 gold, no steps.alarm": Floor("1 gold, no steps: alarms", 0.15, at_least=False),
    "handwash.1 gold, no steps.stopped": Floor(
        "1 gold, no steps: freeze, cut, broken stopped", 1.0
    ),
    "handwash.fused.auc": Floor("all golds fused: AUC above the best single gold's", 0.0),
    "handwash.fused.alarm": Floor("all golds fused: alarms", 0.06, at_least=False),
    "handwash.fused.stopped": Floor("all golds fused: freeze, cut, broken stopped", 1.0),
    "maintenance.marked": Floor("steps marked: variants judged right", 1.0),
    "maintenance.proposed": Floor("steps proposed: variants judged right", 1.0),
    "harmless.steps": Floor("steps given: copies with 90 points and a pass", 1.0),
    "harmless.no steps": Floor("no steps: copies with 90 points and a pass", 1.0),
    "hopeless.steps": Floor("steps given: recordings that do not pass", 1.0),
    "hopeless.no steps": Floor("no steps: recordings that do not pass", 1.0),
    "coverage.generated": Floor("generated: mean coverage of an execution", 0.93),
    "coverage.handwash": Floor("hand washing: mean coverage of an execution", 0.93),
    "cost.features": Floor(
        "features on top of decode, CPU s per video minute", 4.0, at_least=False
    ),
    "cost.compare": Floor("two 150 s videos, CPU s", 0.5, at_least=False),
    "cost.interval": Floor("two 150 s videos with interval, CPU s", 3.0, at_least=False),
    "unusual.twice": Floor("the procedure twice in one film does not pass", 1.0),
    "slice.generated, 1 gold, no steps.auc": Floor("1 gold, no steps: AUC", 0.85),
    "slice.generated, 1 gold, no steps.critical": Floor(
        "1 gold, no steps: good with a critical one", 0.0, at_least=False
    ),
    "slice.generated, 1 gold, steps.auc": Floor("1 gold, steps: AUC", 0.9),
    "slice.generated, 1 gold, steps.balanced": Floor("1 gold, steps: balanced accuracy", 0.85),
    "slice.generated, 1 gold, steps.critical": Floor(
        "1 gold, steps: good with a critical one", 0.0, at_least=False
    ),
    "slice.generated, 1 gold, steps.missing": Floor("1 gold, steps: missing steps named", 0.8),
    "slice.generated, 1 gold, steps.stopped": Floor(
        "1 gold, steps: freeze, cut, skip stopped", 1.0
    ),
    "slice.handwash, 1 gold, steps.auc": Floor("1 gold, steps: AUC", 0.8),
    "slice.handwash, 1 gold, steps.critical": Floor(
        "1 gold, steps: good with a critical one", 0.25, at_least=False
    ),
    "slice.handwash, 1 gold, steps.stopped": Floor(
        "1 gold, steps: freeze, cut, broken stopped", 1.0
    ),
}
