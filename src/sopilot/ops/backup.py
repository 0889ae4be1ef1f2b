"""A data folder as one zip: database, blobs and a manifest, consistent while the service works.

The moment of a backup is a write transaction: no row and no blob goes while the database's
snapshot is pinned and every blob that it names is linked aside. Copying happens afterwards.
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
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from sopilot import __version__
from sopilot.core.errors import Conflict, DiskFull, InputError
from sopilot.ops.queries import count_rows
from sopilot.runtime import Runtime
from sopilot.store.blobs import blob_key
from sopilot.store.faults import file_fault
from sopilot.store.schema import stored_revision
from sopilot.store.tables import derived, videos

FORMAT = "sopilot-backup-1"
DATABASE, MANIFEST = "sopilot.db", "manifest.json"
_STAGE = ".backup"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup by its place in the data folder."""

    name: str
    size_bytes: int
    sha256: str


def backup_name() -> str:
    """The name of a backup made now."""
    return f"sopilot_backup_{datetime.now(UTC):%Y%m%d_%H%M%S}.zip"


def make_backup(runtime: Runtime, target: Path) -> dict[str, Any]:
    """Write a backup to a path, or into a folder under a name of its own; the manifest and `path`.

    Raises InputError for a target that exists or lies among the data, Conflict for PostgreSQL,
    DiskFull, StoreError; then nothing is left at the target.
    """
    if not runtime.database.is_sqlite:
        raise Conflict(
            "this backs up SQLite only; use pg_dump for the database and copy raw/ and derived/ "
            "of the data folder after it"
        )
    root = runtime.blobs.root
    target = (target / backup_name() if target.is_dir() else target).resolve()
    if target.exists():
        raise InputError(f"{target.name} exists already; name a new file or a folder")
    if target.is_relative_to(root) and target.parent != root / "backups":
        raise InputError("a backup must not lie among the data; name a place outside of it")
    staged = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    stage = root / _STAGE / uuid.uuid4().hex
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stage.mkdir(parents=True)
        manifest = _freeze(runtime, stage)
        _require_room(stage, target.parent)
        entries = _write_zip(stage, staged, manifest)
        os.replace(staged, target)
    except OSError as error:
        raise file_fault(error, error.filename or target) from error
    finally:
        staged.unlink(missing_ok=True)
        shutil.rmtree(stage, ignore_errors=True)
    return manifest | {"files": [asdict(item) for item in entries], "path": str(target)}


def _freeze(runtime: Runtime, stage: Path) -> dict[str, Any]:
    """Put the database and links to the blobs of one moment into the stage."""
    with _pinned(runtime, stage) as connection:
        manifest = {
            "format": FORMAT,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
            "schema_revision": stored_revision(connection),
            "counts": count_rows(connection),
        }
        source = connection.connection.dbapi_connection
        assert isinstance(source, sqlite3.Connection)
        with closing(sqlite3.connect(stage / DATABASE)) as copy:
            source.backup(copy)  # from the pinned snapshot: writers go on meanwhile
            copy.execute("PRAGMA journal_mode=DELETE")
    return manifest


@contextmanager
def _pinned(runtime: Runtime, stage: Path) -> Iterator[Connection]:
    """A reading connection on the moment for which all blobs lie linked in the stage."""
    with runtime.database.read() as connection:
        with runtime.database.write():  # keeps every writer, and so every deletion, out
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
    with staged.open("rb") as stream:
        os.fsync(stream.fileno())
    return entries
