"""The command line as a user starts it: time to help, and a score against the video's duration."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.footage import (
    LENGTH_SEC,
    SMALL_LENGTH_SEC,
    renamed,
    sample_720p,
    small_sample,
)
from benchmarks.harness import Options, Row, Sample, absolute, compare, measure
from sopilot.cli.output import DECISION_CODES

SCORE_ROUNDS = 3
_BARE = '''
import typer
app = typer.Typer(name="bare", no_args_is_help=True, add_completion=False)
def command(first: str, second: str = "", third: int = 0) -> None:
    """Do one thing."""
for name in ("score", "demo", "serve", "worker", "config", "db"):
    app.command(name)(command)
app()
'''


def rows(options: Options) -> Iterator[Row]:
    """--help against a bare typer program; score the first time and with a known gold."""
    yield _help_row(options)
    for source, length_sec, name in (
        (sample_720p(options.folder), LENGTH_SEC, "720p30 60 s"),
        (small_sample(options.folder), SMALL_LENGTH_SEC, "320x180 40 s"),
    ):
        rounds = min(SCORE_ROUNDS, options.rounds)
        firsts, knowns = zip(*(score_twice(source, k) for k in range(rounds)), strict=True)
        yield from _score_rows(f"score {name}, first time", firsts, length_sec, 0.4)
        yield from _score_rows(f"score {name}, known gold", knowns, length_sec, 0.15)


def _help_row(options: Options) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(_BARE, encoding="utf-8")
        row = Row("cli", "sopilot --help", "bare typer --help", target=1.5)
        ours = [sys.executable, "-m", "sopilot.cli.app", "--help"]
        return compare(
            row, lambda: _run(ours), lambda: _run([sys.executable, str(bare), "--help"]),
            options.rounds,
        )  # fmt: skip


def score_twice(source: Path, number: int) -> tuple[Sample, Sample]:
    """Cost of scoring in an empty data folder, then of another trainee against the same gold."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, second = (
            renamed(source, folder / f"trainee{k}.mp4", f"trainee {number} {k}") for k in (1, 2)
        )
        data_dir = str(folder / "data")
        return (
            measure(lambda: _score(source, first, data_dir)),
            measure(lambda: _score(source, second, data_dir)),
        )


def _score_rows(
    name: str, samples: tuple[Sample, ...], length_sec: int, target: float
) -> Iterator[Row]:
    cpu = Row("cli", f"{name}, CPU", "trainee's duration", target=target)
    yield absolute(cpu, [sample.cpu_sec / length_sec for sample in samples], "x")
    wall = Row("cli", f"{name}, wall", "trainee's duration", target=target)
    yield absolute(wall, [sample.wall_sec / length_sec for sample in samples], "x")


def _score(gold: Path, trainee: Path, data_dir: str) -> None:
    command = [sys.executable, "-m", "sopilot.cli.app", "score", str(gold), str(trainee)]
    _run([*command, "--data-dir", data_dir, "--json", "-"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, *DECISION_CODES.values()}:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
