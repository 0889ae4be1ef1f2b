"""The scorer on real footage: `python -m benchmarks.verdicts.handwash [--sample 18]`.

Hand-wash procedures composed from step clips (SOPILOT_TEST_DATA, default ../shared/data), one gold
with marked steps, the six pairs without shared footage (docs/scoring.md 7). Prints the figures
of docs/scoring.md 7 with its DEV gates; --write keeps them as JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.verdicts.compose import (
    LEAST_STEPS,
    Cut,
    Library,
    common_steps,
    encode,
    gold_cut,
    marked_steps,
    read_library,
    suite,
)
from benchmarks.verdicts.judging import RESULTS, ROOT, Footage, Gate, Trial, judge, prepare, report
from sopilot.core.records import Role
from sopilot.evaluation.figures import Figures, Outcome
from sopilot.evaluation.rates import share

EXECUTIONS = ("002", "003", "004", "005")
BELOW = ("freeze", "cut_tail", "skip_start", "reversed", "shuffled", "static", "noise")
SINGLE = ("missing", "swap_near", "swap_far", "wrong", "repeat", "over_time", "freeze")


@dataclass(frozen=True, slots=True)
class Pair:
    """A gold execution, a trainee execution, and the cuts to score."""

    gold: Cut
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class Composing:
    """Writes one cut; picklable."""

    cut: Cut
    library: Library

    def __call__(self, path: Path) -> None:
        encode(self.cut, self.library, path)


def pairs(library: Library, folder: Path, sample: int | None, seed: int) -> list[Pair]:
    """The clean pairs (docs/scoring.md 7, one gold), each with its whole or sampled suite."""
    found = []
    for gold, trainee in permutations(EXECUTIONS, 2):
        steps = common_steps(library, folder, gold, trainee)
        if len(steps) < LEAST_STEPS:
            continue
        cuts = suite(library, trainee, steps, seed)
        kept = cuts if sample is None else sampled(cuts, sample, [seed, int(gold), int(trainee)])
        found.append(Pair(gold_cut(library, gold, steps), tuple(kept)))
    return found


def sampled(cuts: Sequence[Cut], count: int, seed: Sequence[int]) -> list[Cut]:
    """A seeded part: a third good ones, then one of every defect in turn, in a drawn order."""
    rng = np.random.default_rng(seed)
    kinds: dict[str | None, list[Cut]] = {}
    for k in rng.permutation(len(cuts)):
        kinds.setdefault(cuts[int(k)].defect, []).append(cuts[int(k)])
    good = kinds.pop(None)
    kept = good[: max(2, count // 3)]
    names = list(kinds)  # in the order in which the permutation met them
    turn = 0
    while len(kept) < min(count, len(cuts)) and any(kinds.values()):
        if kinds[names[turn % len(names)]]:
            kept.append(kinds[names[turn % len(names)]].pop())
        turn += 1
    return kept


def gates(figures: Figures, outcomes: Sequence[Outcome]) -> list[Gate]:
    """The DEV column of docs/scoring.md 7; "named" there is `placed` here (see truth.Match)."""
    rows = figures.by_defect
    scores = [o.score for o in outcomes if o.defect in SINGLE]
    below = share(o.score < 60 for o in outcomes if o.defect in BELOW)

    def noticed(kind: str) -> float | None:
        return rows[kind].noticed.ratio if kind in rows else None

    def placed(kind: str) -> float | None:
        return rows[kind].placed.ratio if kind in rows else None

    return [
        Gate("AUC good against defective", figures.auc, 0.93),
        Gate("good with any finding", figures.alarm.ratio, 0.12, at_least=False),
        Gate("good with a critical finding", figures.critical_alarm.ratio, 0.10, at_least=False),
        Gate("missing step noticed", noticed("missing"), 0.83),
        Gate("missing step placed", placed("missing"), 0.70),
        Gate("neighbours' swap noticed", noticed("swap_near"), 0.97),
        Gate("neighbours' swap placed", placed("swap_near"), 0.88),
        Gate("wrong action noticed", noticed("wrong"), 0.65),
        Gate("repeat noticed", noticed("repeat"), 0.80),
        Gate("over-time noticed", noticed("over_time"), 0.80),
        Gate("freeze, cut, skip, broken below 60", below.ratio, 1.0),
        Gate("median of the good", figures.median_good_score, 90.0),
        Gate("median of single defects", median(scores) if scores else None, 60.0, at_least=False),
    ]


def main() -> int:
    """0; 2 without footage; 3 when a gate is missed and --check was given."""
    arguments = _arguments()
    root = Path(os.environ.get("SOPILOT_TEST_DATA", ROOT.parent / "shared/data"))
    folder = root / "handwash"
    if not folder.is_dir():
        print(f"not run: no footage in {folder}; set SOPILOT_TEST_DATA", file=sys.stderr)
        return 2
    library = read_library(folder)
    listed = pairs(library, folder, arguments.sample, arguments.seed)
    footage = [
        Footage(_path(arguments.work, cut), role, Composing(cut, library))
        for pair in listed
        for role, cuts in ((Role.GOLD, (pair.gold,)), (Role.TRAINEE, pair.cuts))
        for cut in cuts
    ]
    prepare(footage, arguments.workers)
    outcomes: list[Outcome] = []
    for pair in listed:
        trials = [
            Trial(
                f"{pair.gold.execution}<{cut.name}",
                cut.defect,
                _path(arguments.work, cut),
                cut.truth,
            )
            for cut in pair.cuts
        ]
        outcomes += judge(_path(arguments.work, pair.gold), marked_steps(pair.gold), trials)
    settings = {"seed": arguments.seed, "sample_per_pair": arguments.sample, "pairs": len(listed)}
    target = RESULTS / "handwash.json" if arguments.write else None
    title = "Hand washing, 1 gold, marked steps, clean pairs"
    held = report(title, outcomes, gates, settings, target, arguments.films)
    return 3 if arguments.check and not held else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts.handwash", description=__doc__
    )
    parser.add_argument("--sample", type=int, help="films per pair; default: all, about 70")
    parser.add_argument("--seed", type=int, default=0, help="of composition and sample (0)")
    parser.add_argument("--work", type=Path, default=ROOT / "build/benchmarks/handwash")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--films", action="store_true", help="print every film")
    parser.add_argument("--write", action="store_true", help="JSON under benchmarks/results/")
    parser.add_argument("--check", action="store_true", help="exit 3 when a gate is missed")
    return parser.parse_args()


def _path(work: Path, cut: Cut) -> Path:
    """Named by content: another composition is another file."""
    content = hashlib.sha256(repr((cut.units, cut.look, cut.execution)).encode()).hexdigest()[:10]
    return work / f"{cut.name[:24]}-{content}.mp4"


if __name__ == "__main__":
    sys.exit(main())
