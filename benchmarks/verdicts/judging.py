"""Scores the trials of a case against its golds; what the benchmark reads is the public record.

A case is the unit of work of one process: the golds are learned once. Called by `session`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.verdicts.baselines import PASS_SCORE, colour_score, duration_score
from benchmarks.verdicts.films import Refused, load, load_rows
from benchmarks.verdicts.product import AS_SHIPPED, Judge, Setup, learn
from sopilot.core.errors import SopilotError
from sopilot.core.records import Role, Step
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.figures import PASS, Outcome
from sopilot.evaluation.truth import TrueEvent, found_of_record, match

Scorer = Literal["product", "colour-motion DTW", "duration only"]
SCORERS: tuple[Scorer, ...] = ("product", "colour-motion DTW", "duration only")
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Trial:
    """One trainee film. unit: its independent execution. defect None = good."""

    name: str
    unit: str
    defect: str | None
    path: Path
    truth: tuple[TrueEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Golds and the films to hold against them.

    steps: given to the product, None = none. true_spans: of the true steps in the first gold.
    """

    group: str
    golds: tuple[Path, ...]
    steps: tuple[Step, ...] | None
    true_spans: tuple[TimeSpan, ...]
    trials: tuple[Trial, ...]
    setup: Setup = AS_SHIPPED
    with_interval: bool = False
    scorer: Scorer = "product"


def judge(case: Case) -> list[Outcome]:
    """Score every trial of a case, in its order."""
    score = {
        "product": _product,
        "colour-motion DTW": _colour_motion,
        "duration only": _duration,
    }[case.scorer](case)
    return [score(trial) for trial in case.trials]


def _product(case: Case) -> Callable[[Trial], Outcome]:
    try:
        learned = learn([load(path, Role.GOLD) for path in case.golds], case.steps, case.setup)
    except (SopilotError, Refused) as error:
        code = error.code
        return lambda trial: _plain(case, trial, 0.0, REFUSED, f"gold: {code}")
    return lambda trial: _by_product(case, learned, trial)


def _by_product(case: Case, learned: Judge, trial: Trial) -> Outcome:
    try:
        features = load(trial.path, Role.TRAINEE)
        result = learned.result(features, trial.path.stem if case.with_interval else None)
    except (SopilotError, Refused) as error:
        return _plain(case, trial, 0.0, REFUSED, error.code)
    found = tuple(found_of_record(item.model_dump()) for item in result.deviations)
    confidence = result.confidence
    return Outcome(
        name=trial.name,
        unit=trial.unit,
        group=case.group,
        defect=trial.defect,
        score=result.score,
        decision=result.summary.decision,
        basis=result.summary.decision_basis,
        found=found,
        matches=match(trial.truth, found, case.true_spans, by_index=case.steps is not None),
        interval=(confidence.ci_low, confidence.ci_high) if confidence else None,
    )


def _colour_motion(case: Case) -> Callable[[Trial], Outcome]:
    golds = [load_rows(path) for path in case.golds]
    return lambda trial: _by_score(
        case, trial, max(colour_score(gold, load_rows(trial.path)) for gold in golds)
    )


def _duration(case: Case) -> Callable[[Trial], Outcome]:
    golds = [load(path, Role.GOLD).duration_sec for path in case.golds]
    return lambda trial: _by_score(
        case,
        trial,
        max(duration_score(gold, load(trial.path, Role.TRAINEE).duration_sec) for gold in golds),
    )


def _by_score(case: Case, trial: Trial, score: float) -> Outcome:
    decision = PASS if score >= PASS_SCORE else "retrain"
    return _plain(case, trial, round(score, 2), decision, "score")


def _plain(case: Case, trial: Trial, score: float, decision: str, basis: str) -> Outcome:
    """An outcome without findings."""
    return Outcome(
        name=trial.name,
        unit=trial.unit,
        group=case.group,
        defect=trial.defect,
        score=score,
        decision=decision,
        basis=basis,
        found=(),
        matches=match(trial.truth, (), case.true_spans),
    )
