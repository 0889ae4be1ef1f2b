"""A second database that follows the first: every change arrives, whoever made it and died."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import score_rows
from service_parts import files_below, open_test_runtime
from sqlalchemy import select, text
from test_store_transfer import _rows
from typer.testing import CliRunner, Result

from sopilot.api.health import check_health
from sopilot.cli.app import app
from sopilot.core.errors import Conflict, StoreError
from sopilot.core.records import Actor
from sopilot.core.timespan import TimeSpan
from sopilot.jobs.outbox import enqueue_event
from sopilot.jobs.queries import enqueue
from sopilot.library.annotations import (
    Kind,
    NewAnnotation,
    Source,
    TextFilter,
    put_annotations,
    search_texts,
)
from sopilot.ops.following import watch_follow
from sopilot.runtime import close_runtime
from sopilot.store import change_log, follow, migrate
from sopilot.store.audit import Action, breaks, record, rows_from
from sopilot.store.comparing import compare
from sopilot.store.engine import Database, open_database
from sopilot.store.tables import jobs, outbox, scores, videos

BY = Actor("token:api", "admin")


def made(dice: random.Random) -> score_rows.Made:
    fate = score_rows.Fate(missing=dice.random() < 0.5, actual_sec=dice.random())
    return score_rows.Made(score=dice.random(), minute=dice.randrange(9999), steps=(fate,))


KINDS = ("score", "score", "job", "text", "unscore", "event", "audit", "revalue")


def change(database: Database, dice: random.Random, kinds: Sequence[str] = KINDS) -> None:
    """One transaction of some feature: new rows, other values, rows that are gone, cascades."""
    with database.write() as connection:
        kind = dice.choice(kinds)
        ids = [int(i) for i in connection.execute(select(videos.c.id)).scalars()]
        if kind == "score" or not ids:
            score_rows.store(connection, [made(dice)])
        elif kind == "job":
            job = enqueue(connection, "x", {"n": 0.1 + 0.2}, requested_by="Ж")
            connection.execute(
                videos.update().where(videos.c.id == dice.choice(ids)).values(ingest_job_id=job.id)
            )
        elif kind == "text":
            rows = [
                NewAnnotation(Kind.TEXT, TimeSpan(0.0, 1.5), f"ящик {dice.randrange(5)} 箱")
                for _ in range(dice.randrange(4))
            ]
            put_annotations(connection, dice.choice(ids), Source.TRANSCRIPT, "p", rows)
        elif kind == "unscore":
            numbers = [int(i) for i in connection.execute(select(scores.c.id)).scalars()]
            if numbers:
                connection.execute(scores.delete().where(scores.c.id == dice.choice(numbers)))
        elif kind == "event":
            enqueue_event(connection, "score.completed", {"a": None})
            if dice.random() < 0.5:
                connection.execute(outbox.delete())
        elif kind == "audit":
            record(connection, BY, Action.VIDEO_CHANGED, "video:1", detail={"x": dice.random()})
        else:
            connection.execute(scores.update().values(score=dice.random()))


def same(first: Database, second: Database) -> bool:
    return _rows(first) == _rows(second)


def test_whatever_changes_arrives(database: Database, other: Database) -> None:
    dice = random.Random(4)
    for _ in range(10):
        change(database, dice)
    follow.start(database, other)
    assert same(database, other)
    for _ in range(12):
        for _ in range(dice.randrange(8)):
            change(database, dice)
        follow.apply(database, other)
        assert same(database, other)
    state = follow.state_of(database)
    assert state is not None
    assert (state.is_copied, state.waiting, state.waiting_since) == (True, 0, None)
    assert state.last_error is None
    with other.read() as connection:
        assert list(breaks(rows_from(connection))) == []
    with other.snapshot() as connection, database.snapshot() as here:
        found = [
            [(h.annotation.uid, h.score) for h in search_texts(c, "ящики", TextFilter(), 50)]
            for c in (here, connection)
        ]
    assert found[0] == found[1] != []
    assert all(item.is_same for item in compare(database, other))


def test_a_job_that_replaces_another_does_not_hang_on_it(
    database: Database, other: Database
) -> None:
    """The row that named the old job names the new one before the old one goes."""
    with database.write() as connection:
        score_rows.store(connection, [score_rows.Made()])
        old = enqueue(connection, "x", {}, requested_by="a")
        connection.execute(videos.update().values(ingest_job_id=old.id))
    follow.start(database, other)
    with database.write() as connection:
        new = enqueue(connection, "x", {}, requested_by="a")
        connection.execute(videos.update().values(ingest_job_id=new.id))
        connection.execute(jobs.delete().where(jobs.c.id == old.id))
    follow.apply(database, other)
    assert same(database, other)


def test_unique_values_may_go_to_another_row(database: Database, other: Database) -> None:
    with database.write() as connection:
        score_rows.store(connection, [score_rows.Made()])
        uid = connection.execute(select(scores.c.uid)).scalar_one()
    follow.start(database, other)
    with database.write() as connection:
        connection.execute(scores.delete())
        score_rows.store(connection, [score_rows.Made()])
        connection.execute(scores.update().values(uid=uid))
    follow.apply(database, other)
    assert same(database, other)


@pytest.mark.parametrize("place", ["before the second commits", "after it"])
def test_who_is_killed_repeats_and_loses_nothing(
    database: Database, other: Database, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(5)
    follow.start(database, other)
    for _ in range(12):
        change(database, dice)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    name = "raise_counters" if place.startswith("before") else "note_applied"
    target: Any = follow if place.startswith("before") else change_log
    with monkeypatch.context() as patched:
        patched.setattr(target, name, killed)
        with pytest.raises(KeyboardInterrupt):
            follow.apply(database, other)
    state = follow.state_of(database)
    assert state is not None
    assert state.waiting > 0
    for _ in range(5):
        change(database, dice)
    follow.apply(database, other)
    assert same(database, other)


def test_a_lower_number_that_commits_later_is_not_lost(database: Database, other: Database) -> None:
    """On a server the numbers of the log are given before the transactions commit."""
    if database.is_sqlite:
        pytest.skip("not run: SQLite has one writer, so its numbers are in order")
    follow.start(database, other)
    with database.write() as slow:
        enqueue_event(slow, "score.failed", {"who": "slow"})
        with database.write() as quick:
            enqueue_event(quick, "score.failed", {"who": "quick"})
        follow.apply(database, other)
        with other.read() as connection:
            payloads = connection.execute(select(outbox.c.payload)).scalars().all()
        assert payloads == [{"who": "quick"}]
    follow.apply(database, other)
    assert same(database, other)


def test_many_write_and_many_apply(database: Database, other: Database) -> None:
    with database.write() as connection:
        score_rows.store(connection, [score_rows.Made(), score_rows.Made()])
    follow.start(database, other)

    def write(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(25):
            change(database, dice, ("job", "text", "event", "audit", "revalue"))

    def apply(_: int) -> None:
        for _ in range(25):
            with suppress(StoreError):  # somebody else held the file for too long
                follow.apply(database, other)

    with ThreadPoolExecutor(5) as pool:
        work = [pool.submit(write, seed) for seed in range(3)]
        work += [pool.submit(apply, seed) for seed in range(2)]
        for item in work:
            item.result()
    while follow.apply(database, other) is None:
        pass
    assert same(database, other)


def test_a_second_database_that_is_away_harms_nobody(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = open_database(f"sqlite:///{tmp_path / 'second' / 'b.db'}")
    follow.start(database, second)
    second.close()
    (tmp_path / "second" / "b.db").unlink()
    (tmp_path / "second" / "b.db").mkdir()
    change(database, random.Random(1))
    with pytest.raises(StoreError):
        follow.apply(database, second)
    state = follow.state_of(database)
    assert state is not None
    assert state.waiting > 0
    assert state.last_error
    assert state.waiting_since is not None
    with pytest.raises(Conflict, match="changes are not in the second database yet"):
        follow.stop(database)


def test_rows_of_another_installation_are_not_touched(
    database: Database, other: Database, tmp_path: Path
) -> None:
    with other.write() as connection:
        score_rows.store(connection, [score_rows.Made()])
    before = _rows(other)
    with pytest.raises(Conflict, match="rows that the first does not have"):
        follow.start(database, other)
    with database.write() as connection:
        score_rows.store(connection, [score_rows.Made(), score_rows.Made()])
    with pytest.raises(Conflict, match="another installation"):
        follow.start(database, other, is_forced=True)
    assert _rows(other) == before
    assert follow.state_of(database) is None


def test_a_pair_goes_one_way_only(database: Database, other: Database) -> None:
    follow.start(database, other)
    with pytest.raises(Conflict, match="first of another pair"):
        follow.start(other, database)
    change(database, random.Random(1))
    follow.apply(database, other)
    assert same(database, other)


def test_tables_whose_changes_are_not_logged_are_noticed(
    database: Database, other: Database
) -> None:
    follow.start(database, other)
    drop = "DROP TRIGGER change_log_outbox"
    with database.write() as connection:
        connection.exec_driver_sql(f"{drop}_in" if database.is_sqlite else f"{drop} ON outbox")
        enqueue_event(connection, "score.failed", {})
    with pytest.raises(StoreError, match="changes of outbox are not logged"):
        follow.apply(database, other)
    follow.start(database, other)
    follow.apply(database, other)
    assert same(database, other)


def test_the_log_is_no_part_of_the_schema(database: Database, other: Database) -> None:
    with database.read() as connection:
        before = migrate.differences(connection)
    follow.start(database, other)
    with database.read() as connection:
        assert migrate.differences(connection) == before == []
    follow.apply(database, other)
    follow.stop(database)
    with database.read() as connection:
        assert not change_log.is_logged(connection)
        assert change_log.missing_triggers(connection) != []
        if not database.is_sqlite:
            left = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'change_log%'"
            assert connection.execute(text(left)).scalar_one() == 0


# ---- the steps of docs/deployment.md ---------------------------------------------------------


def run(*words: str) -> Result:
    done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_the_documented_steps_there_and_back(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(6)
    old = f"sqlite:///{tmp_path / 'sopilot.db'}"
    new = request.getfixturevalue("postgres").emptied()
    first, second = open_database(old), open_database(new)
    for _ in range(20):
        change(first, dice)

    def serve_on(url: str, follower: str) -> None:
        monkeypatch.setenv("SOPILOT_DATABASE_URL", url)
        monkeypatch.setenv("SOPILOT_SECOND_DATABASE_URL", follower)

    serve_on(old, new)
    assert "changes are applied now" in run("db", "follow", "start").output
    for _ in range(9):
        change(first, dice)
    waiting = json.loads(run("db", "follow", "status").output)
    assert waiting["waiting"] > 0
    compared = run("db", "compare", "--from", old, "--to", new)
    assert compared.exit_code == 0
    assert " of these waiting" in compared.output
    assert "rows written" in run("db", "follow", "apply").output
    told = json.loads(run("db", "compare", "--from", old, "--to", new, "--json", "-").output)
    assert told["is_same"]
    assert not any(item["missing"] + item["differing"] + item["surplus"] for item in told["tables"])
    run("db", "follow", "stop")

    serve_on(new, old)  # the switch
    run("db", "follow", "start")
    for _ in range(9):
        change(second, dice)
    run("db", "follow", "apply")
    assert same(first, second)
    run("db", "follow", "stop")

    serve_on(old, new)  # and back: nothing is lost
    run("db", "follow", "start")
    change(first, dice)
    run("db", "follow", "apply")
    assert same(first, second)
    with second.write() as connection:
        connection.execute(scores.update().values(score=-1.0))
    differing = run("db", "compare", "--from", old, "--to", new)
    assert differing.exit_code == 3
    first.close()
    second.close()


def test_workers_apply_and_health_tells(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'b' / 'second.db'}"
    runtime = open_test_runtime(tmp_path, second_database_url=url)
    second = open_database(url)
    try:
        assert check_health(runtime).checks.second_database is None
        follow.start(runtime.database, second)
        change(runtime.database, random.Random(2))
        stop = threading.Event()
        worker = threading.Thread(target=watch_follow, args=(runtime, stop))
        worker.start()
        for _ in range(200):
            state = follow.state_of(runtime.database)
            if state is not None and state.applied_at is not None:
                break
            stop.wait(0.05)
        stop.set()
        worker.join()
        assert same(runtime.database, second)
        told = check_health(runtime)
        assert (told.status, told.checks.second_database.status) == ("healthy", "up")
    finally:
        second.close()
        close_runtime(runtime)
    assert files_below(tmp_path / "data") is not None
