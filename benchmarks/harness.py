"""How every benchmark measures and reports: CPU time, interleaved with its peer, median, verdict.

CPU time is user + system of this process and of the children it waited for; wall time is recorded
but never judged, because the machine may be shared. Called by the modules of this folder.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

Work = Callable[[], object]
Verdict = Literal["ok", "MISS", "info", "not run"]

_PACKAGES = ("av", "numpy", "opencv-python-headless", "fastapi", "sqlalchemy", "uvicorn")


@dataclass(frozen=True, slots=True)
class Options:
    """What a run was asked for. folder: where generated inputs are kept between runs."""

    rounds: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Sample:
    """Cost of one call."""

    cpu_sec: float
    wall_sec: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    value: the judged figure in `unit` ("x" = ours / peer); low, high: its extremes over the
    rounds. ours, against: medians in `basis` ("CPU s", "MB" ...). target: largest value that is
    still good, None = printed for information. reason: why it did not run.
    """

    group: str
    name: str
    peer: str
    unit: str = "x"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    ours: float | None = None
    against: float | None = None
    basis: str = "CPU s"
    target: float | None = None
    rounds: int = 0
    note: str = ""
    reason: str | None = None

    @property
    def verdict(self) -> Verdict:
        """How the value stands to its target."""
        if self.value is None:
            return "not run"
        if self.target is None:
            return "info"
        return "ok" if self.value <= self.target else "MISS"


def cpu_sec() -> float:
    """User + system seconds of this process and of all children it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def process_cpu_sec(pid: int) -> float:
    """User + system seconds of another running process, all its threads, without its children.

    Source: Linux process CPU clocks, clock_getcpuclockid(3): the clock id is (~pid << 3) | 2.
    """
    return time.clock_gettime((~pid << 3) | 2)


def measure(work: Work) -> Sample:
    """Cost of one call of work."""
    wall, cpu = time.perf_counter(), cpu_sec()
    work()
    return Sample(cpu_sec() - cpu, time.perf_counter() - wall)


def interleave(works: Sequence[Work], rounds: int, repeat: int = 1) -> list[list[Sample]]:
    """Samples of every work, A B C, B C A, C A B ...: a drift of the machine hits all alike.

    repeat: calls per sample, for work that is shorter than the clock can tell; a sample is then
    the mean cost of one call. Every work runs once beforehand, unmeasured.
    """
    for work in works:
        work()
    taken: list[list[Sample]] = [[] for _ in works]
    for index in range(rounds):
        for offset in range(len(works)):
            side = (index + offset) % len(works)
            total = measure(_many(works[side], repeat))
            taken[side].append(Sample(total.cpu_sec / repeat, total.wall_sec / repeat))
    return taken


def compare(row: Row, ours: Work, peer: Work, rounds: int, repeat: int = 1) -> Row:
    """The row with the median ratio of CPU times of paired rounds."""
    return against(row, *interleave([ours, peer], rounds, repeat))


def against(row: Row, ours: Sequence[Sample], peer: Sequence[Sample]) -> Row:
    """The row with the median ratio of the CPU times of two interleaved works."""
    return paired(row, [one.cpu_sec for one in ours], [one.cpu_sec for one in peer])


def paired(row: Row, ours: Sequence[float], peer: Sequence[float]) -> Row:
    """The row with the median of ours[i] / peer[i], both in the row's basis."""
    ratios = [a / max(b, 1e-9) for a, b in zip(ours, peer, strict=True)]
    medians = {"ours": statistics.median(ours), "against": statistics.median(peer)}
    return _filled(row, ratios, unit="x", **medians)


def absolute(row: Row, values: Sequence[float], unit: str) -> Row:
    """The row with the median of plain figures in `unit`."""
    return _filled(row, values, unit=unit, basis="")


def not_run(row: Row, reason: str) -> Row:
    """The row of a benchmark whose peer or part is not there."""
    return Row(**{**asdict(row), "reason": reason})


@contextmanager
def one_core() -> Iterator[None]:
    """Pin this process, and children started inside, to one of the cores it may use."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def table(rows: Sequence[Row]) -> str:
    """The printed result, one line per row, misses marked."""
    head = ("", "benchmark", "against", "value", "spread", "target", "ours / against")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = []
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        text.append("  ".join(cells).rstrip())
    text.insert(1, "-" * max(len(line) for line in text))
    return "\n".join(text)


def as_record(rows: Sequence[Row]) -> dict[str, Any]:
    """JSON-ready result: machine, versions, and every row with its verdict."""
    return {
        "machine": machine(),
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
    }


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "core_count": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def _many(work: Work, repeat: int) -> Work:
    if repeat == 1:
        return work

    def repeated() -> None:
        for _ in range(repeat):
            work()

    return repeated


def _filled(row: Row, values: Sequence[float], **more: Any) -> Row:
    figures = {
        "value": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "rounds": len(values),
    }
    return Row(**{**asdict(row), **figures, **more})


def _cells(row: Row) -> tuple[str, ...]:
    mark = {"ok": "ok", "MISS": "MISS", "info": "", "not run": "--"}[row.verdict]
    if row.value is None:
        return (mark, row.name, row.peer, f"not run: {row.reason}", "", _goal(row), "")
    spread = f"{_figure(row.low)}-{_figure(row.high)}" if row.rounds > 1 else ""
    sides = ""
    if row.ours is not None and row.against is not None:
        sides = f"{_figure(row.ours)} / {_figure(row.against)} {row.basis}"
    shown = f"{_figure(row.value)} {row.unit}"
    tail = "  ".join(part for part in (sides, row.note) if part)
    return (mark, row.name, row.peer, shown, spread, _goal(row), tail)


def _goal(row: Row) -> str:
    return "" if row.target is None else f"<= {row.target:g}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:#.3g}".rstrip(".")
