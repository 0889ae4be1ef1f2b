"""`sopilot backup` and `restore` as a user calls them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sopilot.cli.app import app
from sopilot.core.config import load_settings
from sopilot.core.errors import BadSettings, Conflict, InputError
from sopilot.core.records import Actor
from sopilot.runtime import close_runtime, open_runtime
from sopilot.store.audit import Action, record, rows_from
from sopilot.store.engine import open_database


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of a data folder that has one audit row."""
    runtime = open_runtime(load_settings(data_dir=tmp_path / "data"))
    with runtime.database.write() as connection:
        record(connection, Actor("cli:test"), Action.VIDEO_CHANGED, "video:1")
    close_runtime(runtime)
    done = run("backup", tmp_path / "one.zip", "--data-dir", tmp_path / "data")
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "one.zip"))
    return tmp_path / "one.zip"


def _actions(data_dir: Path) -> list[str]:
    database = open_database(f"sqlite:///{data_dir / 'sopilot.db'}")
    with database.read() as connection:
        found = [row["action"] for row in rows_from(connection)]
    database.close()
    return found


def test_a_backup_is_verified_restored_and_both_are_recorded(tmp_path: Path, backup: Path) -> None:
    assert run("backup", "verify", backup).exit_code == 0
    done = run("restore", backup, "--data-dir", tmp_path / "new")
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "new"))
    assert _actions(tmp_path / "data") == ["video.changed", "backup.made"]
    assert _actions(tmp_path / "new") == ["video.changed", "backup.restored"]
    assert run("audit", "verify", "--data-dir", tmp_path / "new").exit_code == 0


def test_a_damaged_backup_ends_with_5_and_touches_nothing(tmp_path: Path, backup: Path) -> None:
    data = bytearray(backup.read_bytes())
    data[len(data) // 2] ^= 1
    backup.write_bytes(data)
    assert run("backup", "verify", backup).exit_code == 5
    assert run("restore", backup, "--data-dir", tmp_path / "data", "--force").exit_code == 5
    assert _actions(tmp_path / "data") == ["video.changed", "backup.made"]


def test_wrong_usage_is_told(tmp_path: Path, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def error_of(*arguments: object) -> type[BaseException]:
        return type(run(*arguments).exception)

    assert error_of("restore", backup, "--data-dir", tmp_path / "data") is Conflict
    assert error_of("restore", tmp_path / "none.zip", "--data-dir", tmp_path / "n") is InputError
    assert error_of("backup", backup, "--data-dir", tmp_path / "data") is InputError
    monkeypatch.setenv("SOPILOT_DATABASE_URL", "no address")
    assert error_of("restore", backup, "--data-dir", tmp_path / "n") is BadSettings
    assert os.listdir(tmp_path / "n") == ["sopilot.db.lock"]
