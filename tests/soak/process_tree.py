"""Looking at running processes: who lives below whom, and waiting for what they do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

LONG_SEC = 180.0


def until(condition: Callable[[], object], what: str, pause_sec: float = 0.005) -> None:
    """Wait for a condition; fails after LONG_SEC."""
    deadline = time.monotonic() + LONG_SEC
    while not condition():
        assert time.monotonic() < deadline, f"waited {LONG_SEC:.0f} s for {what}"
        time.sleep(pause_sec)


def descendants(pid: int) -> dict[int, str]:
    """Command lines of all living processes below one, by process number."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            fields = _stat(int(folder.name))
            if fields is not None and fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found: dict[int, str] = {}
    todo = [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            found[child] = _command_line(child)
            todo.append(child)
    return found


def is_gone(pid: int) -> bool:
    """Whether a process has ended (a zombie counts as ended)."""
    fields = _stat(pid)
    return fields is None or fields[0] == "Z"


def _stat(pid: int) -> list[str] | None:
    """State, parent and the rest of /proc/PID/stat; None when the process has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
