"""What a handler is given: its job, the way to say how far it is, and the one way to commit.

A heartbeat thread keeps the lease while the handler works and watches for a cancel.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection

from sopilot.core.errors import JobCancelled, LeaseLost, SopilotError, StoreError
from sopilot.core.log import get_logger
from sopilot.core.records import Progress, no_progress
from sopilot.jobs.queries import complete, heartbeat, is_cancel_requested
from sopilot.jobs.records import Job
from sopilot.jobs.retry import named
from sopilot.jobs.stop import Stop
from sopilot.store.engine import Database

log = get_logger(__name__)


class WorkerStopping(LeaseLost):
    """The worker was told to stop and gives its job back; raised by `progress` only."""

    code = "WORKER_STOPPING"


@dataclass(slots=True)
class JobContext:
    """One attempt at one job, as its handler sees it."""

    job: Job
    database: Database
    heart: Heart
    listener: Progress = no_progress
    is_committed: bool = False

    def progress(self, share: float) -> None:
        """Report the finished share, 0-1. Cheap: call it often, it is also the way to be stopped.

        Raises JobCancelled when somebody cancelled the job, LeaseLost when another worker has it
        (WorkerStopping when this worker is shutting down): let them pass.
        """
        self.heart.share = share
        self.heart.check()
        self.listener(share)

    @contextmanager
    def commit(self) -> Iterator[Connection]:
        """The one transaction in which the result is written and the job becomes completed.

        Nothing is written when the body raises, when the lease was lost (LeaseLost) or when the
        job was cancelled meanwhile (JobCancelled).
        """
        with self.database.write() as connection:
            # First, so that an orphan writes nothing and a cancel waits for the outcome.
            complete(connection, self.job)
            yield connection
        self.is_committed = True


Handler = Callable[[JobContext], None]
"""Works on a job; it is completed when the handler returns, if `commit` has not done it."""

OnFailure = Callable[[Connection, Job, SopilotError], None]
"""Runs in the transaction that ends a job as failed or cancelled."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a worker does with a kind of job; max_attempts caps what the row says. most_at_once: of
    all workers together, None = as many as there are workers."""

    handler: Handler
    on_failure: OnFailure | None = None
    max_attempts: int | None = None
    most_at_once: int | None = None


@dataclass(slots=True)
class Heart:
    """The lease of a running job, kept alive by a thread between `start` and `stop`."""

    job: Job
    database: Database
    lease_sec: float
    stop: Stop
    grace_sec: float = 2.0
    share: float = 0.0
    _verdict: SopilotError | None = None
    _stopping_since: float | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._thread = threading.Thread(target=self._beat, name=f"heart-{self.job.id}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop beating and wait until the last beat is over."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise what was found about the job, or WorkerStopping after the time of grace."""
        if self._verdict is not None:
            raise self._verdict
        if self.stop.is_set():
            now = time.monotonic()
            self._stopping_since = self._stopping_since or now
            if now - self._stopping_since >= self.grace_sec:
                raise WorkerStopping(f"the worker stops; job {self.job.id} goes back to the queue")

    def _beat(self) -> None:
        look_sec = min(self.lease_sec / 3, 1.0)
        stored_share, renewed = 0.0, time.monotonic()
        while not self._ended.wait(look_sec) and self._verdict is None:
            try:
                share = self.share
                if share != stored_share or time.monotonic() - renewed >= self.lease_sec / 3:
                    renewed = time.monotonic()
                    with self.database.write() as connection:
                        asked = heartbeat(connection, self.job, self.lease_sec, share)
                    stored_share = share
                else:
                    with self.database.read() as connection:
                        asked = is_cancel_requested(connection, self.job)
                if asked:
                    self._verdict = JobCancelled(f"job {self.job.id} was cancelled while it ran")
            except LeaseLost as error:
                self._verdict = error
            except StoreError as error:
                # The next beat may succeed; if none does, the fence protects the result.
                log.warning("job.heartbeat_failed", job_id=self.job.id, reason=error.message)
            except Exception as error:
                # A thread that ended in silence would let the handler work on without a lease.
                log.exception("job.heart_crashed", job_id=self.job.id)
                self._verdict = named(error)
