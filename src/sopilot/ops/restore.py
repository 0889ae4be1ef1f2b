"""A backup back into an installation: everything is verified before anything is replaced.

What is replaced is kept beside. Sessions of the backup are not taken over: some were ended since.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError

from sopilot.core.config import Settings
from sopilot.core.errors import BackupDamaged, Conflict, InputError, SchemaTooNew
from sopilot.core.records import Actor
from sopilot.library.add import name_of
from sopilot.ops.backup import DATABASE, FOLDERS, FORMAT, MANIFEST, NAME
from sopilot.store import change_log
from sopilot.store.audit import Action, last_row, record
from sopilot.store.engine import Database, open_database
from sopilot.store.faults import file_fault
from sopilot.store.occupancy import occupy
from sopilot.store.schema import HEAD, REVISIONS
from sopilot.store.tables import metadata, ui_sessions
from sopilot.store.transfer import copy_rows, delete_rows, dump_rows, has_rows

_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")
REPLACED = (*_FILES, "raw", "derived", *FOLDERS, "vectors")
"""Names in a data folder; `vectors` is rebuilt from the rest."""

_MOST_MANIFEST_BYTES = 1 << 30


def verify_backup(path: Path, into: Path | None = None) -> dict[str, Any]:
    """Read a backup through and hold every file against the manifest, which is returned.

    into: an empty folder that receives the files. Raises InputError when there is no such file,
    BackupDamaged for anything missing, added or changed, SchemaTooNew.
    """
    if not path.is_file():
        raise InputError(f"there is no backup {path}; name a file that `sopilot backup` wrote")
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive)
            for item in manifest["files"]:
                _check(archive, item, into)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
        raise BackupDamaged(
            f"{path.name} is damaged or no backup ({error}); use another"
        ) from error
    except OSError as error:
        raise file_fault(error, error.filename or path) from error
    return manifest


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    if archive.getinfo(MANIFEST).file_size > _MOST_MANIFEST_BYTES:
        raise ValueError("its manifest is too large")
    manifest: dict[str, Any] = json.loads(archive.read(MANIFEST))
    if manifest["format"] != FORMAT:
        raise ValueError(f"its format is {manifest['format']!r}, not {FORMAT}")
    names = [item["name"] for item in manifest["files"]]
    if DATABASE not in names or sorted([*names, MANIFEST]) != sorted(archive.namelist()):
        raise ValueError("its files are not those of the manifest")
    wrong = [name for name in names if not NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"it holds a file at {wrong[0]!r}")
    if manifest["schema_revision"] not in REVISIONS:
        raise SchemaTooNew(
            f"the backup has schema {manifest['schema_revision']}, this version knows up to "
            f"{HEAD}; install the newer SOPilot"
        )
    return manifest


def _check(archive: zipfile.ZipFile, item: dict[str, Any], into: Path | None) -> None:
    name, digest, size_bytes = item["name"], hashlib.sha256(), 0
    place = None if into is None else into / name
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, open(place or os.devnull, "wb") as target:
        while block := source.read(1 << 20):
            digest.update(block)
            size_bytes += len(block)
            target.write(block)
        target.flush()
        if place is not None:
            os.fsync(target.fileno())
    if (digest.hexdigest(), size_bytes) != (item["sha256"], item["size_bytes"]):
        raise ValueError(f"{name} does not match its hash")
    if name.startswith(("raw/", "derived/")) and not name.endswith(item["sha256"]):
        raise ValueError(f"{name} is not named by its content")


def restore_backup(
    path: Path, settings: Settings, by: Actor, *, is_forced: bool = False
) -> Path | None:
    """Put a backup in the place of an installation's content; where the old content now lies.

    Rows of a server are kept there as an SQLite file, so that the folder is an installation itself.
    Raises what verify_backup raises, DataFolderInUse, Conflict for an installation that holds data
    without is_forced; the old content is then in its place.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_fault(error, settings.data_dir) from error
    root = settings.data_dir.resolve()
    claim = occupy(root, is_alone=True)
    try:
        with _rows_elsewhere(settings, root) as database:
            present = [*_present(root, database)]
            if present and not is_forced:
                raise Conflict(
                    f"{root} holds data already ({', '.join(present)}); name an empty folder, or "
                    "repeat with --force, which keeps the old data beside"
                )
            return _replace(path, root, database, by)
    finally:
        os.close(claim)


@contextmanager
def _rows_elsewhere(settings: Settings, root: Path) -> Iterator[Database | None]:
    """The database that is no file of the data folder; None when it is."""
    if _is_own_file(settings.resolved_database_url, root):
        yield None
        return
    database = open_database(settings.resolved_database_url)
    try:
        yield database
    finally:
        database.close()


def _is_own_file(url: str, root: Path) -> bool:
    try:
        address = make_url(url)
    except ArgumentError:  # opening it says what is wrong
        return False
    is_file = address.get_backend_name() == "sqlite"
    return is_file and Path(str(address.database)).resolve() == root / DATABASE


def _names(database: Database | None) -> list[str]:
    """What is replaced in the data folder."""
    return [name for name in REPLACED if database is None or name not in _FILES]


def _present(root: Path, database: Database | None) -> Iterator[str]:
    """What of an installation is there already."""
    for name in _names(database):
        place = root / name
        if place.is_file() or any(item.is_file() for item in place.rglob("*")):
            yield name
    if database is not None:
        with database.read() as connection:
            if has_rows(connection):
                yield "rows in the database"


def _replace(path: Path, root: Path, database: Database | None, by: Actor) -> Path | None:
    mark = uuid.uuid4().hex[:8]
    staged = root / f".restore-{mark}"
    aside = root / f"before-restore-{datetime.now(UTC):%Y%m%d_%H%M%S}-{mark}"
    try:
        staged.mkdir()
        manifest = verify_backup(path, staged)
        _check_database(staged, manifest)
        _complete(staged, path, manifest, _last_row(root, database), by)
        aside.mkdir()
        with ExitStack() as undone_on_failure:
            swap = _swapped(root, staged, aside, _names(database))
            if database is None:
                undone_on_failure.enter_context(swap)
            else:
                with database.write() as connection:
                    _replace_rows(connection, staged, aside)
                    undone_on_failure.enter_context(swap)
    except BaseException as error:
        with suppress(OSError):  # goes only when nothing but our own copy of the rows is in it
            if database is not None:
                (aside / DATABASE).unlink(missing_ok=True)
            aside.rmdir()
        if isinstance(error, OSError):
            raise file_fault(error, root) from error
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    try:
        aside.rmdir()
    except OSError:  # it holds what was replaced
        return aside
    return None


def _check_database(staged: Path, manifest: dict[str, Any]) -> None:
    try:
        with closing(sqlite3.connect(staged / DATABASE)) as connection:
            [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
            [revision] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise BackupDamaged(f"the database of the backup cannot be used: {error}") from error
    if verdict != "ok" or revision != manifest["schema_revision"]:
        raise BackupDamaged(f"the database of the backup is damaged ({verdict}, {revision})")


def _complete(
    staged: Path,
    path: Path,
    manifest: dict[str, Any],
    replaced: tuple[int, str] | None,
    by: Actor,
) -> None:
    """Bring the staged database to this version, and write down what it is about to become."""
    database = open_database(f"sqlite:///{staged / DATABASE}")
    try:
        with database.write() as connection:
            lacking = set(metadata.tables) - set(inspect(connection).get_table_names())
            if lacking:
                raise BackupDamaged(
                    f"the database of the backup lacks {', '.join(sorted(lacking))}"
                )
            connection.execute(ui_sessions.delete())
            change_log.stop_log(connection)  # another database followed what was replaced
            detail = {name: manifest[name] for name in ("created_at", "version", "schema_revision")}
            if replaced is not None:
                detail |= {"replaced_last_seq": replaced[0], "replaced_last_hash": replaced[1]}
            resource = f"backup:{name_of(path)}"
            record(connection, by, Action.BACKUP_RESTORED, resource, detail=detail)
    finally:
        database.close()


def _last_row(root: Path, database: Database | None) -> tuple[int, str] | None:
    """Where the log that is replaced ended; None when it has no row or cannot be read."""
    if database is not None:
        with database.read() as connection:
            found = last_row(connection)
        return found if found[0] else None
    if not (root / DATABASE).is_file():
        return None
    query = "SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1"
    try:
        with closing(sqlite3.connect(root / DATABASE)) as connection:
            row = connection.execute(query).fetchone()
    except sqlite3.Error:  # a damaged database is a reason to restore
        return None
    return None if row is None else (int(row[0]), str(row[1]))


def _replace_rows(connection: Connection, staged: Path, aside: Path) -> None:
    """The staged file's rows in the place of the connection's, which are kept in a file."""
    if has_rows(connection):
        dump_rows(connection, aside / DATABASE)
    change_log.stop_log(connection)
    delete_rows(connection)
    source = open_database(f"sqlite:///{staged / DATABASE}")
    try:
        with source.read() as rows:
            copy_rows(rows, connection)
    except (DataError, IntegrityError) as error:
        raise BackupDamaged(f"the database refuses a row of the backup: {error.orig}") from error
    finally:
        source.close()
    for name in _FILES:
        (staged / name).unlink(missing_ok=True)


@contextmanager
def _swapped(root: Path, staged: Path, aside: Path, names: list[str]) -> Iterator[None]:
    """Move the old aside and the new in; undone when a move or the body fails."""
    done: list[tuple[Path, Path]] = []
    try:
        moves = [(root / name, aside / name) for name in names if (root / name).exists()]
        moves += [(staged / name, root / name) for name in names[::-1]]
        for source, place in moves:
            if source.exists():
                os.rename(source, place)
                done.append((source, place))
        yield
    except BaseException as error:
        for source, place in reversed(done):
            os.rename(place, source)
        if isinstance(error, OSError):
            raise file_fault(error, root) from error
        raise
