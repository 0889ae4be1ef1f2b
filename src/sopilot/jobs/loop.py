"""The worker: claim → handler → completed, queued again, failed or cancelled.

Called by worker.py in each process of the pool, and inline by the command line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog
from sqlalchemy import Connection

from sopilot.core.errors import (
    JobCancelled,
    JobFinished,
    LeaseLost,
    SopilotError,
    StoreError,
    WorkerLost,
)
from sopilot.core.log import get_logger
from sopilot.core.records import Progress, no_progress
from sopilot.jobs.context import Heart, JobContext, Kind, WorkerStopping
from sopilot.jobs.owner import is_owner_dead, new_owner
from sopilot.jobs.queries import (
    Lease,
    claim,
    fail,
    get_job,
    has_ready,
    open_kinds,
    release,
    request_cancel,
    running_leases,
    take_lost,
)
from sopilot.jobs.records import Job, JobState
from sopilot.jobs.retry import named, retry_after_sec
from sopilot.jobs.stop import Stop
from sopilot.jobs.transport import TableTransport, Transport
from sopilot.store.engine import Database
from sopilot.store.times import now_text

log = get_logger(__name__)

Kinds = Mapping[str, Kind]

_AFTER_TROUBLE_SEC = 2.0


def run_worker(
    database: Database,
    kinds: Kinds,
    stop: Stop,
    *,
    lease_sec: float = 30.0,
    queue: str = "default",
    transport: Transport | None = None,
    grace_sec: float = 2.0,
    is_burst: bool = False,
) -> None:
    """Work on jobs of these kinds until `stop` is set; a burst also ends when no job is ready.

    A handler that reports progress is interrupted `grace_sec` seconds after `stop` and its job
    goes back to the queue. A database that does not answer is waited for; in a burst its
    StoreError is raised.
    """
    transport = transport or TableTransport()
    worker = _Worker(database, kinds, stop, new_owner(), lease_sec, queue, grace_sec)
    last_work = time.monotonic()
    while not stop.is_set():
        try:
            if worker.work_once():
                last_work = time.monotonic()
                continue
        except StoreError as error:
            if is_burst:
                raise
            log.warning("worker.database_unavailable", reason=error.message)
            stop.wait(_AFTER_TROUBLE_SEC)
        if is_burst:
            return
        transport.wait(stop, time.monotonic() - last_work)


def run_until_finished(
    database: Database,
    kinds: Kinds,
    job_id: int,
    progress: Progress = no_progress,
    *,
    lease_sec: float = 30.0,
    poll_sec: float = 0.1,
) -> Job:
    """Work on one job in this thread until it has reached an end state, and return it then.

    When a worker elsewhere holds it, wait for that one. An interrupt (KeyboardInterrupt, or
    JobCancelled raised by `progress`) cancels the job. Raises JobNotFound, StoreError.
    """
    worker = _Worker(database, kinds, _Never(), new_owner(), lease_sec, "", 0.0, progress)
    while True:
        worker.recover_lost()
        with database.write() as connection:
            claimed = claim(connection, worker.owner, lease_sec, kinds=[*kinds], job_id=job_id)
        if claimed is not None:
            worker.work_on(claimed)
        with database.read() as connection:
            job = get_job(connection, job_id)
        if job.is_finished:
            return job
        if claimed is None:
            _watch(worker, job, poll_sec)


def cancel_job(
    database: Database,
    kinds: Kinds,
    job_id: int | str,
    on_request: Callable[[Connection, Job], None] | None = None,
) -> Job:
    """Cancel a job: a queued one at once, with its kind's clean-up; a running one when its worker
    looks (within a second).

    on_request: told of it in the same transaction, after the clean-up; the clean-up's error then
    has the detail `is_recorded`, so that it need not say the same.

    Raises JobFinished for a job in an end state, JobNotFound.
    """
    with database.write() as connection:
        job = request_cancel(connection, job_id)
        if job.state is JobState.CANCELLED:
            details = {"is_recorded": on_request is not None}
            error = JobCancelled(f"job {job.id} was cancelled", details)
            _clean_up(connection, kinds, job, error)
        if on_request is not None:
            on_request(connection, job)
    return job


def _watch(worker: _Worker, job: Job, poll_sec: float) -> None:
    """Follow a job that waits for its next attempt or that another worker holds."""
    try:
        worker.listener(job.progress)
        time.sleep(poll_sec)
    except (KeyboardInterrupt, JobCancelled) as interrupt:
        worker.listener = no_progress
        with suppress(JobFinished):
            cancel_job(worker.database, worker.kinds, job.id)
        if isinstance(interrupt, KeyboardInterrupt):
            raise


def _clean_up(connection: Connection, kinds: Kinds, job: Job, error: SopilotError) -> None:
    kind = kinds.get(job.kind)
    if kind is None or kind.on_failure is None:
        return
    try:
        with connection.begin_nested():
            kind.on_failure(connection, job, error)
    except Exception:
        # The job must end even where its clean-up is defective.
        log.exception("job.on_failure_crashed", job_id=job.id)


class _Never:
    """The Stop of a caller that cannot be stopped from outside."""

    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float | None = None) -> bool:
        time.sleep(timeout or 0.0)
        return False


class _Worker:
    """One worker and what it needs to know; lives as long as its loop."""

    def __init__(
        self,
        database: Database,
        kinds: Kinds,
        stop: Stop,
        owner: str,
        lease_sec: float,
        queue: str,
        grace_sec: float,
        listener: Progress = no_progress,
    ) -> None:
        self.database = database
        self.kinds = kinds
        self.stop = stop
        self.owner = owner
        self.lease_sec = lease_sec
        self.queue = queue
        self.grace_sec = grace_sec
        self.listener = listener

    def work_once(self) -> bool:
        """Recover what vanished workers left, then work on one job; whether there was one."""
        self.recover_lost()
        limits = {name: kind.most_at_once for name, kind in self.kinds.items()}
        with self.database.read() as connection:
            if not has_ready(connection, open_kinds(connection, limits), self.queue):
                return False
        with self.database.write() as connection:
            names = open_kinds(connection, limits, will_claim=True)
            job = claim(connection, self.owner, self.lease_sec, kinds=names, queue=self.queue)
        if job is None:
            return False
        self.work_on(job)
        return True

    def recover_lost(self) -> None:
        """Queue again, or end, the jobs whose worker is dead or silent beyond its lease."""
        with self.database.read() as connection:
            leases = running_leases(connection, [*self.kinds])
        for lease in leases:
            if lease.until < now_text() or is_owner_dead(lease.owner):
                self._recover(lease)

    def _recover(self, lease: Lease) -> None:
        with self.database.write() as connection:
            job = take_lost(connection, lease)
            if job is None:
                return
            error = WorkerLost(
                f"the worker of job {job.id} vanished in attempt {job.attempt} of "
                f"{job.max_attempts}; look for the reason in the server log, then submit it again"
            )
            # At once: the pause is for causes outside, and a killed server should just go on.
            pause = None if job.attempt >= self._max_attempts(job) else 0.0
            after = self._end_attempt(connection, job, error, pause)
        log.warning("job.worker_lost", job_id=after.id, owner=lease.owner, state=after.state)

    def work_on(self, job: Job) -> None:
        """Run the handler of a claimed job and end the attempt, whatever comes of it."""
        heart = Heart(job, self.database, self.lease_sec, self.stop, self.grace_sec)
        context = JobContext(job, self.database, heart, self.listener)
        with structlog.contextvars.bound_contextvars(job_id=job.id, kind=job.kind):
            log.info("job.started", attempt=job.attempt, fence=job.fence)
            started = time.monotonic()
            heart.start()
            try:
                self._handle(context)
            finally:
                heart.end()
            duration_ms = round((time.monotonic() - started) * 1000)
            log.info("job.attempt_ended", committed=context.is_committed, duration_ms=duration_ms)

    def _handle(self, context: JobContext) -> None:
        job = context.job
        try:
            self.kinds[job.kind].handler(context)
            if not context.is_committed:
                with context.commit():
                    pass
        except WorkerStopping:
            self._give_back(job)
        except LeaseLost as error:
            log.warning("job.lease_lost", reason=error.message)
        except Exception as error:
            if context.is_committed:
                log.exception("job.failed_after_commit")
                return
            if not isinstance(error, SopilotError):
                log.exception("job.crashed")
            self._fail(job, named(error))
        except KeyboardInterrupt:
            if not context.is_committed:
                self._fail(job, JobCancelled("interrupted by the user"))
            raise

    def _fail(self, job: Job, error: SopilotError) -> None:
        pause = retry_after_sec(error, job.attempt, self._max_attempts(job))
        try:
            with self.database.write() as connection:
                after = self._end_attempt(connection, job, error, pause)
        except LeaseLost as lost:
            log.warning("job.lease_lost", reason=lost.message)
        else:
            log.warning("job.attempt_failed", state=after.state, code=error.code, pause_sec=pause)

    def _end_attempt(
        self, connection: Connection, job: Job, error: SopilotError, pause: float | None
    ) -> Job:
        after = fail(connection, job, error, pause)
        if after.state is JobState.CANCELLED and not isinstance(error, JobCancelled):
            error = JobCancelled(f"job {job.id} was cancelled")
        if after.is_finished:
            _clean_up(connection, self.kinds, after, error)
        return after

    def _give_back(self, job: Job) -> None:
        try:
            with self.database.write() as connection:
                release(connection, job)
        except JobCancelled as error:
            self._fail(job, error)
        except LeaseLost as error:
            log.warning("job.lease_lost", reason=error.message)
        else:
            log.info("job.released")

    def _max_attempts(self, job: Job) -> int:
        cap = self.kinds[job.kind].max_attempts
        return job.max_attempts if cap is None else min(cap, job.max_attempts)
