"""How a process is told to stop. A plain Event set by a signal handler can lock itself up (the
handler may interrupt the Event's own lock); a pipe cannot."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType
from typing import Protocol


class Stop(Protocol):
    """What a worker loop looks at; threading.Event is one."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until set, or `timeout` seconds; whether it is set."""
        ...


class SignalStop:
    """A Stop that signal handlers may set."""

    def __init__(self) -> None:
        self._is_set = False
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)

    def set(self) -> None:
        """Ask to stop; safe in a signal handler and from any thread."""
        if not self._is_set:
            self._is_set = True
            os.write(self._write_end, b"x")

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until set, or `timeout` seconds; whether it is set."""
        if not self._is_set:
            select.select([self._read_end], [], [], timeout)
        return self._is_set

    def close(self) -> None:
        """Release the pipe, when no signal handler refers to it any more."""
        os.close(self._read_end)
        os.close(self._write_end)


def stop_on_signals(*signals: signal.Signals) -> SignalStop:
    """A Stop that the given signals set (SIGTERM and SIGINT when none is named).

    Must be called from the main thread.
    """
    stop = SignalStop()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in signals or (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop
