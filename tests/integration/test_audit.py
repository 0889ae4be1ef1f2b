"""The audit log is one chain, whoever writes it, and shows what was done to it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, update

from sopilot.core.records import Actor
from sopilot.store.audit import GENESIS, Action, breaks, count_rows, record, row_hash, rows_from
from sopilot.store.engine import Database
from sopilot.store.tables import audit_log

ADMIN = Actor("token:admin", "admin", "request-1", "127.0.0.1")


def _write(database: Database, number: int) -> int:
    with database.write() as connection:
        return record(
            connection, ADMIN, Action.VIDEO_CHANGED, f"video:{number}", detail={"名前": number}
        )


def _rows(database: Database) -> list[dict]:
    with database.read() as connection:
        return list(rows_from(connection))


def test_rows_continue_each_other(database: Database) -> None:
    assert [_write(database, number) for number in range(4)] == [1, 2, 3, 4]
    rows = _rows(database)
    assert rows[0]["prev_hash"] == GENESIS
    assert [row["prev_hash"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]
    assert list(breaks(rows)) == []
    assert list(breaks(rows[2:], from_genesis=False)) == []
    assert (rows[0]["actor"], rows[0]["role"], rows[0]["ip"]) == (
        "token:admin",
        "admin",
        "127.0.0.1",
    )


def test_concurrent_writers_make_one_chain(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda n: _write(database, n), range(40)))
    assert sorted(numbers) == list(range(1, 41))
    assert list(breaks(_rows(database))) == []


_WRITER = """
import sys
from sopilot.core.records import Actor
from sopilot.store.audit import Action, record
from sopilot.store.engine import open_database
database = open_database(sys.argv[1])
for number in range(15):
    with database.write() as connection:
        record(connection, Actor(sys.argv[2]), Action.VIDEO_CHANGED, f"video:{number}")
    if number % 5 == 0:
        try:
            with database.write() as connection:
                record(connection, Actor(sys.argv[2]), Action.VIDEO_DELETED, "video:0")
                raise KeyError
        except KeyError:
            pass
"""


def test_processes_that_write_and_roll_back_make_one_chain(database: Database) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, database.url, name]) for name in "abc"
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    rows = _rows(database)
    assert [row["seq"] for row in rows] == list(range(1, 46))
    assert list(breaks(rows)) == []
    assert {row["action"] for row in rows} == {"video.changed"}


def test_what_is_rolled_back_leaves_no_row(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            record(connection, ADMIN, Action.VIDEO_DELETED, "video:1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as connection:
        assert count_rows(connection) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (update(audit_log).where(audit_log.c.seq == 2).values(actor="somebody"), "row 2 was"),
        (update(audit_log).where(audit_log.c.seq == 2).values(detail={}), "row 2 was"),
        (delete(audit_log).where(audit_log.c.seq == 2), "row 3 follows where row 2"),
        (delete(audit_log).where(audit_log.c.seq == 1), "row 2 follows where row 1"),
    ],
)
def test_a_tampered_log_is_seen(database: Database, change: object, told: str) -> None:
    for number in range(4):
        _write(database, number)
    with database.write() as connection:
        connection.execute(change)
    problems = list(breaks(_rows(database)))
    assert problems
    assert problems[0].startswith(told)


def test_a_reordered_or_rehashed_log_is_seen(database: Database) -> None:
    for number in range(4):
        _write(database, number)
    rows = _rows(database)
    assert list(breaks([rows[0], rows[2], rows[1], rows[3]]))
    forged = [dict(row) for row in rows]
    forged[1]["actor"] = "somebody"
    forged[1]["hash"] = row_hash(forged[1])
    assert list(breaks(forged)) == ["row 3 does not continue the row before it"]
