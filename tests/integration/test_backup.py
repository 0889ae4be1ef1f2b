"""Backup and restore of an installation with rows and blobs, from and into both databases."""

from __future__ import annotations

import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from service_parts import add, files_below, open_test_runtime, write_procedure
from sqlalchemy import Connection, select

from sopilot.core.config import Settings, load_settings
from sopilot.core.errors import (
    BackupDamaged,
    Conflict,
    DataFolderInUse,
    InputError,
    SchemaTooNew,
    StoreError,
)
from sopilot.core.records import Actor
from sopilot.core.timespan import TimeSpan
from sopilot.library.annotations import (
    Kind,
    NewAnnotation,
    Source,
    TextFilter,
    put_annotations,
    search_texts,
)
from sopilot.ops import backup, restore
from sopilot.ops.backup import make_backup
from sopilot.ops.restore import restore_backup, verify_backup
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.forget import delete_video
from sopilot.store.audit import breaks, rows_from
from sopilot.store.engine import Database, open_database
from sopilot.store.schema import HEAD
from sopilot.store.tables import metadata, ui_sessions, videos

BY = Actor("cli:test", "admin")


@pytest.fixture(params=["own", "elsewhere", "server"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the rows are: in the data folder, in another SQLite file, in PostgreSQL."""
    if request.param == "server":
        return str(request.getfixturevalue("postgres").emptied())
    place = tmp_path / ("data/sopilot.db" if request.param == "own" else "elsewhere.db")
    return f"sqlite:///{place}"


def _fill(runtime: Runtime, folder: Path) -> None:
    for name in ("a", "b"):
        path = folder / f"{name}.mp4"
        path.write_bytes(name.encode() * 5000)
        add(runtime, path)
    with runtime.database.write() as connection:
        said = NewAnnotation(Kind.TEXT, TimeSpan(1.0, 2.0), "the crane turns 火災")
        put_annotations(connection, 1, Source.TRANSCRIPT, "test", [said])
        values = {"role": "admin", "created_at": "2026-01-01", "expires_at": "2999-01-01"}
        connection.execute(ui_sessions.insert().values(token_sha256="t", actor="a", **values))
    reports = runtime.blobs.root / "reports"
    (reports / "deep").mkdir(parents=True)
    (reports / "deep" / "研修.json").write_text("{}")
    (reports / ".hidden").write_text("")
    (reports / "link.json").symlink_to("/etc/hostname")


@pytest.fixture
def made(tmp_path: Path, database_url: str) -> Path:
    """A backup of two uploads, taken while their rows stand in the write-ahead log."""
    runtime = open_test_runtime(tmp_path, database_url)
    _fill(runtime, tmp_path)
    target = tmp_path / "out" / "one.zip"
    make_backup(runtime, target)
    assert not list((runtime.blobs.root / ".backup").iterdir())
    close_runtime(runtime)
    return target


@pytest.fixture
def there(tmp_path: Path, database_url: str) -> Settings:
    """The installation that was backed up."""
    return load_settings(data_dir=tmp_path / "data", database_url=database_url)


def _data(folder: Path) -> set[str]:
    hidden = ("reports/.hidden", "reports/link.json")
    return {name for name in files_below(folder) if name not in hidden}


def _tables(database: Database) -> dict[str, list[Any]]:
    """Every row but those that a restore changes by intent."""
    with database.read() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
            for table in metadata.sorted_tables
            if table.name not in {"audit_log", "ui_sessions"}
        }


def _log(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [*rows_from(connection)]


def _found(database: Database) -> list[str]:
    """The texts that a search finds."""
    with database.snapshot() as connection:
        hits = search_texts(connection, "cranes 火", TextFilter(), 5)
    return [hit.annotation.text for hit in hits]


def _restored(settings: Settings) -> Database:
    return open_database(settings.resolved_database_url, ensure=False)


def test_a_restored_folder_has_the_rows_and_the_files(
    tmp_path: Path, made: Path, there: Settings
) -> None:
    # A file in the new folder, whatever the backup was taken from.
    settings = load_settings(data_dir=tmp_path / "new")
    assert restore_backup(made, settings, BY) is None
    assert _data(tmp_path / "new") == _data(tmp_path / "data")
    old, new = _restored(there), _restored(settings)
    assert _tables(new) == _tables(old)
    assert _found(new) == _found(old) == ["the crane turns 火災"]
    assert [row["hash"] for row in _log(new)[:-1]] == [row["hash"] for row in _log(old)]
    old.close()
    new.close()


def test_a_restore_is_recorded_and_ends_every_session(made: Path, there: Settings) -> None:
    restore_backup(made, there, BY, is_forced=True)
    database = _restored(there)
    log = _log(database)
    with database.read() as connection:
        assert connection.execute(select(ui_sessions)).all() == []
    database.close()
    assert (log[-1]["action"], log[-1]["actor"]) == ("backup.restored", "cli:test")
    assert log[-1]["resource"] == "backup:one.zip"
    assert log[-1]["detail"]["replaced_last_hash"] == log[-2]["hash"]
    assert list(breaks(log)) == []


def test_ids_given_before_a_restore_name_nothing_new(
    tmp_path: Path, made: Path, there: Settings
) -> None:
    """The highest ids were given to rows that are gone; the next one is higher still."""
    runtime = open_test_runtime(tmp_path, there.resolved_database_url)
    with runtime.database.write() as connection:
        connection.execute(videos.delete().where(videos.c.id == 2))
    second = tmp_path / "two.zip"
    make_backup(runtime, second)
    close_runtime(runtime)
    for settings in (there, load_settings(data_dir=tmp_path / "new")):
        restore_backup(second, settings, BY, is_forced=True)
        runtime = open_runtime(settings)
        assert add(runtime, tmp_path / "b.mp4").video.id == 3
        close_runtime(runtime)


def test_a_backup_of_a_file_goes_into_a_server(
    tmp_path: Path, postgres: Any, sqlite_database: Database
) -> None:
    sqlite_database.close()
    runtime = open_test_runtime(tmp_path, sqlite_database.url)
    _fill(runtime, tmp_path)
    before, target = _tables(runtime.database), tmp_path / "one.zip"
    make_backup(runtime, target)
    close_runtime(runtime)
    settings = load_settings(data_dir=tmp_path / "new", database_url=postgres.emptied())
    assert restore_backup(target, settings, BY) is None
    database = _restored(settings)
    assert _tables(database) == before
    assert _found(database) == ["the crane turns 火災"]
    assert list(breaks(_log(database))) == []
    database.close()
    assert not (tmp_path / "new" / "sopilot.db").exists()
    assert _data(tmp_path / "new") == _data(tmp_path / "data")


def test_the_manifest_says_what_is_in_it(made: Path) -> None:
    manifest = verify_backup(made)
    assert manifest["counts"]["videos"] == 2
    names = {item["name"] for item in manifest["files"]}
    assert {name.split("/")[0] for name in names} == {"sopilot.db", "raw", "reports"}
    assert [name for name in names if name.startswith("reports")] == ["reports/deep/研修.json"]
    assert [path.name for path in made.parent.iterdir()] == ["one.zip"]


def test_data_is_replaced_by_force_only_and_kept_beside(
    tmp_path: Path, made: Path, there: Settings
) -> None:
    runtime = open_test_runtime(tmp_path, there.resolved_database_url)
    add(runtime, write_procedure(tmp_path / "c.mp4", seconds=1.0))
    rows = _tables(runtime.database)
    close_runtime(runtime)
    before = _data(tmp_path / "data")
    with pytest.raises(Conflict, match="--force"):
        restore_backup(made, there, BY)
    aside = restore_backup(made, there, BY, is_forced=True)
    assert aside is not None
    assert _data(aside) == before
    # What was replaced is an installation of its own, on SQLite.
    old, new = _restored(load_settings(data_dir=aside)), _restored(there)
    assert _tables(old) == rows
    assert len(_tables(new)["videos"]) == 2
    old.close()
    new.close()


def test_old_search_entries_do_not_stay(tmp_path: Path, made: Path, there: Settings) -> None:
    (tmp_path / "data" / "vectors" / "old").mkdir(parents=True)
    (tmp_path / "data" / "vectors" / "old" / "current.json").write_text("{}")
    aside = restore_backup(made, there, BY, is_forced=True)
    assert aside is not None
    assert (aside / "vectors" / "old" / "current.json").is_file()
    assert not (tmp_path / "data" / "vectors").exists()


@pytest.mark.parametrize("moment", ["rename", "commit"])
def test_a_restore_that_fails_in_the_middle_is_undone(
    tmp_path: Path, made: Path, there: Settings, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    database = _restored(there)
    before, log, files = _tables(database), _log(database), _data(tmp_path / "data")
    database.close()

    def refuse(source: Path, place: Path) -> None:
        if moment == "rename" and Path(source).name == "raw" and ".restore" in str(source):
            raise OSError(28, "No space left on device")
        rename(source, place)

    rename = os.rename
    monkeypatch.setattr(os, "rename", refuse)
    if moment == "commit":
        monkeypatch.setattr("sopilot.ops.restore._swapped", _failing_swap())
    with pytest.raises(StoreError):
        restore_backup(made, there, BY, is_forced=True)
    database = _restored(there)
    assert (_tables(database), _log(database)) == (before, log)
    database.close()
    assert _data(tmp_path / "data") == files
    assert not list((tmp_path / "data").glob("before-restore-*"))


def _failing_swap() -> Any:
    """The swap, followed by a failure before the commit."""
    swapped = restore._swapped

    @contextmanager
    def fail(*arguments: Any) -> Iterator[None]:
        with swapped(*arguments):
            raise StoreError("the server is gone")
            yield

    return fail


def test_a_folder_in_use_is_refused(tmp_path: Path, made: Path, there: Settings) -> None:
    runtime = open_test_runtime(tmp_path, there.resolved_database_url)
    with pytest.raises(DataFolderInUse):
        restore_backup(made, there, BY, is_forced=True)
    close_runtime(runtime)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (b"aaaaaaaa", b"aaaaXaaa", BackupDamaged),
        (f'"{HEAD}"'.encode(), b'"9999"', SchemaTooNew),
        (b'"raw/', b'"../x', BackupDamaged),
        (b'"reports/deep', b'"reports/../x', BackupDamaged),
    ],
    ids=["content", "revision", "name", "folder"],
)
def test_a_changed_backup_replaces_nothing(
    tmp_path: Path, made: Path, there: Settings, old: bytes, new: bytes, error: type[Exception]
) -> None:
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(old, new, 1))
    database = _restored(there)
    before, rows = _data(tmp_path / "data"), _tables(database)
    with pytest.raises(error):
        restore_backup(changed, there, BY, is_forced=True)
    assert (_data(tmp_path / "data"), _tables(database)) == (before, rows)
    database.close()


def test_a_cut_backup_is_damaged(tmp_path: Path, made: Path) -> None:
    cut = tmp_path / "cut.zip"
    shutil.copy(made, cut)
    with cut.open("r+b") as stream:
        stream.truncate(made.stat().st_size // 2)
    with pytest.raises(BackupDamaged):
        verify_backup(cut)


def test_a_backup_never_lies_among_the_data_nor_over_a_file(
    tmp_path: Path, made: Path, there: Settings
) -> None:
    runtime = open_test_runtime(tmp_path, there.resolved_database_url)
    for target in (made, runtime.blobs.root / "raw" / "x.zip"):
        with pytest.raises(InputError):
            make_backup(runtime, target)
    close_runtime(runtime)


def test_a_backup_is_one_moment_while_the_service_works(tmp_path: Path, database_url: str) -> None:
    """Uploads and deletions go on; every backup has the bytes of each of its rows, and no other."""
    runtime = open_test_runtime(tmp_path, database_url)
    is_over = threading.Event()

    def upload_and_delete(writer: int) -> None:
        for number in count():
            if is_over.is_set():
                return
            path = tmp_path / f"{writer}-{number}.mp4"
            path.write_bytes(f"{writer} {number}".encode() * 500)
            video_id = add(runtime, path).video.id
            with runtime.database.write() as connection:
                delete_video(runtime, connection, video_id, BY, is_forced=True)

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(upload_and_delete, writer) for writer in range(3)]
        try:
            backups = [Path(make_backup(runtime, tmp_path / f"{n}.zip")["path"]) for n in range(8)]
        finally:
            is_over.set()
        assert [writer.result() for writer in writers] == [None] * 3
    close_runtime(runtime)
    for number, path in enumerate(backups):
        folder = tmp_path / f"restored-{number}"
        settings = load_settings(data_dir=folder)
        restore_backup(path, settings, BY)
        database = _restored(settings)
        with database.read() as connection:
            rows = {row.sha256 for row in connection.execute(select(videos.c.sha256))}
        assert list(breaks(_log(database))) == []
        database.close()
        assert {name.rpartition("/")[2] for name in files_below(folder / "raw")} == rows


def test_what_is_deleted_while_files_are_linked_stays_until_they_are(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = open_test_runtime(tmp_path, database_url)
    _fill(runtime, tmp_path)
    names = backup._blob_keys
    deleters: list[threading.Thread] = []

    def delete() -> None:
        with runtime.database.write() as connection:
            delete_video(runtime, connection, 1, BY, is_forced=True)

    def named_and_then_deleted(connection: Connection) -> list[str]:
        found = names(connection)
        deleters.append(threading.Thread(target=delete))
        deleters[0].start()
        deleters[0].join(0.5)  # long enough for a deletion that nothing holds up
        return found

    monkeypatch.setattr(backup, "_blob_keys", named_and_then_deleted)
    made = make_backup(runtime, tmp_path / "one.zip")
    deleters[0].join()
    assert len(files_below(runtime.blobs.root / "raw")) == 1
    close_runtime(runtime)
    assert made["counts"]["videos"] == 2
    assert sum(item["name"].startswith("raw/") for item in made["files"]) == 2
