"""What every child process of ours does first: find its function, and never outlive its parent.

Called by `jobs.child` and `media.isolate`; imports nothing of ours, since children start often.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1


def load_function(name: str) -> Any:
    """The function of a `pkg.module:function` name. Raises ImportError or AttributeError."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def die_with_parent(parent_pid: int | None = None) -> None:
    """Let the kernel kill this process (SIGKILL) when the thread that started it ends.

    parent_pid: with it, a parent that died before this call is noticed too. Linux; elsewhere
    nothing happens.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent_pid is not None and os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)
