"""The scorer on generated procedures: `python -m benchmarks.verdicts.generated [--good 14]`.

Protocol: docs/scoring.md 7. Per task one gold with marked steps, good trainees in full nuisance,
and films with each defect. Prints the figures; --write keeps them as JSON.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from benchmarks.verdicts.judging import (
    RESULTS,
    ROOT,
    Footage,
    Gate,
    Trial,
    judge,
    prepare,
    report,
    source_key,
)
from sopilot.core.records import Role
from sopilot.evaluation.figures import Figures, Outcome
from sopilot.evaluation.generated.execution import Defect
from sopilot.evaluation.generated.film import GOLD_LEVEL, Film, film, gold_steps, write_film
from sopilot.evaluation.generated.procedure import make_procedure

TASKS = (101, 102)
REPEATED = tuple(
    defect
    for defect in Defect
    if defect not in (Defect.FREEZE_ONLY, Defect.WRONG_VERB, Defect.WRONG_TOOL, Defect.WRONG_TARGET)
)
WRONG = (Defect.WRONG_VERB, Defect.WRONG_TOOL, Defect.WRONG_TARGET)


@dataclass(frozen=True, slots=True)
class Take:
    """Which film to make; picklable."""

    task: int
    name: str
    seed: int
    defect: Defect | None
    level: float

    def film(self) -> Film:
        """The planned film."""
        procedure = make_procedure(self.task)
        return film(procedure, self.seed, self.defect, nuisance_level=self.level)

    def __call__(self, path: Path) -> None:
        cv2.setNumThreads(1)
        write_film(self.film(), path)


def takes(task: int, good_count: int, each_count: int) -> Iterator[Take]:
    """The gold first, then the trainees of one task."""
    yield Take(task, "gold", 5000, None, GOLD_LEVEL)
    for index in range(good_count):
        yield Take(task, f"good-{index:02d}", 10_000 + index, None, 1.0)
    for kind, defect in enumerate(REPEATED):
        for index in range(each_count):
            yield Take(task, f"{defect}-{index}", 20_000 + 20 * kind + index, defect, 1.0)
    for index in range(each_count):
        wrong = WRONG[index % len(WRONG)]
        yield Take(task, f"{wrong}-{index}", 28_000 + index, wrong, 1.0)
    yield Take(task, "freeze_only-0", 29_000, Defect.FREEZE_ONLY, 1.0)


def gates(figures: Figures, _outcomes: Sequence[Outcome]) -> list[Gate]:
    """The expectation of docs/scoring.md 7 (one gold, marked steps), a noise unit below it."""
    missing = figures.by_defect.get("missing")
    return [
        Gate("AUC good against defective", figures.auc, 0.95),
        Gate("good with any finding", figures.alarm.ratio, 0.11, at_least=False),
        Gate("good with a critical finding", figures.critical_alarm.ratio, 0.08, at_least=False),
        Gate("defective below pass", figures.defective_below_pass.ratio, 0.90),
        Gate("missing steps named", missing.named.ratio if missing else None, 0.90),
    ]


def main() -> int:
    """0, or 3 when a gate is missed and --check was given."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts.generated", description=__doc__
    )
    parser.add_argument("--tasks", type=int, nargs="+", default=list(TASKS), help="task seeds")
    parser.add_argument("--good", type=int, default=14, help="good films per task (14)")
    parser.add_argument("--each", type=int, default=3, help="films per defect and task (3)")
    parser.add_argument("--work", type=Path, default=ROOT / "build/benchmarks/generated")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--films", action="store_true", help="print every film")
    parser.add_argument("--write", action="store_true", help="JSON under benchmarks/results/")
    parser.add_argument("--check", action="store_true", help="exit 3 when a gate is missed")
    arguments = parser.parse_args()
    planned = {t: list(takes(t, arguments.good, arguments.each)) for t in arguments.tasks}
    footage = [
        Footage(
            _path(arguments.work, take), Role.GOLD if take.name == "gold" else Role.TRAINEE, take
        )
        for listed in planned.values()
        for take in listed
    ]
    prepare(footage, arguments.workers)
    outcomes: list[Outcome] = []
    for gold, *trainees in planned.values():
        trials = [
            Trial(
                f"{take.task}/{take.name}",
                take.defect,
                _path(arguments.work, take),
                take.film().truth,
            )
            for take in trainees
        ]
        outcomes += judge(_path(arguments.work, gold), gold_steps(gold.film()), trials)
    settings = {"tasks": arguments.tasks, "good": arguments.good, "each": arguments.each}
    target = RESULTS / "generated.json" if arguments.write else None
    held = report(
        "Generated procedures, 1 gold, marked steps",
        outcomes,
        gates,
        settings,
        target,
        arguments.films,
    )
    return 3 if arguments.check and not held else 0


def _path(work: Path, take: Take) -> Path:
    return (
        work / f"{take.task}-{source_key('evaluation/generated')}" / f"{take.name}-{take.seed}.mp4"
    )


if __name__ == "__main__":
    sys.exit(main())
