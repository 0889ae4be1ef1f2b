"""The external command of a training: words from a template, no shell, no secrets, a time limit."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import IO

from sopilot.core.config import ADAPT_PLACEHOLDERS, Settings
from sopilot.core.environment import child_environment
from sopilot.core.errors import ModelError
from sopilot.core.records import Progress

_TAIL_BYTES = 4000
_LOOK_SEC = 0.2
_PLACEHOLDER = re.compile("{(" + "|".join(ADAPT_PLACEHOLDERS) + ")}")


@dataclass(frozen=True, slots=True)
class CommandRun:
    """A command that ended well."""

    command: tuple[str, ...]
    return_code: int
    duration_sec: float
    stdout_tail: str


def command_words(settings: Settings, job_id: str, since: str | None) -> tuple[str, ...]:
    """The words of the command: split first, filled then, so that a value stays one word."""
    root = settings.data_dir.resolve()
    values = {
        "job_id": job_id,
        "data_dir": str(root),
        "models_dir": str(root / "models"),
        "reports_dir": str(root / "reports"),
        "since": since or "",
    }
    words = shlex.split(settings.adapt_command)
    return tuple(_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in words)


def run_command(
    settings: Settings, job_id: str, since: str | None, progress: Progress
) -> CommandRun:
    """Run the command to its end. Its children end with it, also when the job is cancelled.

    Raises ModelError, with what it printed last, when it fails, cannot start or takes too long.
    """
    words = command_words(settings, job_id, since)
    for name in ("models", "reports"):
        (settings.data_dir / name).mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ModelError(f"{words[0]!r} cannot be started ({error})") from error
        try:
            _wait(process, started + settings.adapt_timeout_sec, progress)
        finally:
            _end(process)
        seconds, tail = time.monotonic() - started, _tail(output)
    if process.returncode != 0:
        is_late = seconds >= settings.adapt_timeout_sec
        what = f"took more than {settings.adapt_timeout_sec:g} s" if is_late else "failed"
        raise ModelError(
            f"the adaptation command {what} (exit {process.returncode}); see stdout_tail",
            {
                "command": list(words),
                "return_code": process.returncode,
                "duration_sec": round(seconds, 3),
                "stdout_tail": tail,
            },
        )
    return CommandRun(words, 0, round(seconds, 3), tail)


def _wait(process: subprocess.Popen[bytes], deadline: float, progress: Progress) -> None:
    while time.monotonic() < deadline:
        try:
            process.wait(_LOOK_SEC)
            return
        except subprocess.TimeoutExpired:
            progress(0.5)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL_BYTES))
    return output.read().decode("utf-8", "replace")
