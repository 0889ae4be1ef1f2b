"""A backup back into a data folder: everything is verified before anything is replaced."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import uuid
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sopilot.core.errors import BackupDamaged, Conflict, InputError, SchemaTooNew
from sopilot.ops.backup import DATABASE, FORMAT, MANIFEST
from sopilot.store.faults import file_fault
from sopilot.store.occupancy import occupy
from sopilot.store.schema import HEAD, REVISIONS

REPLACED = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", "raw", "derived")
_NAME = re.compile(r"sopilot\.db|(raw|derived)/[0-9a-f]{2}/[0-9a-f]{64}")
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
    wrong = [name for name in names if not _NAME.fullmatch(name)]
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
    if name != DATABASE and not name.endswith(item["sha256"]):
        raise ValueError(f"{name} is not named by its content")


def restore_backup(path: Path, data_dir: Path, *, is_forced: bool = False) -> Path | None:
    """Put a backup in the place of a data folder's content; where the old content now lies.

    Raises what verify_backup raises, DataFolderInUse, Conflict for a folder that holds data
    without is_forced; the old content is then in its place.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    root = data_dir.resolve()
    claim = occupy(root, is_alone=True)
    try:
        present = [name for name in REPLACED if (root / name).exists()]
        if present and not is_forced:
            raise Conflict(
                f"{root} holds data already ({', '.join(present)}); name an empty folder, or "
                "repeat with --force, which keeps the old data beside"
            )
        staged = root / f".restore-{uuid.uuid4().hex[:8]}"
        try:
            staged.mkdir()
            _check_database(staged, verify_backup(path, staged))
            return _swap(root, staged, present)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    finally:
        os.close(claim)


def _check_database(staged: Path, manifest: dict[str, Any]) -> None:
    try:
        with closing(sqlite3.connect(staged / DATABASE)) as connection:
            [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
            [revision] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise BackupDamaged(f"the database of the backup cannot be used: {error}") from error
    if verdict != "ok" or revision != manifest["schema_revision"]:
        raise BackupDamaged(f"the database of the backup is damaged ({verdict}, {revision})")


def _swap(root: Path, staged: Path, present: list[str]) -> Path | None:
    """Move the old aside and the new in; a move that fails is undone."""
    aside = root / f"before-restore-{datetime.now(UTC):%Y%m%d_%H%M%S}-{staged.name[-8:]}"
    new = [name for name in REPLACED if (staged / name).exists()]
    done: list[tuple[Path, Path]] = []
    try:
        aside.mkdir()
        moves = [(root / name, aside / name) for name in present]
        for source, place in moves + [(staged / name, root / name) for name in new[::-1]]:
            os.rename(source, place)
            done.append((source, place))
    except OSError as error:
        for source, place in reversed(done):
            os.rename(place, source)
        raise file_fault(error, root) from error
    if present:
        return aside
    aside.rmdir()
    return None
