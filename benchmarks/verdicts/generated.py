"""Suite `generated`: procedures drawn by program, with exact truth; with and without steps given.

Per task three golds, good trainees in full nuisance, and films with each kind of defect. Films
beyond that protocol (`extra`: more wrong actions, idling) count in rows of their own only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from benchmarks.verdicts.films import Footage, source_key
from benchmarks.verdicts.floors import FLOORS
from benchmarks.verdicts.judging import SCORERS, Case, Trial
from benchmarks.verdicts.report import (
    Measured,
    Report,
    Row,
    defect_table,
    floor_row,
    summary_table,
)
from benchmarks.verdicts.session import DEV_TASKS, Session
from sopilot.core.records import Role
from sopilot.evaluation.figures import (
    Figures,
    Outcome,
    named_events,
    slow_flagged,
    stopped,
    summarise,
)
from sopilot.evaluation.generated.execution import Defect
from sopilot.evaluation.generated.film import GOLD_LEVEL, Film, film, gold_steps, write_film
from sopilot.evaluation.generated.procedure import make_procedure
from sopilot.sop.comparison import EventType

WRONG = (Defect.WRONG_VERB, Defect.WRONG_TOOL, Defect.WRONG_TARGET)
REPEATED = (
    Defect.MISSING,
    Defect.MISSING_TWO,
    Defect.SWAP,
    Defect.REPEAT,
    Defect.OVER_TIME,
    Defect.FREEZE,
    Defect.CUT_TAIL,
    Defect.SKIP_START,
)
STOPPED = (Defect.FREEZE, Defect.FREEZE_ONLY, Defect.CUT_TAIL, Defect.SKIP_START)
SLOW = (Defect.OVER_TIME, Defect.IDLE)
GOLD_COUNT = 3
AGAIN = (None, Defect.MISSING, Defect.WRONG_VERB, Defect.SWAP)
"""What is wrong in the executions that are recorded again."""
AGAIN_COUNT = 5
EXTRA = "extra-"
SHORT_STEPS, SHORT_STEP_SEC = 5, (6.0, 8.0)


@dataclass(frozen=True, slots=True)
class Variant:
    """How a task is taught."""

    gold_count: int
    has_steps: bool

    def __str__(self) -> str:
        golds = "1 gold" if self.gold_count == 1 else f"{self.gold_count} golds"
        return f"{golds}, {'steps' if self.has_steps else 'no steps'}"


VARIANTS = (Variant(1, False), Variant(1, True), Variant(3, True), Variant(3, False))


@dataclass(frozen=True, slots=True)
class Take:
    """Which film to make; picklable. is_short: a task of few and short steps (the slice)."""

    task: int
    name: str
    seed: int
    defect: Defect | None
    level: float = 1.0
    nuisance_seed: int | None = None
    is_short: bool = False

    def film(self) -> Film:
        """The planned film."""
        procedure = (
            make_procedure(self.task, step_count=SHORT_STEPS, step_sec=SHORT_STEP_SEC)
            if self.is_short
            else make_procedure(self.task)
        )
        return film(
            procedure,
            self.seed,
            self.defect,
            nuisance_level=self.level,
            nuisance_seed=self.nuisance_seed,
        )

    def path(self, work: Path) -> Path:
        """Where the film lies; another generator is another folder."""
        folder = f"{self.task}-{'short-' if self.is_short else ''}"
        again = "" if self.nuisance_seed is None else f"-{self.nuisance_seed}"
        name = f"{self.name}-{self.seed}{again}.mp4"
        return work / "generated" / f"{folder}{source_key('evaluation/generated')}" / name

    def footage(self, work: Path) -> Footage:
        """The film as a gold or as a trainee, by its name."""
        role = Role.GOLD if self.name == "gold" else Role.TRAINEE
        return Footage(self.path(work), role, self)

    def trial(self, work: Path) -> Trial:
        """The film as a trial; every film is an execution of its own."""
        name = f"{self.task}/{self.name}"
        defect = None if self.defect is None else self.defect.value
        return Trial(name, name, defect, self.path(work), self.film().truth)

    def __call__(self, path: Path) -> None:
        cv2.setNumThreads(1)
        write_film(self.film(), path)


def golds(task: int) -> tuple[Take, ...]:
    """The golds of a task; the steps lie in the first."""
    return tuple(Take(task, "gold", 5000 + k, None, GOLD_LEVEL) for k in range(GOLD_COUNT))


def trainees(task: int, good_count: int, each_count: int) -> Iterator[Take]:
    """The protocol of one task: good films, nine kinds of defect, one still picture."""
    for index in range(good_count):
        yield Take(task, f"good-{index:02d}", 10_000 + index, None)
    for kind, defect in enumerate(REPEATED):
        for index in range(each_count):
            yield Take(task, f"{defect}-{index}", 20_000 + 20 * kind + index, defect)
    for index in range(each_count):
        wrong = WRONG[index % len(WRONG)]
        yield Take(task, f"{wrong}-{index}", 28_000 + index, wrong)
    yield Take(task, "freeze_only-0", 29_000, Defect.FREEZE_ONLY)


def extras(task: int, each_count: int) -> Iterator[Take]:
    """Films for single rows: idling, and twice as many more wrong actions."""
    for index in range(each_count):
        yield Take(task, f"{EXTRA}idle-{index}", 30_000 + index, Defect.IDLE)
    for index in range(2 * each_count):
        wrong = WRONG[index % len(WRONG)]
        yield Take(task, f"{EXTRA}{wrong}-{index}", 28_100 + index, wrong)


def other_task(task: int, count: int) -> Iterator[Take]:
    """Films of another procedure."""
    for index in range(count):
        yield Take(task, f"wrong_task-{index}", 31_000 + index, Defect.WRONG_TASK)


def again(task: int) -> Iterator[Take]:
    """Executions recorded five times each."""
    for execution, defect in enumerate(AGAIN):
        for number in range(AGAIN_COUNT):
            seed = 90_000 + 10 * execution + number
            yield Take(task, f"again-{execution}", 40_000 + execution, defect, nuisance_seed=seed)


def case(work: Path, variant: Variant, gold_takes: Sequence[Take], listed: Sequence[Take]) -> Case:
    """Films of one task against its first golds."""
    steps = gold_steps(gold_takes[0].film())
    return Case(
        group=str(gold_takes[0].task),
        golds=tuple(take.path(work) for take in gold_takes[: variant.gold_count]),
        steps=steps if variant.has_steps else None,
        true_spans=tuple(step.span for step in steps if step.span is not None),
        trials=tuple(take.trial(work) for take in listed),
    )


def cases(session: Session, variant: Variant, tasks: Sequence[int]) -> list[Case]:
    """One case per task, all films of protocol and extras."""
    options = session.options
    return [
        case(
            options.work,
            variant,
            golds(task),
            [
                *trainees(task, options.good_count, options.each_count),
                *extras(task, options.each_count),
            ],
        )
        for task in tasks
    ]


def prepare(session: Session, tasks: Sequence[int]) -> None:
    """Make the films that `cases` names."""
    options = session.options
    listed = [
        take
        for task in tasks
        for take in (
            *golds(task),
            *trainees(task, options.good_count, options.each_count),
            *extras(task, options.each_count),
        )
    ]
    session.prepare([take.footage(options.work) for take in listed])


def in_protocol(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The films that count in the figures."""
    return [o for o in outcomes if f"/{EXTRA}" not in o.name]


def splits(tasks: Sequence[int]) -> dict[str, list[int]]:
    """Tasks that were looked at while the method was made, and unseen ones; none empty."""
    dev = [task for task in tasks if task in DEV_TASKS]
    unseen = [task for task in tasks if task not in DEV_TASKS]
    return {name: own for name, own in (("dev", dev), ("unseen", unseen)) if own}


def run(session: Session) -> Report:
    """The whole suite."""
    options = session.options
    prepare(session, options.tasks)
    rows: list[Row] = []
    figures: dict[str, Figures] = {}
    films: dict[str, list[Outcome]] = {}
    for split, tasks in splits(options.tasks).items():
        for variant in VARIANTS:
            outcomes = session.judge(cases(session, variant, tasks))
            name = f"{split}, {variant}"
            films[name] = outcomes
            figures[name] = summarise(in_protocol(outcomes))
            rows += judged(f"generated.{variant}", f"{split}: ", outcomes)
            rows.append(_with_slow(f"{split}: {variant}", outcomes))
        for scorer in SCORERS[1:]:
            peers = [replace(c, scorer=scorer) for c in cases(session, Variant(1, True), tasks)]
            figures[f"{split}, {scorer}"] = summarise(in_protocol(session.judge(peers)))
    tables = [summary_table("Generated procedures", figures)]
    tables += [defect_table(name, figures[name]) for name in films]
    settings = {
        "tasks": list(options.tasks),
        "good": options.good_count,
        "each": options.each_count,
    }
    return Report("generated", tuple(rows), tuple(tables), settings, figures, films)


def _with_slow(label: str, outcomes: Sequence[Outcome]) -> Row:
    """The figure in which a film that is only slow counts as passed by mistake."""
    name = f"{label}: balanced accuracy, over-time counted as a defect"
    return Row(name, summarise(in_protocol(outcomes)).balanced_accuracy)


def _must_not_pass(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Over-time alone is a matter of efficiency: by the default policy such a film may pass, and
    a floor of its own asks that it is flagged and costs points."""
    return [o for o in outcomes if o.defect != Defect.OVER_TIME]


def judged(prefix: str, label: str, outcomes: Sequence[Outcome]) -> list[Row]:
    """The floors of one variant with what was measured."""
    values = measured(outcomes)
    found = [key for key in FLOORS if key.startswith(f"{prefix}.")]
    return [floor_row(key, values[key.rpartition(".")[2]], label) for key in found]


def measured(outcomes: Sequence[Outcome]) -> Mapping[str, Measured]:
    """What the floors speak of, by the last part of their keys."""
    protocol = in_protocol(outcomes)
    figures = summarise(protocol)
    return {
        "auc": figures.auc,
        "balanced": summarise(_must_not_pass(protocol)).balanced_accuracy,
        "critical": figures.critical,
        "not_passed": figures.not_passed,
        "alarm": figures.alarm,
        "missing": named_events(protocol, EventType.MISSING_STEP),
        "swap": named_events(protocol, EventType.ORDER_SWAP),
        "repeat": named_events(protocol, EventType.REPEATED_STEP),
        "over_time": named_events(protocol, EventType.OVER_TIME),
        "freeze": named_events(protocol, EventType.FREEZE),
        "wrong": named_events(outcomes, EventType.STEP_DEVIATION),
        "slow": slow_flagged(outcomes, SLOW),
        "stopped": stopped(protocol, STOPPED),
    }
