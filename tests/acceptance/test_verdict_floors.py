"""The slice of the verdicts benchmark that every change must hold (benchmarks/README.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
from footage import DATA, need_footage

from benchmarks.verdicts import slice as part
from benchmarks.verdicts.report import Report, rows_table
from benchmarks.verdicts.session import Options, Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Options(work=tmp_path, data=DATA))


def _hold(report: Report) -> None:
    verdicts = [row.verdict for row in report.rows]
    assert verdicts
    assert set(verdicts) <= {"ok", "info"}, f"\n{rows_table(report.suite, report.rows)}"


def test_generated_procedures_hold_their_floors(session: Session) -> None:
    _hold(part.run_generated(session))


def test_hand_washing_holds_its_floors(session: Session) -> None:
    need_footage(DATA / "handwash")
    _hold(part.run_handwash(session))
