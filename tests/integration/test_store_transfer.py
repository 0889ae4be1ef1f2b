"""Rows that go through a file and back are the same rows, on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import score_rows
from sqlalchemy import select

from sopilot.core.records import Actor
from sopilot.jobs.outbox import enqueue_event
from sopilot.store.audit import Action, breaks, record, rows_from
from sopilot.store.engine import Database, open_database
from sopilot.store.tables import metadata, outbox, scores
from sopilot.store.transfer import copy_rows, delete_rows, dump_rows, has_rows

BY = Actor("token:api", "admin")


def _rows(database: Database) -> dict[str, list[Any]]:
    with database.read() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
            for table in metadata.sorted_tables
        }


def _fill(database: Database) -> None:
    fates = (score_rows.Fate(missing=True, actual_sec=None), score_rows.Fate(actual_sec=0.1 + 0.2))
    made = [
        score_rows.Made(score=None if n % 7 == 0 else n / 3, minute=n, verdict="pass", steps=fates)
        for n in range(1201)
    ]
    with database.write() as connection:
        score_rows.store(connection, made)
        enqueue_event(connection, "score.completed", {"名前": "研修\n\u2028", "score": 1e-300})
        connection.execute(outbox.delete())  # its number must not be given again
        record(connection, BY, Action.VIDEO_CHANGED, "video:1", detail={"old": None, "new": 0.1})


def _next_number(database: Database) -> int:
    with database.write() as connection:
        enqueue_event(connection, "score.failed", {})
        number = connection.execute(select(outbox.c.id)).scalar_one()
        connection.execute(outbox.delete())
    return int(number)


def test_every_row_and_counter_goes_and_comes_back(database: Database, tmp_path: Path) -> None:
    _fill(database)
    before = _rows(database)
    with database.snapshot() as connection:
        dump_rows(connection, tmp_path / "dump.db")
    assert [path.name for path in tmp_path.glob("dump.db*")] == ["dump.db"]
    dump = open_database(f"sqlite:///{tmp_path / 'dump.db'}")
    assert _rows(dump) == before
    with database.write() as connection:
        delete_rows(connection)
        assert not has_rows(connection)
        with dump.read() as source:
            copy_rows(source, connection)
    assert _rows(database) == before
    assert (_next_number(dump), _next_number(database)) == (2, 2)
    with database.read() as connection:
        assert list(breaks(rows_from(connection))) == []
        assert connection.execute(select(scores.c.score).where(scores.c.id == 2)).scalar() == 1 / 3
    dump.close()


def test_a_snapshot_sees_one_moment(database: Database) -> None:
    with database.snapshot() as connection:
        assert not has_rows(connection)
        with database.write() as other:
            record(other, BY, Action.VIDEO_CHANGED, "video:1")
        assert not has_rows(connection)
    with database.snapshot() as connection:
        assert has_rows(connection)
