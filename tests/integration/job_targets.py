"""What the processes of the job tests run. Loaded by name in child processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sopilot.core.errors import StoreError
from sopilot.jobs.context import JobContext, Kind
from sopilot.jobs.loop import run_worker
from sopilot.jobs.pool import WorkerPool
from sopilot.jobs.stop import Stop
from sopilot.store.engine import open_database
from sopilot.store.tables import derived
from sopilot.store.times import now_text


def note(context: JobContext, word: str) -> None:
    """Append a line that proves that this attempt came so far."""
    line = f"{word} {context.job.id} {context.job.fence} {os.getpid()}\n"
    with Path(context.job.payload["notes"]).open("a") as stream:
        stream.write(line)


def write_result(context: JobContext) -> None:
    """Commit one derived row that names the attempt."""
    with context.commit() as connection:
        connection.execute(
            derived.insert().values(
                content_sha256=f"{context.job.id}",
                kind="result",
                producer=f"fence-{context.job.fence}",
                blob_sha256="",
                size_bytes=0,
                meta={},
                created_at=now_text(),
            )
        )


def quick(context: JobContext) -> None:
    """Note and finish."""
    note(context, "ran")
    write_result(context)


def wait_for_file(context: JobContext) -> None:
    """Work until the file `go` exists, looking for a stop all the time."""
    note(context, "began")
    while not Path(context.job.payload["go"]).exists():
        context.progress(0.5)
        time.sleep(0.02)
    write_result(context)
    note(context, "ended")


def deaf(context: JobContext) -> None:
    """Like wait_for_file, but never looks whether it should stop."""
    note(context, "began")
    while not Path(context.job.payload["go"]).exists():
        time.sleep(0.02)
    write_result(context)
    note(context, "ended")


def slow(context: JobContext) -> None:
    """A little work, in steps that can be interrupted anywhere."""
    note(context, "began")
    for step in range(10):
        time.sleep(0.01)
        context.progress(step / 10)
    write_result(context)


def broken(context: JobContext) -> None:
    """Fail in a way that is worth another attempt."""
    note(context, "ran")
    raise StoreError("the disk is away")


KINDS = {
    "quick": Kind(quick),
    "wait": Kind(wait_for_file),
    "deaf": Kind(deaf),
    "broken": Kind(broken),
    "slow": Kind(slow),
}


def work(arguments: Mapping[str, Any], stop: Stop) -> None:
    """A worker process of a pool."""
    database = open_database(arguments["url"])
    run_worker(
        database, KINDS, stop, lease_sec=arguments["lease_sec"], grace_sec=arguments["grace_sec"]
    )
    database.close()


def die_young(arguments: Mapping[str, Any], stop: Stop) -> None:
    """A worker process that cannot live."""
    os._exit(7)


def serve(url: str, count: int) -> None:
    """A process that holds a pool until it is killed; run by `python -c`."""
    arguments = {"url": url, "lease_sec": 600.0, "grace_sec": 0.1}
    with WorkerPool("job_targets:work", arguments, count) as pool:
        sys.stdout.write(" ".join(map(str, pool.pids())) + "\n")
        sys.stdout.flush()
        time.sleep(600)
