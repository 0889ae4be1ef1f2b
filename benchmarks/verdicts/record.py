"""The machine-readable result: one JSON file, of which a partial run renews its own suites only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.verdicts.report import Report, Row
from sopilot.core.rates import Rate, Share
from sopilot.evaluation.figures import DefectFigures, Figures, Outcome
from sopilot.sop.compare import ALGORITHM

FILM_COLUMNS = ("name", "defect", "score", "decision", "basis", "found", "named", "interval")
_LINE = "@line:"
MOST_EXECUTIONS = 12
"""More of them are not told one by one."""


def write(target: Path, reports: list[Report]) -> None:
    """Keep the reports' suites in the file, the others as they are."""
    kept = json.loads(target.read_text()) if target.exists() else {"suites": {}}
    kept["film_columns"] = list(FILM_COLUMNS)
    kept["suites"] |= {report.suite: suite_record(report) for report in reports}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_text(kept), encoding="utf-8")


def suite_record(report: Report) -> dict[str, Any]:
    """A report as JSON-ready record. Counts are [hits, total, low, high], exact 95 % bounds."""
    return {
        "algorithm": ALGORITHM,
        "machine": machine(),
        "settings": dict(report.settings),
        "rows": [_row(row) for row in report.rows],
        "figures": {name: _figures(figures) for name, figures in report.figures.items()},
        "tables": [{"title": t.title, "lines": [list(line) for line in t.lines]}
                   for t in report.tables] if not report.figures else [],
        "films": {
            name: [film_record(outcome) for outcome in films]
            for name, films in report.films.items()
        },
    }  # fmt: skip


def film_record(outcome: Outcome) -> list[Any]:
    """A film in FILM_COLUMNS; found: type:step[/other][?], ? = for review."""
    return [
        outcome.name,
        outcome.defect,
        outcome.score,
        outcome.decision,
        outcome.basis,
        " ".join(
            f"{f.type}:{'-' if f.step_index is None else f.step_index}"
            + ("" if f.other_step_index is None else f"/{f.other_step_index}")
            + ("?" if f.certainty == "review" else "")
            for f in outcome.found
        ),
        "".join("n" if m.named else "p" if m.placed else "-" for m in outcome.matches),
        None if outcome.interval is None else list(outcome.interval),
    ]


def _row(row: Row) -> dict[str, Any]:
    measured = row.measured
    return {
        "name": row.name,
        "value": row.value,
        "floor": None if row.floor is None else row.floor.limit,
        "at_least": None if row.floor is None else row.floor.at_least,
        "verdict": row.verdict,
        **({"count": _rate(measured)} if isinstance(measured, Share | Rate) else {}),
        **({"reason": row.reason} if row.reason else {}),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "good": figures.good_count,
        "defective": figures.defective_count,
        "auc": figures.auc,
        "group_auc": dict(figures.group_auc),
        "balanced_accuracy": figures.balanced_accuracy,
        "alarm": _rate(figures.alarm),
        "critical": _rate(figures.critical),
        "not_passed": _rate(figures.not_passed),
        "defective_passed": _rate(figures.defective_passed),
        "median_good_score": figures.median_good_score,
        "median_defective_score": figures.median_defective_score,
        "by_defect": {kind: _defect(row) for kind, row in figures.by_defect.items()},
    }


def _defect(row: DefectFigures) -> dict[str, Any]:
    return {
        "films": row.films,
        "noticed": _rate(row.noticed),
        "placed": _rate(row.placed),
        "named": _rate(row.named),
        "passed": _rate(row.passed),
        "median_score": row.median_score,
        "auc": row.auc,
    }


def _rate(measured: Share | Rate) -> Any:
    """Counts over films; over executions as well where an execution has several films."""
    if isinstance(measured, Share):
        return [measured.hits, measured.total, *(round(b, 4) for b in measured.interval)]
    if measured.units.total == measured.films.total or measured.units.total > MOST_EXECUTIONS:
        return _rate(measured.films)
    return {
        "films": _rate(measured.films),
        "executions": _rate(measured.units),
        "execution_mean": measured.unit_mean,
        "by_execution": {unit: [s.hits, s.total] for unit, s in measured.by_unit.items()},
    }


def _text(record: Mapping[str, Any]) -> str:
    """Indented JSON with every film and every count on one line."""
    lines = json.dumps(_shortened(record), indent=1, ensure_ascii=False).splitlines()
    return "\n".join(_unfolded(lines)) + "\n"


def _shortened(value: Any) -> Any:
    """The value with the lists of one line as marked strings of JSON."""
    if isinstance(value, Mapping):
        return {name: _shortened(item) for name, item in value.items()}
    if not isinstance(value, list):
        return value
    if value and not any(isinstance(item, dict | list) for item in (value[0], *value[:-1])):
        return _LINE + json.dumps(value, ensure_ascii=False)
    return [_shortened(item) for item in value]


def _unfolded(lines: list[str]) -> Iterator[str]:
    for line in lines:
        head, mark, rest = line.partition(f'"{_LINE}')
        if not mark:
            yield line
            continue
        tail = "," if rest.endswith(",") else ""
        yield head + json.loads(f'"{rest.removesuffix(tail)}') + tail
