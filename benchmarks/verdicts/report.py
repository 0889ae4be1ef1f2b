"""What a suite found, as printed tables and as rows that are held against their floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.verdicts.floors import FLOORS, Floor
from sopilot.core.rates import Rate, Share
from sopilot.evaluation.figures import Figures, Outcome

Verdict = Literal["ok", "MISS", "info", "not run"]
Measured = float | Share | Rate | None

_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, beside its floor if it has one. reason: why it was not measured."""

    name: str
    measured: Measured
    floor: Floor | None = None
    reason: str = ""

    @property
    def value(self) -> float | None:
        """The figure that is judged."""
        return self.measured.ratio if isinstance(self.measured, Share | Rate) else self.measured

    @property
    def verdict(self) -> Verdict:
        """How the value stands to its floor."""
        if self.value is None:
            return "not run"
        if self.floor is None:
            return "info"
        return "ok" if self.floor.is_held(self.value, _SLACK) else "MISS"


@dataclass(frozen=True, slots=True)
class Table:
    """Text cells; the first line is the head."""

    title: str
    lines: tuple[tuple[str, ...], ...]
    last_is_text: bool = False

    def __str__(self) -> str:
        widths = [max(len(line[k]) for line in self.lines) for k in range(len(self.lines[0]))]
        text = [
            "  ".join(
                cell.ljust(width) if k in self._left else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in self.lines
        ]
        return "\n".join((self.title, *(f"  {line}" for line in text)))

    @property
    def _left(self) -> tuple[int, ...]:
        return (0, len(self.lines[0]) - 1) if self.last_is_text else (0,)


@dataclass(frozen=True, slots=True)
class Report:
    """A suite's result. settings, figures: JSON-ready. films: outcomes by variant."""

    suite: str
    rows: tuple[Row, ...]
    tables: tuple[Table, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Figures] = field(default_factory=dict)
    films: Mapping[str, Sequence[Outcome]] = field(default_factory=dict)


def floor_row(key: str, measured: Measured, prefix: str = "") -> Row:
    """A row with the floor of that key; measured None = there was nothing to measure."""
    floor = FLOORS[key]
    name = f"{prefix}{floor.text}"
    return Row(name, measured, floor, "" if measured is not None else "no such films")


def not_run(suite: str, reason: str) -> Report:
    """The report of a suite that could not run: its floors, unmeasured."""
    rows = [Row(f.text, None, f, reason) for key, f in FLOORS.items() if key.startswith(suite)]
    return Report(suite, tuple(rows) or (Row(suite, None, None, reason),))


def summary_table(title: str, figures: Mapping[str, Figures]) -> Table:
    """One line per variant: how well good and defective films are told apart."""
    head = ("", "good", "bad", "AUC", "group mean", "balanced", "alarm", "per execution",
            "critical", "not passed", "bad passed", "medians")  # fmt: skip
    lines = [
        (
            name,
            str(f.good_count),
            str(f.defective_count),
            number(f.auc),
            number(f.mean_group_auc),
            number(f.balanced_accuracy),
            rate_text(f.alarm),
            units_text(f.alarm),
            rate_text(f.critical),
            rate_text(f.not_passed),
            rate_text(f.defective_passed),
            f"{number(f.median_good_score, 1)} / {number(f.median_defective_score, 1)}",
        )
        for name, f in figures.items()
    ]
    return Table(title, (head, *lines))


def verdict_table(title: str, outcomes: Sequence[tuple[str, Outcome]]) -> Table:
    """One line per film: what it is called, and what was said of it."""
    lines = [
        (
            name,
            number(o.score, 1),
            o.decision,
            o.basis,
            ", ".join(f"{f.type}:{f.step_index}" for f in o.found),
        )
        for name, o in outcomes
    ]
    head = ("", "score", "decision", "basis", "found")
    return Table(title, (head, *lines), last_is_text=True)


def defect_table(title: str, figures: Figures) -> Table:
    """One line per kind of defect."""
    head = ("", "films", "noticed", "per execution", "placed", "named", "passed", "median", "AUC")
    lines = [
        (
            kind,
            str(row.films),
            rate_text(row.noticed),
            units_text(row.noticed),
            rate_text(row.placed),
            rate_text(row.named),
            rate_text(row.passed),
            number(row.median_score, 1),
            number(row.auc),
        )
        for kind, row in figures.by_defect.items()
    ]
    return Table(title, (head, *lines))


def rows_table(title: str, rows: Sequence[Row]) -> Table:
    """The judged figures with their floors and exact intervals."""
    lines = [
        (
            row.name,
            row.verdict if row.verdict != "info" else "",
            number(row.value),
            "" if row.floor is None else str(row.floor),
            f"not run: {row.reason}" if row.value is None else detail(row.measured),
        )
        for row in rows
    ]
    return Table(title, (("", "", "value", "floor", ""), *lines), last_is_text=True)


def films_table(title: str, films: Sequence[Outcome]) -> Table:
    """One line per film with what was found."""
    lines = [
        (
            o.name,
            number(o.score, 1),
            o.decision,
            ", ".join(f"{f.type}:{f.step_index}" for f in o.found) or "-",
        )
        for o in films
    ]
    return Table(title, (("", "score", "decision", "found"), *lines), last_is_text=True)


def detail(measured: Measured) -> str:
    """The counts behind a figure: of films with their exact interval, and of executions."""
    if isinstance(measured, Share):
        low, high = measured.interval
        return f"{measured.hits}/{measured.total}, 95 % {low:.2f}-{high:.2f}"
    if isinstance(measured, Rate):
        units = units_text(measured)
        return detail(measured.films) + (f"; executions {units}" if units else "")
    return ""


def number(value: float | None, digits: int = 3) -> str:
    """A figure as text; - where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def rate_text(measured: Rate) -> str:
    """Count over films, e.g. 3/48."""
    return f"{measured.films.hits}/{measured.films.total}" if measured.films.total else "-"


def units_text(measured: Rate) -> str:
    """Executions touched and the mean of their rates, where an execution has several films."""
    if measured.units.total in (0, measured.films.total):
        return ""
    low, high = measured.units.interval
    return (
        f"{measured.units.hits}/{measured.units.total} ({low:.2f}-{high:.2f}), "
        f"mean {number(measured.unit_mean, 2)}"
    )
