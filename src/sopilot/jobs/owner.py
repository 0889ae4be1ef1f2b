"""Who holds a lease: a text that names one process, and whether that process is still alive.

Only a process on the same machine, same boot and same process namespace can be judged; of all
others the lease has to run out.
"""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from functools import lru_cache
from pathlib import Path


def new_owner() -> str:
    """A lease owner for this process: host : node : pid : start : one worker of it."""
    host = socket.gethostname().replace(":", "-")[:32]
    pid = os.getpid()
    return f"{host}:{_node()}:{pid}:{_start_ticks(pid) or 0}:{uuid.uuid4().hex[:8]}"


def is_owner_dead(owner: str) -> bool:
    """Whether the process behind an owner text has certainly ended; False when in doubt."""
    parts = owner.split(":")
    if len(parts) != 5 or parts[1] != _node() or not (parts[2] + parts[3]).isdecimal():
        return False
    started = int(parts[3])
    if started == 0:  # its start could not be read: a process number alone proves nothing
        return False
    return _start_ticks(int(parts[2])) != started


@lru_cache(maxsize=1)
def _node() -> str:
    # Host name, boot and pid namespace: equal only where process numbers mean the same.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        boot, namespace = uuid.uuid4().hex, ""  # no /proc: nobody is ever judged dead
    text = "\n".join((socket.gethostname(), boot, namespace))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _start_ticks(pid: int) -> int | None:
    """Start of a living process in clock ticks since boot; None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in brackets may hold spaces and brackets: read behind the last one.
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])
