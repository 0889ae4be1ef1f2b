"""What goes wrong while a second database follows: it is told, and neither database suffers."""

from __future__ import annotations

import random
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import score_rows
from sqlalchemy import select, text
from test_follow import change, same

from sopilot.core.errors import Conflict, InputError, StoreError
from sopilot.jobs.queries import enqueue
from sopilot.store import bringing, change_log, follow, migrate
from sopilot.store.comparing import compare
from sopilot.store.engine import Database, open_database
from sopilot.store.tables import score_reviews, scores, task_steps, tasks


@pytest.fixture
def filled(database: Database) -> Database:
    """Three scores, two of them reviewed."""
    made = [score_rows.Made(verdict=verdict) for verdict in ("pass", "pass", None)]
    with database.write() as connection:
        score_rows.store(connection, made)
    return database


def caught_up(first: Database, second: Database) -> bool:
    follow.apply(first, second)
    state = follow.state_of(first)
    assert state is not None
    assert state.waiting == 0
    return same(first, second)


# ---- start ------------------------------------------------------------------------------------


def test_a_start_takes_back_nothing_that_is_applied_meanwhile(
    filled: Database, other: Database
) -> None:
    """It copies what the first held when it began; a worker must not come between."""
    follow.start(filled, other)
    done: list[object] = []

    def meanwhile(_: float) -> None:
        if not done:
            with filled.write() as connection:
                connection.execute(scores.update().values(score=2.5))
            done.append(follow.apply(filled, other))

    follow.start(filled, other, meanwhile)
    assert caught_up(filled, other)


def test_of_two_starts_the_later_one_counts(filled: Database, other: Database) -> None:
    follow.start(filled, other)
    done: list[object] = []

    def meanwhile(_: float) -> None:
        if not done:
            done.append(1)
            with filled.write() as connection:
                connection.execute(scores.update().values(score=2.5))
            follow.start(filled, other)
            follow.apply(filled, other)

    with other.write() as connection:
        connection.execute(scores.update().values(score=9.0))
    with pytest.raises(Conflict, match="another"):
        follow.start(filled, other, meanwhile)
    assert caught_up(filled, other)


def test_two_starts_at_the_same_moment(filled: Database, other: Database) -> None:
    def outcome(_: int) -> str:
        try:
            follow.start(filled, other)
        except Conflict:
            return "conflict"
        return "started"

    with ThreadPoolExecutor(2) as pool:
        assert "started" in list(pool.map(outcome, range(2)))
    change(filled, random.Random(3))
    assert caught_up(filled, other)


def test_a_start_beside_somebody_who_writes_for_long_is_told_and_leaves_nothing(
    filled: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_WAIT_SEC", 0.5)
    server = other if filled.is_sqlite else filled
    with server.write() as busy:
        busy.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": follow._APPLY_LOCK})
        with pytest.raises(Conflict, match="somebody else applies changes just now"):
            follow.start(filled, other)
    assert follow.state_of(filled) is None
    follow.start(filled, other)
    assert caught_up(filled, other)


def test_a_start_finds_unique_values_in_rows_that_are_gone(
    filled: Database, other: Database
) -> None:
    follow.start(filled, other)
    with filled.write() as connection:
        row = connection.execute(select(score_reviews)).mappings().first()
        assert row is not None
        connection.execute(score_reviews.delete().where(score_reviews.c.id == row["id"]))
        connection.execute(score_reviews.insert().values({**row, "id": 77}))
        swap_uids(connection)
    follow.start(filled, other)
    assert caught_up(filled, other)


def test_one_database_does_not_follow_itself(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    first = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    second = open_database(f"sqlite:///{tmp_path / 'x' / '..' / 'a.db'}")
    with pytest.raises(InputError, match="the same database"):
        follow.start(first, second)
    assert follow.state_of(first) is None
    first.close()
    second.close()


def test_a_database_that_was_not_filled_is_refused(
    filled: Database, other: Database, tmp_path: Path
) -> None:
    """An empty one at the same address: a file that was moved away, a server set up anew."""
    follow.start(filled, other)
    change(filled, random.Random(1))
    third = open_database(f"sqlite:///{tmp_path / 'third.db'}")
    with pytest.raises(StoreError, match="follow start"):
        follow.apply(filled, third)
    state = follow.state_of(filled)
    assert state is not None
    assert state.waiting > 0
    third.close()
    assert caught_up(filled, other)


def test_both_schemas_stay_those_of_the_tables(filled: Database, other: Database) -> None:
    """But for when a server looks at foreign keys."""
    follow.start(filled, other)
    with filled.read() as connection:
        assert migrate.differences(connection) == []
    with other.read() as connection:
        kinds = {item[0] for item in migrate.differences(connection)}
    assert kinds == (set() if other.is_sqlite else {"add_fk", "remove_fk"})


def test_an_update_of_the_schema_is_noticed_or_harmless(filled: Database, other: Database) -> None:
    """SQLite makes some tables anew for it, which takes their triggers away."""
    follow.start(filled, other)
    with filled.write() as connection:
        migrate.downgrade(connection, "0006")
        connection.execute(scores.update().values(score=4.25))
        migrate.upgrade(connection)
    change(filled, random.Random(1), ("text",))
    with suppress(StoreError):
        follow.apply(filled, other)
    follow.start(filled, other, is_forced=True)
    assert caught_up(filled, other)


# ---- what rows may hold -----------------------------------------------------------------------


def swap_uids(connection: Any) -> None:
    one, two = connection.execute(select(scores.c.id, scores.c.uid).limit(2)).all()
    for key, uid in ((one.id, "x"), (two.id, one.uid), (one.id, two.uid)):
        connection.execute(scores.update().where(scores.c.id == key).values(uid=uid))


def test_rows_that_stay_may_exchange_unique_values(filled: Database, other: Database) -> None:
    """Ids of some tables are given again, so that steps written anew may stand in other rows."""

    def steps(*names: tuple[int, str, int]) -> list[dict[str, Any]]:
        return [{"id": n, "task_id": t, "step_index": i, "is_critical": False} for n, t, i in names]

    with filled.write() as connection:
        row = connection.execute(select(tasks)).mappings().one()
        connection.execute(tasks.insert().values({**row, "id": 9, "uid": "u", "task_id": "b"}))
        name = str(row["task_id"])
        connection.execute(task_steps.insert(), steps((1, name, 0), (2, name, 1), (3, "b", 0)))
    follow.start(filled, other)
    with filled.write() as connection:
        connection.execute(task_steps.delete())
        connection.execute(
            task_steps.insert(), steps((1, "b", 0), (2, name, 0), (3, name, 1), (4, "b", 1))
        )
        swap_uids(connection)
        reviews = connection.execute(select(score_reviews.c.id, score_reviews.c.score_id)).all()
        free = connection.execute(select(scores.c.id).order_by(scores.c.id.desc())).scalar()
        moved = score_reviews.update().where(score_reviews.c.id == reviews[0].id)
        connection.execute(moved.values(score_id=free))
        row = connection.execute(select(score_reviews)).mappings().first()
        assert row is not None
        new = {**row, "id": 50, "score_id": reviews[0].score_id}
        connection.execute(score_reviews.insert().values(new))
    assert caught_up(filled, other)


def test_values_that_python_takes_for_equal_arrive(filled: Database, other: Database) -> None:
    with filled.write() as connection:
        connection.execute(scores.update().values(result={"n": 1, "b": True}, score=0.0))
    follow.start(filled, other)
    with filled.write() as connection:
        connection.execute(scores.update().values(result={"n": 1.0, "b": 1}, score=-0.0))
    follow.apply(filled, other)
    assert all(item.differing == 0 for item in compare(filled, other))


def test_a_backlog_of_any_size_takes_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "PIECE", 25)
    first = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    second = open_database(f"sqlite:///{tmp_path / 'b.db'}")
    follow.start(first, second)
    with first.write() as connection:
        for _ in range(400):
            enqueue(connection, "x", {"text": "x" * 20_000}, requested_by="a")
    tracemalloc.start()
    try:
        follow.apply(first, second)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert same(first, second)
    assert peak < 4_000_000, f"{peak} bytes, of 8 000 000 bytes of rows, were held at once"
    first.close()
    second.close()


def test_a_file_waits_for_no_more_than_a_piece_of_lines_that_go(
    filled: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writers wait as long as one transaction takes."""
    monkeypatch.setattr(follow, "_MOST_FORGOTTEN", 4)
    follow.start(filled, other)
    with filled.write() as connection:
        for _ in range(11):
            connection.execute(scores.update().values(score=1.0))
            connection.execute(
                change_log.change_log.delete().where(change_log.change_log.c.seq % 7 == 0)
            )
    pieces: list[int] = []
    forget_lines = change_log.forget_lines

    def counted(connection: Any, first: int, last: int) -> None:
        pieces.append(last - first + 1)
        forget_lines(connection, first, last)

    monkeypatch.setattr(change_log, "forget_lines", counted)
    assert caught_up(filled, other)
    assert len(pieces) > 5
    assert max(pieces) <= 4
