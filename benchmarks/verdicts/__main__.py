"""`python -m benchmarks.verdicts [SUITE ...]`: judge films with known truth, hold the figures
against their floors."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy must not be there before its threads are limited
    from benchmarks.verdicts.report import Report
    from benchmarks.verdicts.session import Session

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks/results/verdicts.json"
SUITES = {
    "generated": "generated:run",
    "handwash": "handwash:run",
    "maintenance": "maintenance:run",
    "harmless": "copies:run_harmless",
    "hopeless": "copies:run_hopeless",
    "coverage": "coverage:run",
    "cost": "cost:run",
    "unusual": "unusual:run",
    "recordings": "recordings:run",
    "ablation": "ablation:run",
    "slice": "slice:run",
}
USUAL = tuple(name for name in SUITES if name != "slice")


def main() -> int:
    """Exit code 0; with --check 3 when a figure misses its floor."""
    arguments = _arguments()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    from benchmarks.verdicts.films import workers
    from benchmarks.verdicts.record import write
    from benchmarks.verdicts.session import DEV_TASKS, TEST_TASKS, Options, Session

    options = Options(
        work=arguments.work,
        data=arguments.data,
        tasks=tuple(arguments.tasks or (*DEV_TASKS, *TEST_TASKS)),
        good_count=arguments.good,
        each_count=arguments.each,
        sample=arguments.sample,
        seed=arguments.seed,
    )
    reports = []
    with workers(arguments.workers) as pool:
        session = Session(options, pool)
        for name in arguments.suites or USUAL:
            reports.append(_run(name, session, arguments.films))
            if arguments.write:  # after every suite: a long run may be cut short
                write(RESULT, reports)
    return 3 if _count_misses(reports) and arguments.check else 0


def _run(name: str, session: Session, with_films: bool) -> Report:
    from benchmarks.verdicts.report import films_table, rows_table

    module, _, function = SUITES[name].partition(":")
    work = getattr(importlib.import_module(f"benchmarks.verdicts.{module}"), function)
    report: Report = work(session)
    for table in report.tables:
        print(f"\n{table}")
    for variant, films in report.films.items() if with_films else ():
        print(f"\n{films_table(variant, films)}")
    print(f"\n{rows_table(name, report.rows)}", flush=True)
    return report


def _count_misses(reports: list[Report]) -> int:
    verdicts = [row.verdict for report in reports for row in report.rows]
    missed, left_out = verdicts.count("MISS"), verdicts.count("not run")
    held = verdicts.count("ok")
    print(f"\n{held} floors held, {missed} missed, {left_out} not run")
    return missed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    # Python 3.11 holds the empty list of `nargs="*"` against choices, so they are checked by hand.
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--tasks", type=int, nargs="+", help="generated tasks (see session.py)")
    parser.add_argument("--good", type=int, default=14, help="good films per task (14)")
    parser.add_argument("--each", type=int, default=3, help="films per defect and task (3)")
    parser.add_argument("--sample", type=int, help="hand-wash films per pair (all, about 70)")
    parser.add_argument("--seed", type=int, default=0, help="of the hand-wash composer (0)")
    parser.add_argument("--work", type=Path, default=ROOT / "build/benchmarks", help="films")
    parser.add_argument("--data", type=Path, default=_data(), help="footage (SOPILOT_TEST_DATA)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--films", action="store_true", help="print every film")
    parser.add_argument("--write", action="store_true", help=f"JSON: {RESULT.relative_to(ROOT)}")
    parser.add_argument("--check", action="store_true", help="exit 3 when a floor is missed")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.suites if name not in SUITES]
    if unknown:
        parser.error(f"no suite {', '.join(unknown)}; choose from {', '.join(SUITES)}")
    return arguments


def _data() -> Path:
    return Path(os.environ.get("SOPILOT_TEST_DATA", ROOT.parent / "shared/data"))


if __name__ == "__main__":
    sys.exit(main())
