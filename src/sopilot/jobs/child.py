"""A worker process of the pool: `python -m sopilot.jobs.child`, started by pool.py only.

Reads one JSON line from stdin (what to run, with what), so that no secret stands in the process
list, and calls `function(arguments, stop)`. It never outlives its parent.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sopilot.jobs.stop import SignalStop, Stop, stop_on_signals

Target = Callable[[Mapping[str, Any], Stop], None]
"""What a pool runs: `arguments` as given to the pool, `stop` set by SIGTERM."""

_PR_SET_PDEATHSIG = 1


def load_target(name: str) -> Target:
    """The function of a `pkg.module:function` name."""
    module, _, function = name.partition(":")
    target: Target = getattr(importlib.import_module(module), function)
    return target


def _die_with_parent() -> None:
    # The kernel kills this process when the thread that started it ends; SIGKILL, because a
    # worker without its server has nobody left to tell, and its jobs are recovered by lease.
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop_at_end_of_input(stop: SignalStop) -> None:
    # Where there is no parent-death signal, and where the parent died before it was set: the
    # parent keeps the other end of stdin open as long as it lives.
    while os.read(0, 4096):
        pass
    stop.set()


def main() -> None:
    """Run the target named on stdin until it returns."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    stop = stop_on_signals(signal.SIGTERM)
    line = bytearray()
    while not line.endswith(b"\n"):
        block = os.read(0, 1)
        if not block:
            return  # the parent has gone already
        line += block
    order = json.loads(line)
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    load_target(order["target"])(order["arguments"], stop)


if __name__ == "__main__":
    main()
