"""Suite `coverage`: does the interval of one recording hold the score of another of the same
execution?

Generated: four executions per task, five recordings each. Hand washing: one good cut and one
without a step per clean trainee execution, recorded five times. Ordered pairs within an execution;
the execution is the unit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.verdicts import generated, handwash
from benchmarks.verdicts.compose import Cut, marked_steps
from benchmarks.verdicts.films import Footage
from benchmarks.verdicts.judging import Case, Trial
from benchmarks.verdicts.report import Report, Row, Table, floor_row, number
from benchmarks.verdicts.retake import Retake, draw_retake
from benchmarks.verdicts.session import DEV_TASKS, Session
from sopilot.core.records import Role
from sopilot.evaluation.figures import Coverage, Outcome, coverage

RECORDING_COUNT = 5
WASH_DEFECTS = (None, "missing")


def run(session: Session) -> Report:
    """Both worlds; floors are held on tasks that did not set the interval."""
    films: dict[str, list[Outcome]] = {}
    for split, tasks in generated.splits(session.options.tasks).items():
        films[f"{split} tasks"] = session.judge(_generated(session, tasks))
    unseen = [task for task in session.options.tasks if task not in DEV_TASKS]
    judged = films.get("unseen tasks" if unseen else "dev tasks", [])
    rows = [floor_row("coverage.generated", coverage(judged).unit_mean)]
    wash = handwash.open_wash(session)
    if wash is not None:
        films["hand washing"] = session.judge(_handwash(session, wash))
        mean = coverage(films["hand washing"]).unit_mean
        rows.append(floor_row("coverage.handwash", mean))
    found = {name: coverage(outcomes) for name, outcomes in films.items()}
    rows += [Row(f"{name}: ordered pairs covered", own.pairs) for name, own in found.items()]
    settings = {"tasks": list(session.options.tasks), "recordings": RECORDING_COUNT}
    return Report("coverage", tuple(rows), (_table(found),), settings, films=films)


def _generated(session: Session, tasks: list[int]) -> list[Case]:
    """One gold, steps given, every recording with its interval."""
    work = session.options.work
    takes = {task: list(generated.again(task)) for task in tasks}
    golds = [generated.golds(task)[0] for task in tasks]
    session.prepare([take.footage(work) for own in ([golds], takes.values()) for listed in own
                     for take in listed])  # fmt: skip
    cases = []
    for gold in golds:
        plain = generated.case(work, generated.Variant(1, True), [gold], takes[gold.task])
        cases.append(
            Case(plain.group, plain.golds, plain.steps, plain.true_spans, plain.trials,
                 with_interval=True)
        )  # fmt: skip
    return cases


def _handwash(session: Session, wash: handwash.Wash) -> list[Case]:
    """Each trainee execution once, against the first gold that is clean for it."""
    groups = {group.trainee: group for group in reversed(wash.pairs())}
    footage: list[Footage] = []
    cases = []
    for group in groups.values():
        (gold,) = group.golds
        footage.append(Footage(wash.path(gold), Role.GOLD, handwash.Composing(gold, wash.library)))
        trials = []
        for cut, retake in _recordings(group):
            path = wash.path(cut, retake)
            make = handwash.Composing(cut, wash.library, retake)
            footage.append(Footage(path, Role.TRAINEE, make))
            name = f"{group.name}/{cut.name}/{retake.name}"
            trials.append(Trial(name, cut.name, cut.defect, path, cut.truth))
        steps = marked_steps(gold)
        cases.append(
            Case(group.name, (wash.path(gold),), steps, gold.scenes, tuple(trials),
                 with_interval=True)
        )  # fmt: skip
    session.prepare(footage)
    return cases


def _recordings(group: handwash.Group) -> Iterator[tuple[Cut, Retake]]:
    """The first cut of each wanted kind, five times."""
    for kind in WASH_DEFECTS:
        cut = next((cut for cut in group.cuts if cut.defect == kind), None)
        if cut is None:
            continue
        rng = np.random.default_rng([int(group.trainee), len(kind or ""), 51])
        for number_ in range(RECORDING_COUNT):
            yield cut, draw_retake(rng, number_)


def _table(found: dict[str, Coverage]) -> Table:
    head = ("", "executions", "mean", "least", "wholly covered", "pairs", "width", "score range")
    lines = [
        (
            name,
            str(own.whole_units.total),
            number(own.unit_mean),
            number(own.unit_least),
            f"{own.whole_units.hits}/{own.whole_units.total}",
            f"{own.pairs.hits}/{own.pairs.total}",
            number(own.width, 1),
            number(own.spread, 1),
        )
        for name, own in found.items()
    ]
    return Table("Coverage of the interval", (head, *lines))
