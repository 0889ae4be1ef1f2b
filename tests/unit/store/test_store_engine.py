"""The SQLite handle: transactions, locks, and trouble with the file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from sopilot.core.errors import BadSettings, DiskFull, StoreError
from sopilot.store import engine
from sopilot.store.engine import Database, canonical_json, open_database

INSERT = text(
    "INSERT INTO derived (content_sha256, kind, producer, blob_sha256, size_bytes, meta, "
    "created_at) VALUES (:key, 'k', 'p', :data, 0, '{}', '')"
)


def insert(database: Database, key: str, data: str = "") -> None:
    with database.write() as connection:
        connection.execute(INSERT, {"key": key, "data": data})


def keys(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(text("SELECT content_sha256 FROM derived")).scalars())


def test_file_and_folder_are_made_and_set_up(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'new' / 'folder' / 'sopilot.db'}")
    with database.write() as connection:
        for pragma, value in (("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 1)):
            assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 10_000
    database.close()


def test_write_commits_or_leaves_nothing(sqlite_database: Database) -> None:
    def break_off() -> None:
        with sqlite_database.write() as connection:
            connection.execute(INSERT, {"key": "lost", "data": ""})
            raise KeyError

    insert(sqlite_database, "kept")
    with pytest.raises(KeyError):
        break_off()
    assert keys(sqlite_database) == ["kept"]


def test_read_sees_one_snapshot_and_does_not_block_the_writer(sqlite_database: Database) -> None:
    insert(sqlite_database, "before")
    with sqlite_database.read() as connection:
        count = text("SELECT count(*) FROM derived")
        assert connection.execute(count).scalar() == 1
        insert(sqlite_database, "meanwhile")
        assert connection.execute(count).scalar() == 1
    assert keys(sqlite_database) == ["before", "meanwhile"]


def test_read_cannot_write(sqlite_database: Database) -> None:
    with pytest.raises(StoreError), sqlite_database.read() as connection:
        connection.execute(INSERT, {"key": "x", "data": ""})
    insert(sqlite_database, "the connection writes again afterwards")


def test_writers_of_many_threads_wait_for_each_other(sqlite_database: Database) -> None:
    def count_up() -> None:
        for _ in range(20):
            with sqlite_database.write() as connection:
                number = connection.execute(text("SELECT count(*) FROM derived")).scalar()
                connection.execute(INSERT, {"key": f"{number}", "data": ""})

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, keys(sqlite_database))) == list(range(80))


def test_lock_that_is_not_released_is_a_store_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SEC", 0.05)
    path = tmp_path / "sopilot.db"
    database = open_database(f"sqlite:///{path}")
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        insert(database, "x")
    other.close()
    insert(database, "x")
    database.close()


def test_full_database_is_named(sqlite_database: Database) -> None:
    def fill() -> None:
        with sqlite_database.write() as connection:
            connection.execute(text("PRAGMA max_page_count = 1"))
            connection.execute(INSERT, {"key": "x", "data": "d" * 1_000_000})

    with pytest.raises(DiskFull, match="no space left for the database"):
        fill()
    assert keys(sqlite_database) == []


def test_read_only_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sopilot.db"
    open_database(f"sqlite:///{path}").close()
    database = open_database(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(DiskFull, match="not writable"):
        insert(database, "x")
    database.close()
    # The address is no path: no folder of its name is made in the working directory.
    assert not (tmp_path / "file:").exists()


@pytest.mark.parametrize("content", [b"no database, but some text that is long enough" * 9])
def test_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sopilot.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no database"):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://x/y", "redis://x/0"]
)
def test_addresses_that_name_no_usable_database_are_refused(url: str) -> None:
    with pytest.raises(BadSettings, match=r"use|name a file"):
        open_database(url)


@pytest.mark.parametrize("url", ["postgresql://u:pw123", "postgresql://u:pw123/db", "u:pw123"])
def test_an_address_that_cannot_be_read_is_not_shown(url: str) -> None:
    with pytest.raises(BadSettings, match="SOPILOT_DATABASE_URL") as caught:
        open_database(url)
    assert "pw123" not in "".join(traceback.format_exception(caught.value)[-1:])
    assert caught.value.__suppress_context__


def test_places_that_cannot_hold_a_database_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "x.db", tmp_path):
        with pytest.raises(BadSettings, match="folder"):
            open_database(f"sqlite:///{path}")
    with pytest.raises(DiskFull, match="not writable"):
        open_database("sqlite:////sys/sopilot-test/x.db")


def test_password_does_not_stand_in_the_message() -> None:
    with pytest.raises(BadSettings) as caught:
        open_database("mysql://user:secret@host/name")
    assert "secret" not in caught.value.message


def test_server_that_does_not_answer_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not answer"):
        open_database(f"postgresql://x@/y?host={tmp_path}")


def test_defects_of_the_program_are_not_dressed_up(sqlite_database: Database) -> None:
    insert(sqlite_database, "once")
    with pytest.raises(IntegrityError):
        insert(sqlite_database, "once")
    with pytest.raises(ProgrammingError), sqlite_database.read() as connection:
        connection.exec_driver_sql("SELECT 1; SELECT 2")


def test_json_has_one_form() -> None:
    assert canonical_json({"b": "工程", "a": [1, None]}) == '{"a":[1,null],"b":"\\u5de5\\u7a0b"}'
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(float("nan"))


def test_opening_a_present_database_does_not_load_alembic(tmp_path: Path) -> None:
    script = (
        "import sys; from sopilot.store.engine import open_database\n"
        f"for _ in range(2): open_database('sqlite:///{tmp_path}/sopilot.db').close()\n"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
