"""The whole ingest pass against bare decoding and shot detection alone; its memory and storage.

`python -m benchmarks.ingest VIDEO` analyses one file and prints the peak memory of that process;
the memory row and the soak test start it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.decode import decode_only
from benchmarks.footage import LENGTH_SEC, repeated, sample_720p
from benchmarks.harness import (
    Options,
    Row,
    absolute,
    against,
    interleave,
    not_run,
    one_core,
    paired,
)
from sopilot.core.config import load_settings
from sopilot.core.records import Role, no_progress
from sopilot.library.analyze import analysis_arguments, analyze
from sopilot.media.isolate import run_limited
from sopilot.media.probe import hash_file

INGEST_TARGET = 1.6
_FLOOR = "decode only (PyAV)"
_MEGABYTE_BYTES = 1e6


def rows(options: Options) -> Iterator[Row]:
    """Cost of the pass for both roles and of the whole child; PySceneDetect; memory; storage."""
    path = sample_720p(options.folder)
    works: list[Callable[[], object]] = [
        lambda: decode_only(path),
        lambda: analyze_file(path, Role.TRAINEE),
        lambda: analyze_file(path, Role.GOLD),
        lambda: _in_child(path),
    ]
    detect = _shot_detection(path)
    if detect is not None:
        works.append(detect)
    with one_core():
        floor, trainee, gold, child, *shots = interleave(works, options.rounds)
        yield against(_row("one-pass ingest", target=INGEST_TARGET), trainee, floor)
        yield against(_row("one-pass ingest of a gold", target=INGEST_TARGET), gold, floor)
        yield against(_row("ingest with its child process and hash"), child, floor)
        row = _row("one-pass ingest", "PySceneDetect shots alone", target=1.10)
        yield (
            against(row, trainee, shots[0])
            if shots
            else not_run(row, "scenedetect is not installed (requirements/bench.in)")
        )
        yield _memory_row(path)
    yield _storage_row(path)


def analyze_file(path: Path, role: Role) -> float:
    """One ingest pass in this process; megabytes that it stored."""
    with tempfile.TemporaryDirectory() as folder:
        analyze(_arguments(path, role, folder), no_progress)
        stored_bytes = sum(file.stat().st_size for file in Path(folder).iterdir())
    return stored_bytes / _MEGABYTE_BYTES


def peak_megabytes(path: Path) -> float:
    """Peak resident memory of a fresh process that ingests a file as trainee."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest", str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def _row(name: str, peer: str = _FLOOR, target: float | None = None) -> Row:
    return Row("ingest", name, peer, target=target)


def _arguments(path: Path, role: Role, folder: str) -> dict[str, Any]:
    settings = load_settings(data_dir=Path(folder))
    return analysis_arguments(
        settings,
        path,
        name=path.name,
        sha256="0" * 64,
        role=role,
        folder=Path(folder),
        backend="color-motion",
    )


def _in_child(path: Path) -> None:
    """As the worker does it: hash the bytes, then one limited child."""
    hash_file(path)
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder:
        run_limited(
            "sopilot.library.analyze:analyze",
            _arguments(path, Role.TRAINEE, folder),
            memory_mb=settings.decoder_memory_mb,
            cpu_seconds=settings.decoder_cpu_seconds,
        )


def _shot_detection(path: Path) -> Callable[[], object] | None:
    """PySceneDetect's ContentDetector on the same decoder with one thread; None = not installed."""
    if find_spec("scenedetect") is None:
        return None
    from scenedetect import ContentDetector, SceneManager
    from scenedetect.backends.pyav import VideoStreamAv

    def detect() -> None:
        manager = SceneManager()
        manager.add_detector(ContentDetector())
        manager.detect_scenes(VideoStreamAv(str(path), threading_mode="NONE"))

    return detect


def _memory_row(path: Path) -> Row:
    """One run per length: peaks do not scatter, and five minutes are dear."""
    row = Row("ingest", "ingest peak memory, 5 min", "1 min", basis="MB", target=1.05)
    return paired(row, [peak_megabytes(repeated(path, 5))], [peak_megabytes(path)])


def _storage_row(path: Path) -> Row:
    row = Row("ingest", "stored per video hour", "limit", target=150.0)
    per_hour = 3600.0 / LENGTH_SEC
    return absolute(row, [per_hour * analyze_file(path, Role.TRAINEE)], "MB")


def _peak_of_this_process() -> float:
    # Not ru_maxrss: that one survives exec and would show the parent's size.
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024 / _MEGABYTE_BYTES
    raise OSError("/proc/self/status has no VmHWM line; run this on Linux")


if __name__ == "__main__":
    analyze_file(Path(sys.argv[1]), Role.TRAINEE)
    print(_peak_of_this_process())
