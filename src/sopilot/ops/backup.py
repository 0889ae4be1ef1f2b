"""An installation as one zip: database, blobs and a manifest, consistent while the service works.

The moment of a backup is a write transaction: no blob goes while the database's snapshot is pinned
and every blob that it names is linked aside. Copying happens afterwards. The rows are an SQLite
file whatever the database is: of a server they are read in one snapshot, without its tools.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from sopilot import __version__
from sopilot.core.errors import DiskFull, InputError
from sopilot.core.log import get_logger
from sopilot.core.records import Actor
from sopilot.library.queries import lock_deletions
from sopilot.ops.queries import count_rows
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.blobs import blob_key
from sopilot.store.faults import file_fault
from sopilot.store.schema import stored_revision
from sopilot.store.tables import derived, videos
from sopilot.store.transfer import dump_rows
from sopilot.store.whole_files import place_new, place_under_free_name, staged_file

FORMAT = "sopilot-backup-1"
DATABASE, MANIFEST = "sopilot.db", "manifest.json"
FOLDERS = ("reports", "models")
"""Folders of files that no row names: audit exports and pages; what an adaptation command keeps."""

NAME = re.compile(
    r"sopilot\.db|(raw|derived)/[0-9a-f]{2}/[0-9a-f]{64}|"
    rf"({'|'.join(FOLDERS)})(/[^/.\\\x00-\x1f\ud800-\udfff][^/\\\x00-\x1f\ud800-\udfff]*)+"
)
"""What a file of a backup may be called; no part of it begins with a dot."""

_STAGE = ".backup"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup by its place in the data folder."""

    name: str
    size_bytes: int
    sha256: str


def record_backup(runtime: Runtime, target: Path | None, by: Actor) -> dict[str, Any]:
    """Make a backup and record it in the audit log; see `make_backup`.

    A backup that cannot be recorded is removed again.
    """
    made = make_backup(runtime, target)
    path = Path(made["path"])
    try:
        with runtime.database.write() as connection:
            figures = {"file_count": len(made["files"])}
            record(connection, by, Action.BACKUP_MADE, f"backup:{path.name}", detail=figures)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return made


def make_backup(runtime: Runtime, target: Path | None) -> dict[str, Any]:
    """Write a backup to a path, or into a folder under a name of its own; the manifest and `path`.

    target: None = the folder `backups` of the data folder. Raises InputError for a target that
    exists or lies among the data, DiskFull, StoreError; then nothing is left at the target.
    """
    root = runtime.blobs.root
    target = (root / "backups" if target is None else target).resolve()
    folder, path = _place_of(target, root)
    stage = root / _STAGE / uuid.uuid4().hex
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage.mkdir(parents=True)
        manifest = _freeze(runtime, stage)
        _require_room(stage, folder)
        with staged_file(folder) as staged:
            entries = _write_zip(stage, staged, manifest)
            path = _put(staged, path)
    except OSError as error:
        raise file_fault(error, error.filename or target) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return manifest | {"files": [asdict(item) for item in entries], "path": str(path)}


def _place_of(target: Path, root: Path) -> tuple[Path, Path | None]:
    """The folder of a new backup, and its path where the target names one. Raises InputError."""
    if target.is_dir() or target == root / "backups":
        folder, path = target, None
    elif target.exists():
        raise _taken(target)
    else:
        folder, path = target.parent, target
    if folder.is_relative_to(root) and folder != root / "backups":
        raise InputError("a backup must not lie among the data; name a place outside of it")
    return folder, path


def _put(staged: Path, path: Path | None) -> Path:
    if path is None:
        return place_under_free_name(staged, _stem(), ".zip")
    try:
        place_new(staged, path)
    except FileExistsError as error:  # made by somebody else meanwhile
        raise _taken(path) from error
    return path


def _taken(target: Path) -> InputError:
    return InputError(f"{target.name} exists already; name a new file or a folder")


def _stem() -> str:
    """What the name of a backup made now begins with."""
    return f"sopilot_backup_{datetime.now(UTC):%Y%m%d_%H%M%S}"


def _freeze(runtime: Runtime, stage: Path) -> dict[str, Any]:
    """Put the database and links to the blobs of one moment into the stage."""
    with _pinned(runtime, stage) as connection:
        manifest = {
            "format": FORMAT,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "database": connection.dialect.name,
            "schema_revision": stored_revision(connection),
            "counts": count_rows(connection),
        }
        source = connection.connection.dbapi_connection
        if isinstance(source, sqlite3.Connection):
            with closing(sqlite3.connect(stage / DATABASE)) as copy:
                source.backup(copy)  # from the pinned snapshot: writers go on meanwhile
                copy.execute("PRAGMA journal_mode=DELETE")
        else:
            dump_rows(connection, stage / DATABASE)
    for folder in FOLDERS:
        _copy_files(runtime.blobs.root / folder, stage / folder)
    return manifest


def _copy_files(folder: Path, place: Path) -> None:
    """Copies, not links: these files may be written to while they are packed."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        if not NAME.fullmatch(path.relative_to(folder.parent).as_posix()):
            _log.warning("backup.left_out", name=ascii(path.name))
            continue
        target = place / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


@contextmanager
def _pinned(runtime: Runtime, stage: Path) -> Iterator[Connection]:
    """A reading connection on the moment for which all blobs lie linked in the stage."""
    with runtime.database.snapshot() as connection:
        with runtime.database.write() as guard:  # SQLite: keeps every writer out
            lock_deletions(guard, is_alone=True)
            for key in _blob_keys(connection):  # the first read pins the snapshot
                source, place = runtime.blobs.root / key, stage / key
                if source.is_file():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    _link(source, place)
        yield connection


def _blob_keys(connection: Connection) -> list[str]:
    raw = connection.execute(select(videos.c.sha256).distinct()).scalars()
    made = connection.execute(select(derived.c.blob_sha256).distinct()).scalars()
    return [blob_key("raw", item) for item in raw] + [blob_key("derived", item) for item in made]


def _link(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError:  # a file system without links: writers wait for the copy
        shutil.copyfile(source, place)


def _require_room(stage: Path, folder: Path) -> None:
    needed = sum(path.stat().st_size for path in stage.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            f"the backup needs {needed} bytes, {folder} has {free} free; choose another place"
        )


def _write_zip(stage: Path, staged: Path, manifest: dict[str, Any]) -> list[Entry]:
    entries = []
    # Stored, not packed: video does not shrink.
    with zipfile.ZipFile(staged, "x", zipfile.ZIP_STORED) as archive:
        for path in sorted(item for item in stage.rglob("*") if item.is_file()):
            name, digest = path.relative_to(stage).as_posix(), hashlib.sha256()
            with path.open("rb") as source, archive.open(name, "w", force_zip64=True) as place:
                while block := source.read(1 << 20):
                    digest.update(block)
                    place.write(block)
            entries.append(Entry(name, path.stat().st_size, digest.hexdigest()))
        files = [asdict(item) for item in entries]
        archive.writestr(MANIFEST, json.dumps(manifest | {"files": files}, indent=1))
    return entries
