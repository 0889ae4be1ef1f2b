"""Rows that go through a file and back are the same rows, on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import score_rows
from sqlalchemy import select
from typer.testing import CliRunner

from sopilot.cli.app import app
from sopilot.core.errors import InputError
from sopilot.core.records import Actor
from sopilot.jobs.outbox import enqueue_event
from sopilot.store import moving, transfer
from sopilot.store import rows as store_rows
from sopilot.store.audit import Action, breaks, record, rows_from
from sopilot.store.engine import Database, open_database
from sopilot.store.moving import move
from sopilot.store.tables import metadata, outbox, score_reviews, scores
from sopilot.store.transfer import copy_rows, delete_rows, dump_rows, has_rows

BY = Actor("token:api", "admin")
ROWS = 261
"""More than fit into two pieces, as pieces are here."""


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((store_rows, "PIECE"), (transfer, "_PIECE")):
        monkeypatch.setattr(module, name, 100)


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
        for n in range(ROWS)
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


def test_an_installation_moves_to_the_other_database_and_back(
    database: Database, other: Database, tmp_path: Path
) -> None:
    _fill(database)
    before = _rows(database)
    counted = move(database, other, is_dry=True)
    assert {item.table: item.copied for item in counted}["scores"] == ROWS
    with other.read() as connection:
        assert not has_rows(connection)
    moved = move(database, other)
    assert all(item.is_same for item in moved)
    assert _rows(other) == before
    again = move(database, other)
    assert sum(item.copied + item.changed for item in again) == 0
    assert _next_number(other) == 2
    # What changed here is written, what was lost there comes back, what is only there is told.
    with database.write() as connection:
        connection.execute(scores.update().where(scores.c.id == 5).values(score=12.5))
    with other.write() as connection:
        connection.execute(score_reviews.delete().where(score_reviews.c.score_id == 9))
        enqueue_event(connection, "score.failed", {})
    told = {item.table: item for item in move(database, other)}
    assert (told["scores"].changed, told["score_reviews"].copied) == (1, 1)
    assert (told["outbox"].extra, told["outbox"].is_same) == (1, False)
    assert told["scores"].is_same
    back = open_database(f"sqlite:///{tmp_path / 'back.db'}")
    move(database, back)
    assert _rows(back) == _rows(database)
    back.close()


def test_a_move_that_was_stopped_goes_on(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(database)
    count = 0
    known = moving.rows_of

    def stopping(*given: Any) -> Any:
        nonlocal count
        count += 1
        if count == 6:
            raise KeyboardInterrupt
        return known(*given)

    monkeypatch.setattr(moving, "rows_of", stopping)
    with pytest.raises(KeyboardInterrupt):
        move(database, other)
    count = 7
    rest = move(database, other)
    assert 0 < sum(item.copied for item in rest) < sum(item.rows for item in rest)
    assert _rows(other) == _rows(database)


def test_the_command_moves_and_proves(database: Database, other: Database) -> None:
    with database.write() as connection:
        record(connection, BY, Action.VIDEO_CHANGED, "video:1", detail={"new": 0.1})
    run = CliRunner()
    given = ["db", "migrate", "--from", database.url, "--to", other.url]
    assert "audit_log: 1 rows, 1 copied" in run.invoke(app, given).output
    with other.write() as connection:
        record(connection, BY, Action.VIDEO_CHANGED, "video:2", detail={"new": 0.1})
    again = run.invoke(app, given)
    assert again.exit_code == 3
    assert "1 more there; DIFFERENT" in again.output
    same = run.invoke(app, ["db", "migrate", "--from", database.url, "--to", database.url])
    assert isinstance(same.exception, InputError)
