"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from sopilot.store.whole_files import (
    STAGED,
    place,
    place_new,
    place_under_free_name,
    staged_file,
    write_whole,
)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_whole(target, lambda stream: stream.write(b"old"))

    def fail(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(target, fail)
    assert target.read_bytes() == b"old"
    assert _names(tmp_path) == ["a.json"]


def test_bytes_reach_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("sync"), sync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    write_whole(tmp_path / "a", lambda stream: stream.write(b"x"))
    assert done == ["sync", "replace", "sync"]


def test_what_a_kill_leaves_is_hidden_and_named_by_the_pattern(tmp_path: Path) -> None:
    with staged_file(tmp_path, ".mp4") as staged:
        staged.touch()
        assert list(tmp_path.glob(STAGED)) == [staged]
        assert (staged.name[0], staged.suffix) == (".", ".mp4")
    assert _names(tmp_path) == []


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("first")
    with staged_file(tmp_path) as staged:
        staged.write_text("second")
        with pytest.raises(FileExistsError):
            place_new(staged, tmp_path / "a")
    assert (tmp_path / "a").read_text() == "first"


def test_a_claimed_name_is_given_back_where_the_move_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        place_new(tmp_path / "gone", tmp_path / "a")
    assert _names(tmp_path) == []


def test_writers_at_once_each_get_a_name(tmp_path: Path) -> None:
    def write(number: int) -> Path:
        with staged_file(tmp_path) as staged:
            staged.write_text(str(number))
            return place_under_free_name(staged, "a", ".txt")

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(write, range(16)))
    assert [path.read_text() for path in paths] == [str(number) for number in range(16)]
    assert set(_names(tmp_path)) == {"a.txt", *(f"a-{number}.txt" for number in range(2, 17))}


def test_a_folder_that_may_not_be_read_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    (tmp_path / "staged").write_text("x")
    monkeypatch.setattr(os, "open", refuse)  # only the folder's own handle is taken with it
    place(tmp_path / "staged", tmp_path / "a")
    assert _names(tmp_path) == ["a"]
