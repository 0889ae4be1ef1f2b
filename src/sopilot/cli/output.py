"""What commands say: results on stdout, progress and complaints on stderr, exit codes by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from sopilot.core.records import Progress


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CHECK_FAILED = 3
    INCONCLUSIVE = 4
    INTEGRITY = 5
    PARTIAL = 6
    NEEDS_REVIEW = 10
    RETRAIN = 11
    FAIL = 12
    INTERRUPTED = 130


DECISION_CODES = {
    "pass": ExitCode.OK,
    "needs_review": ExitCode.NEEDS_REVIEW,
    "retrain": ExitCode.RETRAIN,
    "fail": ExitCode.FAIL,
}


def complain(message: str) -> None:
    """One sentence on stderr."""
    typer.secho(f"sopilot: {message}", fg="red", err=True)


def note(message: str) -> None:
    """A line of progress or advice on stderr."""
    typer.echo(message, err=True)


def write_json(record: Any, target: str) -> None:
    """A record as JSON to a path, or to stdout when target is `-`.

    Raises DiskFull when the file cannot be written.
    """
    text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    write_text(Path(target), text)


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing. Raises DiskFull naming the folder and the reason."""
    # A file name of the user may hold bytes that are no text; a report is written all the same.
    write_bytes(path, text.encode("utf-8", errors="replace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or nothing. Raises DiskFull naming the folder and the reason."""
    from sopilot.core.errors import DiskFull
    from sopilot.store.whole_files import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda stream: stream.write(data))
    except OSError as error:
        raise DiskFull(
            f"cannot write {path}: {error.strerror}; choose a folder you may write to, with room"
        ) from error


@contextmanager
def progress_bar(quiet: bool = False) -> Iterator[_Bar]:
    """A bar on stderr that several stages share; silent when stderr is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield _Bar(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=36),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        yield _Bar(bar)


class _Bar:
    """Hands out a Progress callback per stage; None = nobody looks."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def stage(self, description: str) -> Progress:
        """Start a stage and return its callback (share 0-1)."""
        if self._bar is None:
            return _unseen
        row = self._bar.add_task(description, total=1.0)

        def advance(share: float) -> None:
            self._bar.update(row, completed=min(1.0, share))

        return advance


def _unseen(_share: float) -> None:
    """The progress of a stage that nobody looks at."""
