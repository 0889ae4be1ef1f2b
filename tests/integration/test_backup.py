"""Backup and restore of a data folder with rows and blobs."""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from service_parts import add, files_below, open_test_runtime

from sopilot.core.errors import BackupDamaged, Conflict, DataFolderInUse, InputError, SchemaTooNew
from sopilot.ops.backup import make_backup
from sopilot.ops.restore import restore_backup, verify_backup
from sopilot.runtime import close_runtime
from sopilot.store.schema import HEAD


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A backup of two uploads, taken while their rows stand in the write-ahead log."""
    runtime = open_test_runtime(tmp_path)
    for name in ("a", "b"):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(name.encode() * 5000)
        add(runtime, path)
    target = tmp_path / "out" / "one.zip"
    make_backup(runtime, target)
    assert not list((runtime.blobs.root / ".backup").iterdir())
    close_runtime(runtime)
    return target


def _data(folder: Path) -> set[str]:
    return files_below(folder)


def test_a_restored_folder_has_the_rows_and_the_files(tmp_path: Path, made: Path) -> None:
    assert restore_backup(made, tmp_path / "new") is None
    assert _data(tmp_path / "new") == _data(tmp_path / "data")
    with closing(sqlite3.connect(tmp_path / "new" / "sopilot.db")) as connection:
        assert connection.execute("SELECT count(*) FROM videos").fetchone() == (2,)
    runtime = open_test_runtime(tmp_path / "again", f"sqlite:///{tmp_path / 'new/sopilot.db'}")
    runtime.database.ping()
    close_runtime(runtime)


def test_the_manifest_says_what_is_in_it(made: Path) -> None:
    manifest = verify_backup(made)
    assert manifest["counts"]["videos"] == 2
    assert {item["name"].split("/")[0] for item in manifest["files"]} == {"sopilot.db", "raw"}
    assert [path.name for path in made.parent.iterdir()] == ["one.zip"]


def test_data_is_replaced_by_force_only_and_kept_beside(tmp_path: Path, made: Path) -> None:
    before = _data(tmp_path / "data")
    with pytest.raises(Conflict, match="--force"):
        restore_backup(made, tmp_path / "data")
    aside = restore_backup(made, tmp_path / "data", is_forced=True)
    assert aside is not None
    assert _data(aside) == before


def test_a_folder_in_use_is_refused(tmp_path: Path, made: Path) -> None:
    runtime = open_test_runtime(tmp_path)
    with pytest.raises(DataFolderInUse):
        restore_backup(made, tmp_path / "data", is_forced=True)
    close_runtime(runtime)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (b"aaaaaaaa", b"aaaaXaaa", BackupDamaged),
        (f'"{HEAD}"'.encode(), b'"9999"', SchemaTooNew),
        (b'"raw/', b'"../x', BackupDamaged),
    ],
    ids=["content", "revision", "name"],
)
def test_a_changed_backup_replaces_nothing(
    tmp_path: Path, made: Path, old: bytes, new: bytes, error: type[Exception]
) -> None:
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(old, new, 1))
    before = _data(tmp_path / "data")
    with pytest.raises(error):
        restore_backup(changed, tmp_path / "data", is_forced=True)
    assert _data(tmp_path / "data") == before


def test_a_cut_backup_is_damaged(tmp_path: Path, made: Path) -> None:
    cut = tmp_path / "cut.zip"
    shutil.copy(made, cut)
    with cut.open("r+b") as stream:
        stream.truncate(made.stat().st_size // 2)
    with pytest.raises(BackupDamaged):
        verify_backup(cut)


def test_a_backup_never_lies_among_the_data_nor_over_a_file(tmp_path: Path, made: Path) -> None:
    runtime = open_test_runtime(tmp_path)
    for target in (made, runtime.blobs.root / "raw" / "x.zip"):
        with pytest.raises(InputError):
            make_backup(runtime, target)
    close_runtime(runtime)
