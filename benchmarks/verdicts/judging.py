"""Scores films through the product's own pipeline and prints the figures of docs/scoring.md 7.

Shared by `generated` and `handwash`: features by the default embedder (kept per file, embedder and
source code), comparison, score, decision, matching with the truth.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from sopilot.core.config import Settings
from sopilot.core.records import Limits, Role, Step, plain
from sopilot.embed.base import VideoFeatures
from sopilot.embed.open import open_embedder
from sopilot.evaluation.figures import Figures, Outcome, summarise
from sopilot.evaluation.rates import Share
from sopilot.evaluation.truth import TrueEvent, found_of_finding, match
from sopilot.media.decode import run_pass
from sopilot.media.probe import probe
from sopilot.sop.compare import ALGORITHM, compare_with
from sopilot.sop.decision import decide, severity_of
from sopilot.sop.learn import fit
from sopilot.sop.model import TaskModel
from sopilot.sop.profile import Severity, TaskProfile
from sopilot.sop.score import score_comparison

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks/results"
LIMITS = Limits(max_pixels=3840 * 2160, max_duration_sec=3600.0, min_duration_sec=1.0)

_NO_FEATURES = ("isolate.py", "quality.py", "shots.py", "keyframes.py", "chunks.py", "encode.py")


@dataclass(frozen=True, slots=True)
class Footage:
    """A video to be made (when it is not there yet) and read. make writes the file."""

    path: Path
    role: Role
    make: Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trainee film against a task. defect None = good."""

    name: str
    defect: str | None
    path: Path
    truth: tuple[TrueEvent, ...]


@dataclass(frozen=True, slots=True)
class Gate:
    """A figure with its limit. value None: nothing to measure."""

    name: str
    value: float | None
    limit: float
    at_least: bool = True

    @property
    def verdict(self) -> str:
        """ok, MISS or not run."""
        if self.value is None:
            return "not run"
        held = self.value >= self.limit if self.at_least else self.value <= self.limit
        return "ok" if held else "MISS"


def prepare(footage: Sequence[Footage], workers: int) -> None:
    """Make every file and its features that are not there yet, in `workers` processes."""
    # Paths are settled here: sources may change while the workers run.
    jobs = {item.path: (item, _features_path(item.path, item.role)) for item in footage}
    waiting = [job for job in jobs.values() if not job[1].exists()]
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read by the numpy of the spawned workers
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for count, _ in enumerate(pool.map(_prepare, waiting), 1):
            print(f"\r{count}/{len(waiting)} videos read", end="", file=sys.stderr, flush=True)
    if waiting:
        print(file=sys.stderr)


def judge(
    gold: Path, steps: Sequence[Step], trials: Sequence[Trial], profile: TaskProfile | None = None
) -> list[Outcome]:
    """Score every trial against one gold whose steps are marked."""
    model = fit([load(gold, Role.GOLD)], steps)
    rules = profile or TaskProfile("benchmark", "benchmark")
    return [_outcome(model, steps, trial, rules) for trial in trials]


def load(path: Path, role: Role) -> VideoFeatures:
    """The kept features of a prepared file."""
    return VideoFeatures.from_bytes(_features_path(path, role).read_bytes())


def report(
    title: str,
    outcomes: Sequence[Outcome],
    gates: Callable[[Figures, Sequence[Outcome]], Sequence[Gate]],
    settings: Mapping[str, Any],
    target: Path | None,
    with_films: bool = False,
) -> bool:
    """Print the figures, and write the record to `target` if given; True = gates held."""
    figures = summarise(outcomes)
    judged = gates(figures, outcomes)
    print(f"\n{title}: {figures.good_count} good, {figures.defective_count} defective films")
    print(
        f"  AUC {_number(figures.auc)}   median good {_number(figures.median_good_score, 1)}",
        end="",
    )
    print(f"   median defective {_number(figures.median_defective_score, 1)}")
    print(f"  good with any finding       {_share(figures.alarm)}")
    print(f"  good with a critical one    {_share(figures.critical_alarm)}")
    print(f"  good that pass              {_share(figures.good_passed)}")
    print(f"  defective below pass        {_share(figures.defective_below_pass)}")
    print(
        f"  {'defect':14} {'films':>5} {'noticed':>9} {'placed':>9} {'named':>9} {'<60':>9}", end=""
    )
    print(f" {'median':>7} {'AUC':>6}")
    for kind, row in figures.by_defect.items():
        parts = (row.noticed, row.placed, row.named, row.below_pass)
        print(
            f"  {kind:14} {row.films:5} " + " ".join(f"{_count(part):>9}" for part in parts), end=""
        )
        print(f" {row.median_score:7.1f} {_number(row.auc):>6}")
    for gate in judged:
        sign = ">=" if gate.at_least else "<="
        print(f"  {gate.verdict:8} {gate.name:34} {_number(gate.value)} {sign} {gate.limit:g}")
    if with_films:
        for item in outcomes:
            kinds = ", ".join(f"{found.type}:{found.step_index}" for found in item.found) or "-"
            print(f"    {item.name:34} {item.score:6.1f} {item.decision:12} {kinds}")
    if target is not None:
        _write(target, title, figures, judged, settings)
    return all(gate.verdict != "MISS" for gate in judged)


def _outcome(
    model: TaskModel, steps: Sequence[Step], trial: Trial, profile: TaskProfile
) -> Outcome:
    comparison = compare_with(model, load(trial.path, Role.TRAINEE))
    by_index = {step.index: step for step in comparison.steps}
    severities = [severity_of(item, profile, by_index) for item in comparison.findings]
    found = tuple(
        found_of_finding(item, severity.value)
        for item, severity in zip(comparison.findings, severities, strict=True)
    )
    score = score_comparison(comparison, profile.weights).total
    spans = [step.span for step in steps if step.span is not None]
    return Outcome(
        name=trial.name,
        defect=trial.defect,
        score=score,
        decision=decide(score, profile, severities.count(Severity.CRITICAL)).decision,
        found=found,
        matches=match(trial.truth, found, spans),
    )


def _prepare(job: tuple[Footage, Path]) -> None:
    item, target = job
    if not item.path.exists():
        item.path.parent.mkdir(parents=True, exist_ok=True)
        part = item.path.with_suffix(".part.mp4")
        item.make(part)
        part.rename(item.path)
    info = probe(item.path, LIMITS, "0" * 64)
    consumer = open_embedder(Settings()).consumer(info, item.role)
    summary = run_pass(item.path, info, [consumer])
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_bytes(consumer.finish(summary.duration_sec).to_bytes())
    part.rename(target)


def _features_path(path: Path, role: Role) -> Path:
    return (
        path.parent / f"features-{source_key('embed', 'media')}" / f"{path.stem}.{role.value}.npz"
    )


@cache
def source_key(*folders: str) -> str:
    """Fingerprint of the sources under src/sopilot/<folder>: what they made is then made anew."""
    sha = hashlib.sha256()
    for folder in folders:
        for source in sorted((ROOT / "src/sopilot" / folder).glob("*.py")):
            if source.name not in _NO_FEATURES:
                sha.update(source.read_bytes())
    return sha.hexdigest()[:12]


def _write(
    target: Path, title: str, figures: Figures, gates: Sequence[Gate], settings: Mapping[str, Any]
) -> None:
    record = {
        "title": title,
        "algorithm": ALGORITHM,
        "settings": dict(settings),
        "machine": machine(),
        "figures": plain(figures),
        "gates": [{**plain(gate), "verdict": gate.verdict} for gate in gates],
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    print(f"written: {target}", file=sys.stderr)


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _count(part: Share) -> str:
    return f"{part.hits}/{part.total}" if part.total else "-"


def _share(part: Share) -> str:
    low, high = part.interval
    return f"{_number(part.ratio, 2)}  ({_count(part)}, 95 % {low:.2f}-{high:.2f})"
