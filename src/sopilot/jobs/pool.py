"""The embedded pool: worker processes that are started, watched, restarted and stopped.

One supervisor thread owns the processes (the kernel ties a child's life to the thread that
started it). A worker that dies is replaced, after a growing pause when it died young.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sopilot.core.environment import child_environment
from sopilot.core.log import get_logger

log = get_logger(__name__)

_LOOK_SEC = 0.2
_YOUNG_SEC = 10.0
_LONGEST_PAUSE_SEC = 30.0


@dataclass(slots=True)
class _Slot:
    """One place in the pool and the process that fills it at the moment."""

    index: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_after: float = 0.0
    early_deaths: int = 0


class WorkerPool:
    """`count` processes that each run `target(arguments, stop)`.

    target: "pkg.module:function" of a `jobs.child.Target`. arguments: JSON-ready.
    """

    def __init__(self, target: str, arguments: Mapping[str, Any], count: int) -> None:
        self._order = json.dumps({"target": target, "arguments": dict(arguments)}).encode() + b"\n"
        self._slots = [_Slot(index) for index in range(count)]
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._grace_sec = 0.0
        self._thread = threading.Thread(target=self._supervise, name="worker-pool", daemon=True)
        self.restart_count = 0

    def start(self) -> None:
        """Start all processes; returns as soon as they exist."""
        self._thread.start()
        self._started.wait()

    def stop(self, timeout_sec: float = 8.0) -> None:
        """Ask all workers to stop (SIGTERM), kill what is left after `timeout_sec`, and return
        when no process is left."""
        self._grace_sec = timeout_sec
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def pids(self) -> list[int]:
        """Process numbers of the living workers."""
        running = (slot.process for slot in self._slots)
        return [item.pid for item in running if item is not None and item.returncode is None]

    def __enter__(self) -> WorkerPool:
        self.start()
        return self

    def __exit__(self, *_reason: object) -> None:
        self.stop()

    def _supervise(self) -> None:
        try:
            while not self._stopping.is_set():
                for slot in self._slots:
                    self._look_after(slot)
                self._started.set()
                self._stopping.wait(_LOOK_SEC)
        finally:
            self._started.set()
            self._end_all()

    def _look_after(self, slot: _Slot) -> None:
        now = time.monotonic()
        if slot.process is not None and slot.process.poll() is not None:
            age_sec = now - slot.started
            slot.early_deaths = slot.early_deaths + 1 if age_sec < _YOUNG_SEC else 0
            pause_sec = min(0.25 * 2**slot.early_deaths, _LONGEST_PAUSE_SEC)
            pause_sec = pause_sec if slot.early_deaths > 1 else 0.0
            log.warning(
                "worker.died",
                pid=slot.process.pid,
                exit_code=slot.process.returncode,
                age_sec=round(age_sec, 1),
                restart_in_sec=pause_sec,
            )
            _close_order(slot.process)
            slot.process = None
            slot.start_after = now + pause_sec
            self.restart_count += 1
        if slot.process is None and now >= slot.start_after:
            slot.process = self._spawn()
            slot.started = now

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "sopilot.jobs.child"],
                stdin=subprocess.PIPE,
                stdout=2,  # stdout carries results only; what a library prints there is a log
                env=child_environment(keeps_settings=True),
                start_new_session=True,  # a Ctrl-C in the terminal reaches the parent only
                bufsize=0,
            )
        except OSError as error:
            log.error("worker.cannot_start", reason=str(error))  # tried again at the next look
            return None
        assert process.stdin is not None
        try:
            process.stdin.write(self._order)
        except BrokenPipeError:
            pass  # it died at once: the next look finds and reports it
        return process

    def _end_all(self) -> None:
        processes = [slot.process for slot in self._slots if slot.process is not None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace_sec
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker.killed", pid=process.pid, grace_sec=self._grace_sec)
                process.kill()
                process.wait()
            _close_order(process)


def _close_order(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
