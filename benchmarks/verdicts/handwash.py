"""Suite `handwash`: procedures composed from real step clips, each film really encoded.

Every execution in turn is the gold of every other, by the clean rule: a step counts only where gold
and trainee share no footage, and a pair needs six such steps. The independent unit is the
trainee's execution: its films are trims of the same clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from pathlib import Path

import numpy as np

from benchmarks.verdicts.compose import (
    LEAST_STEPS,
    RATE_FPS,
    Cut,
    Library,
    clean_steps,
    gold_cut,
    marked_steps,
    read_library,
    shown,
    suite,
)
from benchmarks.verdicts.films import Footage
from benchmarks.verdicts.floors import FLOORS
from benchmarks.verdicts.judging import SCORERS, Case, Trial
from benchmarks.verdicts.report import (
    Measured,
    Report,
    Row,
    defect_table,
    floor_row,
    not_run,
    summary_table,
)
from benchmarks.verdicts.retake import Retake, record
from benchmarks.verdicts.session import Session
from sopilot.core.records import Role
from sopilot.evaluation.figures import Outcome, slow_flagged, stopped, summarise

EXECUTIONS = ("002", "003", "004", "005")
STOPPED = ("freeze", "cut_tail", "skip_start", "reversed", "shuffled", "static", "noise")
AS_FILMED = Retake("as filmed")


@dataclass(frozen=True, slots=True)
class Group:
    """Gold executions and the films of one trainee execution to hold against them."""

    golds: tuple[Cut, ...]
    trainee: str
    cuts: tuple[Cut, ...]

    @property
    def name(self) -> str:
        """Golds < trainee."""
        return f"{'+'.join(gold.execution for gold in self.golds)}<{self.trainee}"


@dataclass(frozen=True, slots=True)
class Composing:
    """Writes one cut; picklable."""

    cut: Cut
    library: Library
    retake: Retake = AS_FILMED

    def __call__(self, path: Path) -> None:
        record(shown(self.cut, self.library), RATE_FPS, path, self.retake)


@dataclass(frozen=True, slots=True)
class Wash:
    """The clips, and where films made of them go."""

    library: Library
    folder: Path
    work: Path
    seed: int
    sample: int | None

    def group(
        self, golds: Sequence[str], trainee: str, steps: Sequence[int], drawn_by: str
    ) -> Group:
        """The suite of a trainee over these steps, whole or sampled.

        drawn_by: the gold execution whose number draws the sample.
        """
        cuts = suite(self.library, trainee, steps, self.seed)
        if self.sample is not None:
            cuts = sampled(cuts, self.sample, [self.seed, int(drawn_by), int(trainee)])
        whole = tuple(gold_cut(self.library, gold, steps) for gold in golds)
        return Group(whole, trainee, tuple(cuts))

    def pairs(self) -> list[Group]:
        """Every execution as gold of every other, where six steps are clean."""
        found = []
        for gold, trainee in permutations(EXECUTIONS, 2):
            steps = clean_steps(self.library, self.folder, [gold], trainee)
            if len(steps) >= LEAST_STEPS:
                found.append(self.group([gold], trainee, steps, gold))
        return found

    def fused(self) -> list[Group]:
        """Per trainee with several clean golds: each subset of them, over the same steps.

        Fused golds must show the same steps, so only those count that are clean for each of them.
        Of the sets that leave six, the largest is taken, then the one with most steps.
        """
        found = []
        for trainee in EXECUTIONS:
            others = [execution for execution in EXECUTIONS if execution != trainee]
            best = self._largest(others, trainee)
            steps = clean_steps(self.library, self.folder, best, trainee) if best else []
            for count in range(1, len(best) + 1 if len(best) > 1 else 1):
                found += [
                    self.group(golds, trainee, steps, best[0])
                    for golds in combinations(best, count)
                ]
        return found

    def _largest(self, others: Sequence[str], trainee: str) -> tuple[str, ...]:
        for count in range(len(others), 0, -1):
            sets = {
                golds: len(clean_steps(self.library, self.folder, golds, trainee))
                for golds in combinations(others, count)
            }
            best = max(sets, key=lambda golds: sets[golds])
            if sets[best] >= LEAST_STEPS:
                return best
        return ()

    def path(self, cut: Cut, retake: Retake = AS_FILMED) -> Path:
        """Named by content: another composition is another file."""
        shows = (cut.units, cut.look, cut.execution)
        text = repr(shows) if retake == AS_FILMED else repr((shows, retake))
        name = cut.name if retake == AS_FILMED else f"{retake.name}-{cut.name}"
        return self.work / f"{name[:24]}-{hashlib.sha256(text.encode()).hexdigest()[:10]}.mp4"

    def footage(self, groups: Sequence[Group]) -> Iterator[Footage]:
        """Everything that these groups show."""
        for group in groups:
            for role, cuts in ((Role.GOLD, group.golds), (Role.TRAINEE, group.cuts)):
                for cut in cuts:
                    yield Footage(self.path(cut), role, Composing(cut, self.library))

    def case(self, group: Group, has_steps: bool) -> Case:
        """A group as a case; the steps lie in the first gold."""
        steps = marked_steps(group.golds[0])
        return Case(
            group=group.name,
            golds=tuple(self.path(gold) for gold in group.golds),
            steps=steps if has_steps else None,
            true_spans=group.golds[0].scenes,
            trials=tuple(
                Trial(f"{group.name}/{cut.name}", group.trainee, cut.defect, self.path(cut),
                      cut.truth)
                for cut in group.cuts
            ),
        )  # fmt: skip


def open_wash(session: Session) -> Wash | None:
    """The clips of a run, None where they are not."""
    options = session.options
    folder = options.data / "handwash"
    if not folder.is_dir():
        return None
    work = options.work / "handwash"
    return Wash(read_library(folder), folder, work, options.seed, options.sample)


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


def run(session: Session) -> Report:
    """The whole suite."""
    wash = open_wash(session)
    if wash is None:
        return not_run("handwash", f"no footage in {session.options.data / 'handwash'}")
    pairs, fused = wash.pairs(), wash.fused()
    session.prepare(list(wash.footage([*pairs, *fused])))
    rows: list[Row] = []
    films: dict[str, list[Outcome]] = {}
    for name, has_steps in (("1 gold, steps", True), ("1 gold, no steps", False)):
        films[name] = session.judge([wash.case(pair, has_steps) for pair in pairs])
        rows += judged(f"handwash.{name}", measured(films[name]))
    for group in fused:
        films[f"fused {group.name}"] = session.judge([wash.case(group, True)])
    rows += _fused_rows(fused, films)
    figures = {name: summarise(outcomes) for name, outcomes in films.items()}
    for scorer in SCORERS[1:]:
        peers = [replace(wash.case(pair, True), scorer=scorer) for pair in pairs]
        figures[scorer] = summarise(session.judge(peers))
    tables = [summary_table("Hand washing", figures)]
    told = [*list(films)[:2], *(f"fused {group.name}" for group in fused[-1:])]
    tables += [defect_table(name, figures[name]) for name in told]
    settings = {
        "seed": wash.seed,
        "sample_per_pair": wash.sample,
        "pairs": [pair.name for pair in pairs],
        "fused": {group.name: len(group.golds[0].scenes) for group in fused},
    }
    return Report("handwash", tuple(rows), tuple(tables), settings, figures, films)


def judged(prefix: str, values: Mapping[str, Measured], label: str = "") -> list[Row]:
    """The floors of one variant with what was measured."""
    found = [key for key in FLOORS if key.startswith(f"{prefix}.")]
    return [floor_row(key, values[key.rpartition(".")[2]], label) for key in found]


def measured(outcomes: Sequence[Outcome]) -> dict[str, Measured]:
    """What the floors speak of, by the last part of their keys."""
    figures = summarise(outcomes)
    values: dict[str, Measured] = {
        "auc": figures.auc,
        "balanced": figures.balanced_accuracy,
        "alarm": figures.alarm,
        "critical": figures.critical,
        "slow": slow_flagged(outcomes, ("over_time",)),
        "stopped": stopped(outcomes, STOPPED),
    }
    for kind in ("missing", "swap_near", "wrong", "repeat", "over_time"):
        row = figures.by_defect.get(kind)
        values[f"{kind}_noticed"] = row.noticed if row else None
        values[f"{kind}_placed"] = row.placed if row else None
    return values


def _fused_rows(groups: Sequence[Group], films: Mapping[str, Sequence[Outcome]]) -> list[Row]:
    """All golds of a trainee together against the best of them alone, on the same films."""
    rows: list[Row] = []
    for trainee in dict.fromkeys(group.trainee for group in groups):
        own = [group for group in groups if group.trainee == trainee]
        singles = [_auc(films, group) for group in own if len(group.golds) == 1]
        together = max(own, key=lambda group: len(group.golds))
        values = measured(films[f"fused {together.name}"])
        values["auc"] = _auc(films, together) - max(singles)
        rows += judged("handwash.fused", values, f"{together.name}: ")
    return rows


def _auc(films: Mapping[str, Sequence[Outcome]], group: Group) -> float:
    value = summarise(films[f"fused {group.name}"]).auc
    if value is None:
        raise ValueError(f"{group.name} has no good or no defective films")
    return value
