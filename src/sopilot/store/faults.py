"""Failures of disks and databases in SOPilot's own words: OSError and driver errors → StoreError.

Used by every function of this band that touches a file or a connection.
"""

from __future__ import annotations

import errno
import re
import sqlite3
from pathlib import Path

from sopilot.core.errors import DiskFull, StoreError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")

_SQLITE_FULL = {sqlite3.SQLITE_FULL}
_SQLITE_NOT_WRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
_SQLITE_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

# SQLSTATE: 08 connection, 28 and 3D access, 40 rollback, 53 resources, 55 locks, 57 operator,
# 58 system.
_STORAGE_CLASSES = {"08", "28", "3D", "40", "53", "55", "57", "58"}

_REMEDY_SPACE = "free some space or choose another data folder (--data-dir, SOPILOT_DATA_DIR)"
_REMEDY_ACCESS = "make it writable for this user or choose another data folder"


def file_fault(error: OSError, place: Path | str) -> StoreError:
    """The StoreError that an OSError on `place` means; DiskFull for space and permissions."""
    return _fault(error.errno, str(place), error.strerror or str(error))


def blob_fault(error: Exception, place: Path | str) -> StoreError:
    """The StoreError that an object-store error means; obstore puts the errno into its text."""
    if isinstance(error, OSError) and error.errno is not None:
        return file_fault(error, place)
    text = str(error)
    found = _OS_ERROR.search(text)
    first_line = text.splitlines()[0] if text else type(error).__name__
    code = int(found.group(1)) if found else None
    if code is None and isinstance(error, PermissionError):
        code = errno.EACCES
    return _fault(code, str(place), first_line)


def _fault(code: int | None, place: str, reason: str) -> StoreError:
    if code in _NO_SPACE:
        return DiskFull(f"no space left for {place}: {reason}; {_REMEDY_SPACE}")
    if code in _NOT_WRITABLE:
        return DiskFull(f"{place} is not writable: {reason}; {_REMEDY_ACCESS}")
    return StoreError(f"{place} cannot be read or written: {reason}; check the disk, then retry")


def database_fault(origin: BaseException) -> StoreError | None:
    """The StoreError that a driver's own exception means; DiskFull for a full or read-only
    database. None for what is about a wrong statement rather than about the database."""
    reason = (str(origin).strip() or type(origin).__name__).splitlines()[0]
    if isinstance(origin, sqlite3.DatabaseError):
        return _sqlite_fault(origin, reason)
    state = getattr(origin, "sqlstate", None)
    if state == "53100":
        return DiskFull(f"the database server has no space left: {reason}; free some space there")
    if state == "25006":
        return DiskFull(f"the database is read-only: {reason}; connect to its primary server")
    if state is None:
        is_storage = "OperationalError" in type(origin).__name__
    else:
        is_storage = state[:2] in _STORAGE_CLASSES
    if not is_storage:
        return None
    return StoreError(f"the database does not answer: {reason}; check that it runs, then retry")


def _sqlite_code(error: sqlite3.Error) -> int:
    # The low byte is the primary result code; extended codes add a reason above it.
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _sqlite_fault(origin: sqlite3.DatabaseError, reason: str) -> StoreError | None:
    code = _sqlite_code(origin)
    if code in _SQLITE_DAMAGED:
        return StoreError(f"the database file is damaged or no database: {reason}; restore it")
    if not isinstance(origin, sqlite3.OperationalError) or code == sqlite3.SQLITE_ERROR:
        return None
    if code in _SQLITE_FULL:
        return DiskFull(f"no space left for the database: {reason}; {_REMEDY_SPACE}")
    if code in _SQLITE_NOT_WRITABLE:
        return DiskFull(f"the database file is not writable: {reason}; {_REMEDY_ACCESS}")
    if code in _SQLITE_BUSY:
        return StoreError(f"the database stayed locked: {reason}; retry when the writer is done")
    return StoreError(f"the database cannot be used: {reason}; check the disk, then retry")
