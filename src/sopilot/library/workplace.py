"""The folder in which a job makes its files, removed at its end and after a killed attempt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sopilot.jobs.records import Job
from sopilot.runtime import Runtime

WORK = Path("derived/.work")
"""Where all work folders lie, in the data folder."""

Purpose = Literal["ingest", "incident", "detect", "speech"]


@contextmanager
def workplace(runtime: Runtime, job: Job, purpose: Purpose) -> Iterator[Path]:
    """A folder of this attempt's own, not made yet; what it and earlier attempts left goes."""
    clear_workplace(runtime, job, purpose)
    try:
        # The fence keeps a vanished worker that is still writing out of its successor's folder.
        yield runtime.blobs.root / WORK / f"{purpose}-{job.uid}-{job.fence}"
    finally:
        clear_workplace(runtime, job, purpose)


def clear_workplace(runtime: Runtime, job: Job, purpose: Purpose) -> None:
    """Remove what this and earlier attempts at the job left; a successor's folder stays."""
    for folder in (runtime.blobs.root / WORK).glob(f"{purpose}-{job.uid}-*"):
        if int(folder.name.rpartition("-")[2]) <= job.fence:
            shutil.rmtree(folder, ignore_errors=True)
