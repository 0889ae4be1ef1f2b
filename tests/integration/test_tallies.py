"""Tallies: what is counted is read back, folded or not, whoever writes."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from sopilot.store import tallies
from sopilot.store.engine import Database
from sopilot.store.tables import tallies as rows
from sopilot.store.tallies import BOUNDS_SEC, Tally, count, fold, observe, read_tallies


def test_an_occurrence_falls_below_every_bound_that_it_does_not_exceed(
    database: Database,
) -> None:
    with database.write() as connection:
        for seconds in (0.1, 0.11, 601.0, -1.0):
            observe(connection, Tally.JOB_SECONDS, "work", seconds)
    with database.read() as connection:
        found = read_tallies(connection)[Tally.JOB_SECONDS]["work"]
    assert found.below(BOUNDS_SEC[Tally.JOB_SECONDS]) == [2] + [3] * 9
    assert (found.count, found.total_sec) == (4, pytest.approx(601.21))


def test_what_was_rolled_back_is_not_counted(database: Database) -> None:
    def fail_after_counting() -> None:
        with database.write() as connection:
            count(connection, Tally.EMBEDDER, "request")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_counting()
    with database.read() as connection:
        assert read_tallies(connection)[Tally.EMBEDDER] == {}


def test_folding_changes_no_figure(database: Database) -> None:
    with database.write() as connection:
        for number in range(40):
            observe(connection, Tally.FEATURE_SECONDS, f"b{number % 2}", number / 10)
            count(connection, Tally.EMBEDDER, "request")
        before = read_tallies(connection)
        fold(connection)
        after = read_tallies(connection)
        left = connection.execute(select(func.count()).select_from(rows)).scalar_one()
    assert after.keys() == before.keys()
    for tally, labels in before.items():
        for label, figures in labels.items():
            assert after[tally][label].by_bound == figures.by_bound
            assert after[tally][label].total_sec == pytest.approx(figures.total_sec)
    assert left < 20


def test_writers_fold_by_themselves_and_lose_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "FOLD_EVERY", 7)

    def write() -> None:
        for _ in range(25):
            with database.write() as connection:
                count(connection, Tally.JOBS, "work queued")

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with database.read() as connection:
        found = read_tallies(connection)[Tally.JOBS]["work queued"]
        left = connection.execute(select(func.count()).select_from(rows)).scalar_one()
    assert found.count == 100
    assert left <= 8
