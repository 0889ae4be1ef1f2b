"""A worker process of the pool: `python -m sopilot.jobs.child`, started by pool.py only.

Reads one JSON line from stdin (what to run, with what), so that no secret stands in the process
list, and calls `function(arguments, stop)`. It never outlives its parent.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sopilot.core.child_process import die_with_parent, load_function
from sopilot.jobs.stop import SignalStop, Stop, stop_on_signals

Target = Callable[[Mapping[str, Any], Stop], None]
"""What a pool runs: `arguments` as given to the pool, `stop` set by SIGTERM."""


def _stop_at_end_of_input(stop: SignalStop) -> None:
    # Where there is no parent-death signal, and where the parent died before it was set: the
    # parent keeps the other end of stdin open as long as it lives.
    while os.read(0, 4096):
        pass
    stop.set()


def main() -> None:
    """Run the target named on stdin until it returns."""
    # A worker without its server has nobody left to tell; its jobs are recovered by lease.
    die_with_parent()
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
    target: Target = load_function(order["target"])
    target(order["arguments"], stop)


if __name__ == "__main__":
    main()
