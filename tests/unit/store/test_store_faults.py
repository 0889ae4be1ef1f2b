"""Errors of disks and drivers become SOPilot's own."""

from __future__ import annotations

import errno
import sqlite3

import psycopg.errors
import pytest

from sopilot.core.errors import DiskFull, StoreError
from sopilot.store.faults import blob_fault, database_fault, file_fault


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EACCES, DiskFull),
        (errno.EROFS, DiskFull),
        (errno.EIO, StoreError),
        (errno.EMFILE, StoreError),
    ],
)
def test_file_errors(number: int, kind: type[StoreError]) -> None:
    plain = file_fault(OSError(number, "reason"), "some/file")
    from_text = blob_fault(RuntimeError(f"Generic error: reason (os error {number})\nmore"), "key")
    assert (type(plain), type(from_text)) == (kind, kind)
    assert "some/file" in plain.message
    assert "\n" not in from_text.message
    assert plain.retryable


@pytest.mark.parametrize(
    ("origin", "kind"),
    [
        (psycopg.errors.DiskFull("full"), DiskFull),
        (psycopg.errors.ReadOnlySqlTransaction("read-only"), DiskFull),
        (psycopg.errors.DeadlockDetected("deadlock"), StoreError),
        (psycopg.errors.TooManyConnections("many"), StoreError),
        (psycopg.errors.AdminShutdown("down"), StoreError),
        (psycopg.OperationalError("refused"), StoreError),
    ],
)
def test_server_errors(origin: psycopg.Error, kind: type[StoreError]) -> None:
    assert type(database_fault(origin)) is kind


@pytest.mark.parametrize(
    "origin",
    [
        psycopg.errors.UniqueViolation("twice"),
        psycopg.errors.UndefinedTable("none"),
        sqlite3.IntegrityError("twice"),
        sqlite3.ProgrammingError("closed"),
    ],
)
def test_wrong_statements_stay_what_they_are(origin: Exception) -> None:
    assert database_fault(origin) is None
