"""How workers learn of new jobs. A transport carries job ids only; the row is the truth, so a
lost or doubled message does no harm. Embedded: nothing is carried, workers look at the table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, Protocol

from sopilot.jobs.queries import get_job
from sopilot.jobs.records import Job
from sopilot.jobs.stop import Stop
from sopilot.store.engine import Database

Backend = Literal["inline", "rq"]


class Transport(Protocol):
    """The port; a broker carries wake-ups between machines, the table alone suffices on one."""

    @property
    def backend(self) -> Backend:
        """What carries the wake-ups, by its documented name."""
        ...

    def wake(self, job_id: int) -> None:
        """Say that a job was committed. May be lost."""
        ...

    def wait(self, stop: Stop, idle_sec: float) -> None:
        """Return when a job may be ready, when `stop` is set, or after a pause that grows with
        the time the worker has been idle."""
        ...


@dataclass(frozen=True, slots=True)
class TableTransport:
    """Looks at the table: every `shortest_sec` while there was work lately, then less often."""

    shortest_sec: float = 0.2
    longest_sec: float = 0.5
    backend: Backend = "inline"

    def wake(self, job_id: int) -> None:
        """Nothing to do: the next look finds the row."""

    def wait(self, stop: Stop, idle_sec: float) -> None:
        """Sleep until the next look is due."""
        stop.wait(self.shortest_sec if idle_sec < 10.0 else self.longest_sec)


def wait_until_finished(
    database: Database, job_id: int, timeout_sec: float, poll_sec: float = 0.1
) -> Job:
    """The job when it has reached an end state, or as it is after `timeout_sec` seconds.

    Raises JobNotFound, also when it is deleted meanwhile.
    """
    deadline = time.monotonic() + timeout_sec
    while True:
        with database.read() as connection:
            job = get_job(connection, job_id)
        left_sec = deadline - time.monotonic()
        if job.is_finished or left_sec <= 0:
            return job
        time.sleep(min(poll_sec, left_sec))
