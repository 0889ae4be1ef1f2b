"""What a command knows of its surroundings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sopilot.cli.local import requester
from sopilot.cli.output import write_text
from sopilot.core.errors import DiskFull


def test_a_user_without_a_name_is_named_by_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)  # as in a container: no passwd entry
    assert requester().name == "cli:uid-54321"
    monkeypatch.setenv("USER", "hana")
    assert requester().name == "cli:hana"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "record.json"
    write_text(target, "caf\udce9")
    assert target.read_text(encoding="utf-8") == "caf?"
    folder = tmp_path / "folder"
    folder.mkdir()
    for bad in (folder, target / "below.json"):
        with pytest.raises(DiskFull, match="cannot write"):
            write_text(bad, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "record.json"]
