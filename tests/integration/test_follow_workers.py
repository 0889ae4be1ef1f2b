"""Workers that bring a second database up: killed, locked out, misled; and a server in use."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import score_rows
from service_parts import open_test_runtime
from sqlalchemy import text
from test_follow import change, same
from test_follow_trouble import caught_up

from sopilot.api.health import check_health
from sopilot.core.errors import Conflict, SopilotError, StoreError
from sopilot.core.records import Actor
from sopilot.jobs.outbox import enqueue_event
from sopilot.jobs.queries import enqueue
from sopilot.ops.backup import make_backup
from sopilot.ops.following import watch_follow
from sopilot.ops.restore import restore_backup
from sopilot.runtime import Runtime, close_runtime
from sopilot.store import change_log, follow
from sopilot.store.comparing import compare
from sopilot.store.engine import Database, open_database
from sopilot.store.tables import jobs


@pytest.fixture
def filled(database: Database) -> Database:
    with database.write() as connection:
        score_rows.store(connection, [score_rows.Made(), score_rows.Made()])
    return database


class watched:
    """The applier of a worker, for the time of a `with`."""

    def __init__(self, runtime: Runtime) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=watch_follow, args=(runtime, self.stop))

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        assert self.thread.is_alive()
        self.stop.set()
        self.thread.join()


def wait_for(holds: Any) -> None:
    pause = threading.Event()
    for _ in range(1200):
        if holds():
            return
        pause.wait(0.05)
    pytest.fail("it did not come true within a minute")


def test_a_row_that_the_second_refuses_is_told(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A server takes no NUL in a text, a file does."""
    url = request.getfixturevalue("postgres").emptied()
    runtime = open_test_runtime(tmp_path, second_database_url=url)
    with runtime.database.write() as connection:
        enqueue(connection, "x", {}, requested_by="a")
    second = open_database(url)
    follow.start(runtime.database, second)
    with runtime.database.write() as connection:
        connection.execute(jobs.update().values(error_message="a\0b"))
    with pytest.raises(StoreError, match="jobs"):
        follow.apply(runtime.database, second)
    state = follow.state_of(runtime.database)
    assert state is not None
    assert "jobs" in (state.last_error or "")
    with watched(runtime):
        with runtime.database.write() as connection:
            connection.execute(jobs.update().values(error_message="ab"))
        wait_for(lambda: same(runtime.database, second))
    second.close()
    close_runtime(runtime)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Runtime, Path]]:
    """A service on SQLite that another file follows."""
    place = tmp_path / "b" / "second.db"
    runtime = open_test_runtime(tmp_path, second_database_url=f"sqlite:///{place}")
    second = open_database(f"sqlite:///{place}")
    with runtime.database.write() as connection:
        score_rows.store(connection, [score_rows.Made()])
    follow.start(runtime.database, second)
    second.close()
    yield runtime, place
    close_runtime(runtime)


def test_a_second_database_that_is_away_when_a_worker_starts_is_told(
    pair: tuple[Runtime, Path],
) -> None:
    runtime, place = pair
    change(runtime.database, random.Random(1))
    aside = place.rename(place.with_name("aside"))
    place.mkdir()

    def told() -> str | None:
        state = follow.state_of(runtime.database)
        assert state is not None
        return state.last_error

    with watched(runtime):
        wait_for(told)
        place.rmdir()
        aside.rename(place)
        wait_for(lambda: not told())
    second = open_database(f"sqlite:///{place}")
    assert same(runtime.database, second)
    second.close()


def test_a_file_that_is_put_in_the_place_of_the_second_is_noticed(
    pair: tuple[Runtime, Path],
) -> None:
    runtime, place = pair
    with watched(runtime):
        change(runtime.database, random.Random(1), ("job",))
        wait_for(lambda: follow.state_of(runtime.database).waiting == 0)  # type: ignore[union-attr]
        for item in place.parent.iterdir():
            item.rename(item.with_name(f"aside-{item.name}"))
        change(runtime.database, random.Random(2), ("job",))
        wait_for(lambda: follow.state_of(runtime.database).last_error)  # type: ignore[union-attr]
    assert follow.state_of(runtime.database).waiting > 0  # type: ignore[union-attr]


def test_health_tells_of_changes_that_nobody_applies(pair: tuple[Runtime, Path]) -> None:
    runtime, _ = pair
    change(runtime.database, random.Random(1))
    told = check_health(runtime).checks.second_database
    assert told is not None
    assert told.status == "up"
    with runtime.database.write() as connection:
        connection.exec_driver_sql("UPDATE change_log SET logged_at = logged_at - 100")
    told = check_health(runtime).checks.second_database
    assert told is not None
    assert told.status == "degraded"
    assert told.waiting_since is not None


def test_comparing_while_changes_are_applied_finds_no_difference(
    database: Database, other: Database
) -> None:
    for _ in range(12):
        change(database, random.Random(2))
    follow.start(database, other)
    stop = threading.Event()

    def work() -> None:
        dice = random.Random(3)
        while not stop.is_set():
            change(database, dice, ("job", "event", "revalue"))
            follow.apply(database, other)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(8):
            assert [item for item in compare(database, other) if not item.is_same] == []
    finally:
        stop.set()
        thread.join()


def test_lines_of_a_log_that_was_made_anew_are_not_forgotten(
    filled: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody stops and starts between the two steps of an applier; numbers begin at 1 again."""
    follow.start(filled, other)
    change(filled, random.Random(1))
    raise_counters = follow.raise_counters

    def meanwhile(reader: Any, writer: Any) -> None:
        raise_counters(reader, writer)
        if not done:
            done.append(1)

    def anew(*given: Any) -> None:
        if done == [1]:
            done.append(2)
            follow.stop(filled, is_forced=True)
            follow.start(filled, other)
            for _ in range(5):
                change(filled, random.Random(2))
        forget(*given)

    done: list[int] = []
    forget = follow._forget
    monkeypatch.setattr(follow, "raise_counters", meanwhile)
    monkeypatch.setattr(follow, "_forget", anew)
    follow.apply(filled, other)
    assert 2 in done
    assert caught_up(filled, other)


def test_a_log_that_goes_while_it_is_applied_ends_no_worker(
    filled: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow.start(filled, other)
    change(filled, random.Random(1))
    monkeypatch.setattr(change_log, "missing_triggers", lambda _: stopped())
    threads: list[threading.Thread] = []

    def stopped() -> list[str]:
        thread = threading.Thread(target=follow.stop, args=(filled,), kwargs={"is_forced": True})
        thread.start()
        thread.join(0.3)
        threads.append(thread)
        return []

    with suppress(SopilotError):
        follow.apply(filled, other)
    for thread in threads:
        thread.join()


APPLIER = """
import sys, time
from sopilot.core.errors import StoreError
from sopilot.store import follow
from sopilot.store.engine import open_database
first = open_database(sys.argv[1])
print("ready", flush=True)
while True:
    try:
        follow.apply_at(first, sys.argv[2])
    except StoreError:
        pass
"""


def test_appliers_that_are_killed_lose_nothing(database: Database, other: Database) -> None:
    """Two at a time, each killed at some moment of its work, while a feature writes."""
    dice = random.Random(8)
    follow.start(database, other)
    command = [sys.executable, "-c", APPLIER, database.url, other.url]
    for _ in range(2):
        appliers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        try:
            for applier in appliers:
                assert applier.stdout is not None
                assert applier.stdout.readline() == b"ready\n"
            for applier in appliers:
                until = time.monotonic() + dice.uniform(0.05, 0.6)
                while time.monotonic() < until:
                    change(database, dice)
                applier.kill()
        finally:
            for applier in appliers:
                applier.kill()
                applier.wait()
                if applier.stdout is not None:
                    applier.stdout.close()
    assert all(item.is_same for item in compare(database, other))
    while follow.apply(database, other) is None:  # the server has not seen yet that they are dead
        time.sleep(0.05)
    assert same(database, other)


# ---- a server ---------------------------------------------------------------------------------


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Database]:
    opened = open_database(request.getfixturevalue("postgres").emptied())
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'file.db'}")
    yield opened
    opened.close()


def test_other_accounts_and_search_paths_write_as_before(server: Database, file: Database) -> None:
    """Of a program that may write into a table and knows of no log."""
    follow.start(server, file)
    with server.write() as connection:
        score_rows.store(connection, [score_rows.Made()])
        for statement in (
            "DROP ROLE IF EXISTS stranger",
            "CREATE ROLE stranger",
            "GRANT USAGE ON SCHEMA public TO stranger",
            "GRANT SELECT, UPDATE ON scores TO stranger",
        ):
            connection.exec_driver_sql(statement)
    try:
        with server.write() as connection:
            connection.exec_driver_sql("SET LOCAL ROLE stranger")
            connection.exec_driver_sql("SET LOCAL search_path = pg_catalog")
            connection.exec_driver_sql("UPDATE public.scores SET score = 3.0")
        assert caught_up(server, file)
    finally:
        with server.write() as connection:
            connection.exec_driver_sql("DROP OWNED BY stranger")
            connection.exec_driver_sql("DROP ROLE stranger")


def test_a_start_does_not_wait_for_readers_nor_let_others_wait(
    server: Database, file: Database
) -> None:
    """A backup may read for an hour; who waits for it with a lock on a table stops the service."""
    follow.start(server, file)
    with server.snapshot() as reader:
        for table in ("scores", "jobs", "outbox"):
            reader.execute(text(f"SELECT count(*) FROM {table}"))
        follow.start(server, file)
    writing, done = threading.Event(), threading.Event()

    def hold() -> None:
        with server.write() as connection:
            enqueue(connection, "x", {}, requested_by="a")
            writing.set()
            done.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    writing.wait(20)
    starter = threading.Thread(target=follow.start, args=(server, file))
    starter.start()
    try:
        for _ in range(4):  # each finds its way within the time that a start waits
            with server.write() as connection:
                connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
                enqueue_event(connection, "score.failed", {})
                enqueue(connection, "x", {}, requested_by="a")
    finally:
        done.set()
        holder.join()
        starter.join()
    assert caught_up(server, file)


def test_a_stop_drops_no_change_that_is_being_written(server: Database, file: Database) -> None:
    follow.start(server, file)
    outcome: list[object] = []

    def stop() -> None:
        try:
            follow.stop(server)
        except Conflict as error:
            outcome.append(error)
        else:
            outcome.append("stopped")

    stopper = threading.Thread(target=stop)
    with server.write() as connection:
        enqueue(connection, "x", {}, requested_by="a")
        stopper.start()
        stopper.join(1.0)
    stopper.join()
    assert isinstance(outcome[0], Conflict)
    assert caught_up(server, file)


def test_a_server_that_lets_nobody_write_keeps_what_waits(file: Database, server: Database) -> None:
    follow.start(file, server)
    with server.write() as connection:
        for statement in (
            "DROP ROLE IF EXISTS reader",
            "CREATE ROLE reader LOGIN",
            "GRANT USAGE ON SCHEMA public TO reader",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        ):
            connection.exec_driver_sql(statement)
    again = open_database(server.url.replace("//postgres@", "//reader@"))
    try:
        change(file, random.Random(1))
        with pytest.raises(StoreError, match="denied"):
            follow.apply(file, again)
        state = follow.state_of(file)
        assert state is not None
        assert state.waiting > 0
        assert "denied" in (state.last_error or "")
    finally:
        again.close()
        with server.write() as connection:
            connection.exec_driver_sql("DROP OWNED BY reader")
            connection.exec_driver_sql("DROP ROLE reader")
    assert caught_up(file, server)


def test_a_file_that_cannot_grow_keeps_what_waits(server: Database, file: Database) -> None:
    follow.start(server, file)
    for _ in range(3):
        with server.write() as connection:
            enqueue(connection, "x", {"text": "x" * 3_000_000}, requested_by="a")
    with file.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    with file.write() as connection:  # the pooled connection that is used next, LIFO
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 100}")
    with pytest.raises(StoreError, match="no space"):
        follow.apply(server, file)
    again = open_database(file.url)
    assert caught_up(server, again)
    again.close()


def test_a_restored_backup_has_no_log_and_may_be_followed_anew(
    tmp_path: Path, database_url: str
) -> None:
    runtime = open_test_runtime(tmp_path, database_url)
    first, settings = runtime.database, runtime.settings
    place = tmp_path / "second.db"
    second = open_database(f"sqlite:///{place}")
    with first.write() as connection:
        score_rows.store(connection, [score_rows.Made()])
    follow.start(first, second)
    backup = Path(make_backup(runtime, tmp_path / "backup.zip")["path"])
    change(first, random.Random(1), ("score",))
    follow.apply(first, second)
    close_runtime(runtime)
    restore_backup(backup, settings, Actor("token:api", "admin"), is_forced=True)
    first = open_database(database_url)
    try:
        assert follow.state_of(first) is None
        change(first, random.Random(2), ("score",))
        assert follow.apply(first, second) is None
        with pytest.raises(Conflict):
            follow.start(first, second)
        third = open_database(f"sqlite:///{tmp_path / 'third.db'}")
        follow.start(first, third)
        change(first, random.Random(3), ("score",))
        assert caught_up(first, third)
        third.close()
    finally:
        first.close()
        second.close()
