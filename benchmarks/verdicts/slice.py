"""Suite `slice`: a seeded part of `generated` and `handwash` that CI can afford.

Its floors lie a noise unit below what was measured: it tells a broken method, not a slightly worse
one. Called by `tests/acceptance/test_verdict_floors.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.verdicts import generated, handwash
from benchmarks.verdicts.compose import clean_steps
from benchmarks.verdicts.report import Report, Row, defect_table, not_run, summary_table
from benchmarks.verdicts.session import Session
from sopilot.evaluation.figures import Outcome, summarise

TASK = 301
GOOD_COUNT, EACH_COUNT = 6, 1
WASH_PAIRS = (("002", "003"), ("004", "002"))
WASH_STEPS, WASH_SAMPLE = 6, 8


def run(session: Session) -> Report:
    """Both worlds in one report."""
    parts = [run_generated(session), run_handwash(session)]
    return Report(
        "slice",
        tuple(row for part in parts for row in part.rows),
        tuple(table for part in parts for table in part.tables),
        {name: value for part in parts for name, value in part.settings.items()},
        {name: value for part in parts for name, value in part.figures.items()},
        {name: value for part in parts for name, value in part.films.items()},
    )


def run_generated(session: Session) -> Report:
    """One task of short steps, one gold, with and without steps given."""
    work = session.options.work
    gold = replace(generated.golds(TASK)[0], is_short=True)
    films = list(_takes())
    session.prepare([take.footage(work) for take in (gold, *films)])
    found = {
        f"generated, {variant}": session.judge([generated.case(work, variant, [gold], films)])
        for variant in generated.VARIANTS
        if variant.gold_count == 1
    }
    rows = [
        row
        for name, outcomes in found.items()
        for row in generated.judged(f"slice.{name}", "generated, ", outcomes)
    ]
    settings = {"task": TASK, "good": GOOD_COUNT, "each": EACH_COUNT}
    return _report(found, rows, settings)


def run_handwash(session: Session) -> Report:
    """Two pairs over six steps each, one gold, steps given."""
    options = replace(session.options, sample=WASH_SAMPLE)
    wash = handwash.open_wash(replace(session, options=options))
    if wash is None:
        return not_run("slice.handwash", f"no footage in {options.data / 'handwash'}")
    groups = [
        wash.group(
            [gold],
            trainee,
            clean_steps(wash.library, wash.folder, [gold], trainee)[:WASH_STEPS],
            gold,
        )
        for gold, trainee in WASH_PAIRS
    ]
    session.prepare(list(wash.footage(groups)))
    name = "handwash, 1 gold, steps"
    found = {name: session.judge([wash.case(group, True) for group in groups])}
    rows = handwash.judged(f"slice.{name}", handwash.measured(found[name]), "handwash, ")
    return _report(found, rows, {"pairs": [group.name for group in groups]})


def _takes() -> Iterator[generated.Take]:
    for take in generated.trainees(TASK, GOOD_COUNT, EACH_COUNT):
        yield replace(take, is_short=True)


def _report(
    found: dict[str, list[Outcome]], rows: list[Row], settings: dict[str, object]
) -> Report:
    figures = {name: summarise(outcomes) for name, outcomes in found.items()}
    tables = [summary_table("Slice", figures)]
    tables += [defect_table(name, own) for name, own in figures.items()]
    return Report("slice", tuple(rows), tuple(tables), settings, figures, found)
