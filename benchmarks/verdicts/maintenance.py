"""Suite `maintenance`: the gold of the filter-swap animation and its five faulty variants.

The gate of the foundation as a benchmark row: the same demands as
`tests/acceptance/test_gate_verdicts.py`, on features instead of through the whole product.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.verdicts.judging import Case, Trial
from benchmarks.verdicts.product import PASS_SCORE
from benchmarks.verdicts.report import Report, Table, floor_row, not_run, number
from benchmarks.verdicts.session import Session
from benchmarks.verdicts.standards import MAINTENANCE_STEPS, given_file, maintenance_gold
from sopilot.core.rates import share
from sopilot.evaluation.figures import Outcome

OWN_SCORE, SLOW_SCORE = 99.5, 95.0


@dataclass(frozen=True, slots=True)
class Demand:
    """What a variant must show: this deviation, and no pass (or at most a score)."""

    type: str
    step_index: int
    may_pass: bool = False


DEMANDS = {
    "missing": Demand("missing_step", 1),
    "swap": Demand("order_swap", 1),
    "deviation": Demand("step_deviation", 2),
    "time_over": Demand("over_time", 1, may_pass=True),
    "mixed": Demand("order_swap", 1),
}


def run(session: Session) -> Report:
    """Gold and variants, with the steps marked and proposed."""
    listed = cases(session)
    if not listed:
        return not_run("maintenance", f"no footage in {session.options.data / 'maintenance'}")
    films = {name: session.judge([case]) for name, case in listed.items()}
    rows = [
        floor_row(f"maintenance.{name}", share(is_right(o) for o in outcomes))
        for name, outcomes in films.items()
    ]
    lines = [
        (f"{o.name}, steps {name}", "ok" if is_right(o) else "MISS", number(o.score, 1),
         o.decision, ", ".join(f"{f.type}:{f.step_index}" for f in o.found))
        for name, outcomes in films.items()
        for o in outcomes
    ]  # fmt: skip
    table = Table("Maintenance", (("", "", "score", "decision", "found"), *lines), True)
    return Report("maintenance", tuple(rows), (table,), films=films)


def cases(session: Session) -> dict[str, Case]:
    """Gold and variants as prepared cases, steps marked and proposed; empty without the footage."""
    gold = maintenance_gold(session)
    if gold is None:
        return {}
    folder = session.options.data / "maintenance"
    listed = {name: given_file(session, folder / f"{name}.mp4") for name in ("gold", *DEMANDS)}
    session.prepare([gold.footage, *listed.values()])
    return {
        name: Case(
            group=name,
            golds=(gold.footage.path,),
            steps=steps,
            true_spans=tuple(s.span for s in MAINTENANCE_STEPS if s.span is not None),
            trials=tuple(
                Trial(kind, kind, None if kind == "gold" else kind, footage.path)
                for kind, footage in listed.items()
            ),
        )
        for name, steps in (("marked", MAINTENANCE_STEPS), ("proposed", None))
    }


def is_right(outcome: Outcome) -> bool:
    """Whether a film of this suite is judged as its name demands."""
    if outcome.defect is None:
        return outcome.is_passed and outcome.score >= OWN_SCORE and not outcome.found
    demand = DEMANDS[outcome.defect]
    if (demand.type, demand.step_index) not in {(f.type, f.step_index) for f in outcome.found}:
        return False
    if demand.may_pass:
        return outcome.score <= SLOW_SCORE
    return not outcome.is_passed and outcome.score < PASS_SCORE
