"""`sopilot score` on what people hand it: one sentence, an exit code, nothing left behind."""

from __future__ import annotations

import os
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from sopilot.cli.app import main
from sopilot.core.errors import StoreError
from sopilot.media.encode import VideoWriter

Run = Callable[..., tuple[int, str]]


def _film(
    path: Path, frame_count: int, size_px: tuple[int, int] = (96, 64), **options: object
) -> Path:
    random = np.random.default_rng(3)
    with VideoWriter(path, size_px, fps=10, **options) as writer:  # type: ignore[arg-type]
        for _ in range(frame_count):
            writer.write(random.integers(0, 255, (size_px[1], size_px[0], 3), dtype=np.uint8))
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _film(tmp_path_factory.mktemp("films") / "good.mp4", 60)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str]:
        words = ["sopilot", *map(str, arguments), "--data-dir", str(tmp_path / "data")]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), capfd.readouterr().err

    return call


def _text(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("this is not a video\n" * 50)
    return path


def _empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def _cut(folder: Path) -> Path:
    whole = _film(folder / "whole.mp4", 60, faststart=True)
    path = folder / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    return path


def _large(folder: Path) -> Path:
    path = folder / "large.mp4"
    with VideoWriter(path, (8000, 8000), fps=10, options={"preset": "ultrafast"}) as writer:
        writer.write(np.zeros((8000, 8000, 3), dtype=np.uint8))
    return path


MEDIA, BROKEN = "UNSUPPORTED_MEDIA", "UNDECODABLE_VIDEO"
# What is made, the code, and the sentence with its value, its limit and what to do.
CASES: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "no such file": (
        lambda folder: folder / "nothing.mp4",
        MEDIA,
        r"nothing\.mp4 does not exist; check the path",
    ),
    "a folder": (lambda folder: folder, MEDIA, r"is a folder; name a file"),
    "an empty file": (_empty, MEDIA, r"the file is empty \(0 bytes\); send a video file"),
    "text named .mp4": (
        _text,
        BROKEN,
        r"text\.mp4 cannot be read as a video .*; upload a complete MP4",
    ),
    "truncated": (
        _cut,
        BROKEN,
        r"cut\.mp4 is cut off: .* of 6\.0 s .* could be decoded; upload the complete file",
    ),
    "one frame": (
        lambda folder: _film(folder / "one.mp4", 1),
        MEDIA,
        r"one\.mp4 lasts 0\.10 s, at least 3\.0 s are needed; record a longer video",
    ),
    "shorter than the minimum": (
        lambda folder: _film(folder / "short.mp4", 20),
        MEDIA,
        r"short\.mp4 lasts 2\.00 s, at least 3\.0 s are needed; record a longer video",
    ),
    "too many pixels": (
        _large,
        MEDIA,
        r"large\.mp4 is 8000x8000 = 64000000 pixels, allowed are 8294400; scale it down",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_trainee_is_refused_and_leaves_nothing(
    case: str, good: Path, run: Run, tmp_path: Path
) -> None:
    make, error_code, sentence = CASES[case]
    code, said = run("score", good, make(tmp_path))
    assert code == 2, said
    assert error_code in said
    assert re.search(sentence, said), said
    _nothing_left(tmp_path / "data", ready_count=1)


def _nothing_left(data: Path, ready_count: int) -> None:
    """Only the good gold's bytes are kept: one raw blob per ready row, no staged file, no row that
    still says processing."""
    if not (data / "sopilot.db").exists():
        return
    with closing(sqlite3.connect(data / "sopilot.db")) as database:
        states = [row[0] for row in database.execute("select status from videos")]
    assert states.count("ready") <= ready_count
    assert set(states) <= {"ready", "failed"}
    raw = [path for path in (data / "raw").rglob("*") if path.is_file()]
    assert len(raw) == states.count("ready")
    work = data / "derived" / ".work"
    assert not work.exists() or not any(work.iterdir())


STEPS: dict[str, tuple[str, str]] = {
    "malformed": ("steps: [", "line"),
    "an unknown key": ("steps:\n  - {index: 0, start_sec: 0, end_sec: 2, colour: red}", "colour"),
    "overlapping": (
        "steps:\n  - {index: 0, start_sec: 0, end_sec: 3}\n"
        "  - {index: 1, start_sec: 2, end_sec: 5}",
        "overlap",
    ),
    "beyond the end": ("steps:\n  - {index: 0, start_sec: 0, end_sec: 99}", "99"),
    "a repeated index": (
        "steps:\n  - {index: 0, start_sec: 0, end_sec: 2}\n"
        "  - {index: 0, start_sec: 2, end_sec: 4}",
        "index",
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_a_bad_steps_file_is_refused_with_its_place(
    case: str, good: Path, run: Run, tmp_path: Path
) -> None:
    text, words = STEPS[case]
    steps = tmp_path / "steps.yaml"
    steps.write_text(text)
    code, said = run("score", good, good, "--steps", steps)
    assert code == 2, said
    assert "BAD_STEPS" in said
    assert words in said
    assert "steps.yaml" in said


def test_a_missing_steps_file_is_a_fault_of_the_steps(good: Path, run: Run, tmp_path: Path) -> None:
    for path, problem in ((tmp_path / "none.yaml", "does not exist"), (tmp_path, "is a folder")):
        code, said = run("score", good, good, "--steps", path)
        assert code == 2
        assert "BAD_STEPS" in said
        assert f"{path} {problem}" in said
    assert not (tmp_path / "data").exists()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A data folder that takes the database and no film: a small file system where mounting is
    allowed, else files that cannot grow."""
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(data)]
    if os.getuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
        yield data
        subprocess.run(["umount", str(data)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    yield data
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_data_folder_is_one_sentence_and_leaves_nothing(
    run: Run, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    film = _film(tmp_path / "film.mp4", 40, (480, 320))
    assert film.stat().st_size > 2_500_000
    data: Path = request.getfixturevalue("full")
    code, said = run("score", film, film)
    assert code == 1, said
    assert "STORAGE_FULL" in said
    assert "no space left" in said
    assert "--data-dir" in said
    assert "Traceback" not in said
    assert (data / "sopilot.db").exists()
    _nothing_left(data, ready_count=0)


def test_a_database_of_a_newer_version_is_left_alone(good: Path, run: Run, tmp_path: Path) -> None:
    assert run("db", "upgrade")[0] == 0
    path = tmp_path / "data" / "sopilot.db"
    with sqlite3.connect(path) as database:
        database.execute("update alembic_version set version_num = '9999'")
    code, said = run("score", good, good)
    assert code == 1
    assert "SCHEMA_TOO_NEW" in said
    assert "9999" in said


def test_a_data_folder_that_is_a_file_is_one_sentence(good: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    code, said = run("score", good, good)
    assert code == 2
    assert "CONFIGURATION_ERROR" in said
    assert said.count("\n") == 1


def test_a_port_in_use_is_one_sentence(run: Run) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = run("serve", "--port", taken.getsockname()[1])
    assert code == 1
    assert "PORT_IN_USE" in said
    assert "--port" in said


def test_a_start_that_fails_late_ends_with_its_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError("the database does not answer")

    monkeypatch.setattr("sopilot.api.app.sweep", fail)
    code, said = run("serve", "--port", 0, "--workers", 0)
    assert code == 1
    assert said.splitlines()[-1] == "sopilot: TRANSIENT_ERROR: the database does not answer"
