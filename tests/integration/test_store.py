"""The database handle and the store's queries on both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select, text

from sopilot.core.errors import StoreError
from sopilot.store.blobs import open_blobs
from sopilot.store.derived import find_derived, list_derived, put_derived
from sopilot.store.engine import Database, open_database
from sopilot.store.tables import jobs, tasks
from sopilot.store.times import now_text
from sopilot.store.upsert import upsert


def task(name: str, created_at: str) -> dict[str, object]:
    return {
        "uid": f"uid of {name}",
        "task_id": "t",
        "task_name": name,
        "pass_score": 60.0,
        "retrain_score": 50.0,
        "default_weights": {"w_swap": 0.25, "w_miss": 0.4},
        "deviation_policy": {},
        "version": 1,
        "created_at": created_at,
        "updated_at": created_at,
    }


def test_upsert_inserts_then_changes_all_but_the_kept_columns(database: Database) -> None:
    for name, moment in (("first", "2026-01-01"), ("second", "2026-02-02")):
        with database.write() as connection:
            upsert(connection, tasks, ["task_id"], task(name, moment), keep=["uid", "created_at"])
    with database.read() as connection:
        row = connection.execute(select(tasks)).one()
    assert (row.id, row.uid, row.created_at) == (1, "uid of first", "2026-01-01")
    assert (row.task_name, row.updated_at) == ("second", "2026-02-02")


def test_json_is_stored_in_canonical_form_and_none_as_null(database: Database) -> None:
    with database.write() as connection:
        upsert(connection, tasks, ["task_id"], task("t", now_text()))
    with database.read() as connection:
        stored = connection.execute(text("SELECT CAST(default_weights AS TEXT) FROM tasks"))
        assert stored.scalar() == '{"w_miss":0.4,"w_swap":0.25}'
        assert connection.execute(select(tasks.c.default_weights)).scalar() == {
            "w_miss": 0.4,
            "w_swap": 0.25,
        }


def test_ids_are_never_given_twice(database: Database) -> None:
    ids = []
    for _ in range(2):
        with database.write() as connection:
            upsert(connection, tasks, ["task_id"], task("t", now_text()))
            ids.append(connection.execute(select(tasks.c.id)).scalar_one())
            connection.execute(tasks.delete())
    assert ids == [1, 2]


def test_read_cannot_write(database: Database) -> None:
    with pytest.raises(StoreError, match=r"read-?only"), database.read() as connection:
        upsert(connection, tasks, ["task_id"], task("t", now_text()))
    with database.write() as connection:
        upsert(connection, tasks, ["task_id"], task("t", now_text()))


def test_failed_transaction_leaves_nothing(database: Database) -> None:
    def break_off() -> None:
        with database.write() as connection:
            upsert(connection, tasks, ["task_id"], task("t", now_text()))
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    with database.read() as connection:
        assert connection.execute(select(tasks)).all() == []


def test_more_readers_than_pooled_connections_wait_their_turn(database: Database) -> None:
    barrier = threading.Barrier(40)

    def read(_number: int) -> int:
        barrier.wait()
        with database.read() as connection:
            return len(connection.execute(select(jobs)).all())

    with ThreadPoolExecutor(40) as threads:
        assert list(threads.map(read, range(40))) == [0] * 40


def test_workers_that_derive_the_same_agree(database: Database, tmp_path: Path) -> None:
    blobs = open_blobs(tmp_path / "data")

    def derive(_number: int) -> None:
        with database.write() as connection:
            put_derived(
                connection, blobs, content_sha256="c", kind="features", producer="p", data=b"same"
            )

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(derive, range(12)))
    with database.read() as connection:
        assert len(list_derived(connection, "c")) == 1
        assert find_derived(connection, "c", "features", "p") is not None


def test_connections_that_the_server_closed_are_replaced(postgres) -> None:
    database = open_database(postgres.emptied())
    with database.read() as connection:
        connection.execute(select(jobs)).all()
    postgres.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with database.read() as connection:
        assert connection.execute(select(jobs)).all() == []
    database.close()


def test_transaction_that_the_server_broke_off_is_a_store_error(postgres) -> None:
    database = open_database(postgres.emptied())

    def be_cut_off() -> None:
        with database.write() as connection:
            upsert(connection, tasks, ["task_id"], task("t", now_text()))
            postgres.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute(select(tasks))

    with pytest.raises(StoreError, match="does not answer"):
        be_cut_off()
    with database.read() as connection:
        assert connection.execute(select(tasks)).all() == []
    database.close()
