"""Who uses a data folder: every runtime holds a shared lock, a restore needs it alone.

The kernel releases the lock when a process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sopilot.core.errors import DataFolderInUse
from sopilot.store.faults import file_fault

LOCK_NAME = "sopilot.db.lock"


def occupy(root: Path, *, is_alone: bool = False) -> int:
    """Take the lock of a data folder; the descriptor that holds it until it is closed.

    Raises DataFolderInUse, StoreError.
    """
    try:
        descriptor = os.open(root / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise file_fault(error, root / LOCK_NAME) from error
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        what = "a service, worker or command uses it" if is_alone else "a restore is replacing it"
        raise DataFolderInUse(
            f"the data folder {root} is in use: {what}; stop that or wait for its end, then repeat"
        ) from error
    return descriptor
