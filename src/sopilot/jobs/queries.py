"""All SQL of jobs. Every function takes a Connection first and never commits.

No UPDATE here touches a row in an end state, and none of a running job succeeds without its
fence: that is the whole state machine.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Update,
    and_,
    func,
    select,
    text,
    update,
)

from sopilot.core.errors import JobCancelled, JobFinished, JobNotFound, LeaseLost, SopilotError
from sopilot.jobs.records import END_STATES, Job, JobState, job_of
from sopilot.store.ids import row_name
from sopilot.store.tables import jobs
from sopilot.store.tallies import Tally, count, observe
from sopilot.store.times import after_text, now_text, seconds_between

_CLAIM_LOCK = 0x6A_6F_62_73  # any fixed number: who claims a job of a limited kind waits for it
_NO_LEASE: Mapping[str, Any] = {"lease_owner": None, "lease_until": None}
_NO_ERROR: Mapping[str, Any] = {"error_code": None, "error_message": None, "error_details": None}


def enqueue(
    connection: Connection,
    kind: str,
    payload: Mapping[str, Any],
    *,
    requested_by: str,
    queue: str = "default",
    max_attempts: int = 3,
    uid: str | None = None,
) -> Job:
    """Insert a queued job in the caller's transaction: it exists if and only if that commits.

    uid: a lower-case UUID that the caller has drawn, to find the job by after a crash.
    """
    now = now_text()
    values = {
        "uid": uid or str(uuid.uuid4()),
        "kind": kind,
        "queue": queue,
        "state": JobState.QUEUED,
        "payload": dict(payload),
        "requested_by": requested_by,
        "attempt": 0,
        "max_attempts": max_attempts,
        "run_after": now,
        "fence": 0,
        "progress": 0.0,
        "cancel_requested": False,
        "created_at": now,
        "updated_at": now,
    }
    job = job_of(connection.execute(jobs.insert().values(values).returning(jobs)).one())
    return _counted(connection, job)


def get_job(connection: Connection, job: int | str) -> Job:
    """The job of an id or a uid. Raises JobNotFound."""
    row = connection.execute(select(jobs).where(_is_named(job))).one_or_none()
    if row is None:
        raise JobNotFound(f"there is no job {job}")
    return job_of(row)


def _is_named(job: int | str) -> ColumnElement[bool]:
    name = row_name(job)
    return jobs.c.id == name if isinstance(name, int) else jobs.c.uid == name


def count_jobs(connection: Connection) -> dict[tuple[str, JobState], int]:
    """How many jobs there are of each (kind, state); absent pairs are zero."""
    rows = connection.execute(
        select(jobs.c.kind, jobs.c.state, func.count()).group_by(jobs.c.kind, jobs.c.state)
    )
    return {(kind, JobState(state)): count for kind, state, count in rows}


def busy_workers(connection: Connection) -> dict[str, int]:
    """Per kind, how many workers hold a job with a lease that has not run out."""
    rows = connection.execute(
        select(jobs.c.kind, func.count(jobs.c.lease_owner.distinct()))
        .where(jobs.c.state == JobState.RUNNING, jobs.c.lease_until >= now_text())
        .group_by(jobs.c.kind)
    )
    return {kind: int(number) for kind, number in rows}


# ---- claiming ---------------------------------------------------------------------------------


def is_waiting(connection: Connection, kind: str) -> bool:
    """Is a job of this kind queued?"""
    query = select(jobs.c.id).where(jobs.c.kind == kind, jobs.c.state == JobState.QUEUED).limit(1)
    return connection.execute(query).first() is not None


def open_kinds(
    connection: Connection, limits: Mapping[str, int | None], *, will_claim: bool = False
) -> list[str]:
    """The kinds of which another job may run now. limits: per kind, how many at once; None = any.

    will_claim: nobody else takes a job of a limited kind before this transaction ends.
    """
    if all(limit is None for limit in limits.values()):
        return [*limits]
    if will_claim and connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _CLAIM_LOCK})
    running = busy_workers(connection)
    return [kind for kind, most in limits.items() if most is None or running.get(kind, 0) < most]


def has_ready(connection: Connection, kinds: Sequence[str], queue: str) -> bool:
    """Whether a claim would find something; a cheap read before the write lock is taken."""
    return connection.execute(select(_next_ready(kinds, queue))).scalar() is not None


def claim(
    connection: Connection,
    owner: str,
    lease_sec: float,
    *,
    kinds: Sequence[str],
    queue: str = "default",
    job_id: int | None = None,
) -> Job | None:
    """Take the job that has waited longest (or the one named), with a lease and a new fence.

    Two callers never get the same job: SQLite has one writer, PostgreSQL skips locked rows. Leases
    are measured by the clocks of the workers: between machines, keep the clocks closer than a
    lease (the fence keeps results right even if they are not).
    """
    if job_id is None:
        chosen = jobs.c.id == _next_ready(kinds, queue, lock=True)
    else:
        chosen = and_(jobs.c.id == job_id, jobs.c.run_after <= now_text())
    now = now_text()
    row = connection.execute(
        update(jobs)
        .where(chosen, jobs.c.state == JobState.QUEUED)
        .values(
            state=JobState.RUNNING,
            attempt=jobs.c.attempt + 1,
            fence=jobs.c.fence + 1,
            lease_owner=owner,
            lease_until=after_text(lease_sec),
            progress=0.0,
            started_at=func.coalesce(jobs.c.started_at, now),
            updated_at=now,
        )
        .returning(jobs)
    ).one_or_none()
    return None if row is None else _counted(connection, job_of(row))


def _next_ready(kinds: Sequence[str], queue: str, *, lock: bool = False) -> ScalarSelect[Any]:
    ready = jobs.alias("ready")
    statement = (
        select(ready.c.id)
        .where(
            ready.c.queue == queue,
            ready.c.state == JobState.QUEUED,
            ready.c.run_after <= now_text(),
            ready.c.kind.in_(kinds),
        )
        .order_by(ready.c.run_after, ready.c.id)
        .limit(1)
    )
    if lock:
        statement = statement.with_for_update(skip_locked=True)
    return statement.scalar_subquery()


# ---- while it runs ----------------------------------------------------------------------------


def heartbeat(
    connection: Connection, job: Job, lease_sec: float, progress: float | None = None
) -> bool:
    """Extend the lease and store the progress; whether somebody asked to cancel.

    Raises LeaseLost when the job is not this worker's any more.
    """
    values: dict[str, Any] = {"lease_until": after_text(lease_sec), "updated_at": now_text()}
    if progress is not None:
        values["progress"] = min(1.0, max(0.0, progress))
    row = connection.execute(_owned(job).values(values).returning(jobs.c.cancel_requested))
    cancel_requested = row.scalar_one_or_none()
    if cancel_requested is None:
        raise _lease_lost(job)
    return bool(cancel_requested)


def is_cancel_requested(connection: Connection, job: Job) -> bool:
    """Whether somebody asked to cancel; a read between two heartbeats. Raises LeaseLost."""
    asked = connection.execute(
        select(jobs.c.cancel_requested).where(
            jobs.c.id == job.id, jobs.c.fence == job.fence, jobs.c.state == JobState.RUNNING
        )
    ).scalar_one_or_none()
    if asked is None:
        raise _lease_lost(job)
    return bool(asked)


def complete(connection: Connection, job: Job) -> Job:
    """Mark a running job completed; its row stays locked until the transaction ends.

    Raises LeaseLost when another worker owns it, JobCancelled when somebody asked to cancel:
    then nothing of the result may be written.
    """
    row = connection.execute(
        _owned(job)
        .where(jobs.c.cancel_requested.is_(False))
        .values(
            **_ended(JobState.COMPLETED),
            **_NO_ERROR,
            progress=1.0,
        )
        .returning(jobs)
    ).one_or_none()
    if row is None:
        raise _refused(connection, job)
    return _counted(connection, job_of(row))


def fail(
    connection: Connection, job: Job, error: SopilotError, retry_after_sec: float | None
) -> Job:
    """End an attempt: queued again after a pause, or failed for good when the pause is None.

    A job whose cancel was requested becomes cancelled instead, whatever the error was.
    Raises LeaseLost when the job is not this worker's any more.
    """
    asked = is_cancel_requested(connection, _lock(connection, job))
    values: dict[str, Any]
    if asked or isinstance(error, JobCancelled):
        values = {**_ended(JobState.CANCELLED), **_NO_ERROR}
    elif retry_after_sec is None:
        values = {**_ended(JobState.FAILED), **_error_columns(error)}
    else:
        values = {**_waiting(retry_after_sec), **_error_columns(error)}
    row = connection.execute(_owned(job).values(values).returning(jobs)).one_or_none()
    if row is None:
        raise _lease_lost(job)
    after = job_of(row)
    return _counted(connection, after) if after.is_finished else after


def release(connection: Connection, job: Job) -> Job:
    """Give a running job back unharmed: queued now, the attempt does not count.

    Raises LeaseLost when the job is not this worker's any more, JobCancelled when somebody asked
    to cancel: then it must end, not wait.
    """
    values = {**_waiting(0.0), "attempt": jobs.c.attempt - 1}
    row = connection.execute(
        _owned(job).where(jobs.c.cancel_requested.is_(False)).values(values).returning(jobs)
    ).one_or_none()
    if row is None:
        raise _refused(connection, job)
    return job_of(row)


# ---- cancelling -------------------------------------------------------------------------------


def request_cancel(connection: Connection, job_id: int | str) -> Job:
    """Cancel: a queued job at once, a running one as soon as its worker looks.

    Raises JobFinished for a job in an end state, JobNotFound.
    """
    row = connection.execute(select(jobs).where(_is_named(job_id)).with_for_update()).one_or_none()
    if row is None:
        raise JobNotFound(f"there is no job {job_id}")
    job = job_of(row)
    if job.is_finished:
        raise JobFinished(
            f"job {job.id} is already {job.state}; only a waiting or running one can be cancelled"
        )
    values: dict[str, Any] = {"cancel_requested": True, "updated_at": now_text()}
    if job.state is JobState.QUEUED:
        values |= {**_ended(JobState.CANCELLED), **_NO_ERROR}
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.state == job.state)
        .values(values)
        .returning(jobs)
    )
    after = job_of(changed.one())
    return _counted(connection, after) if after.is_finished else after


def delete_jobs(connection: Connection, job_ids: Sequence[int]) -> None:
    """Remove jobs with what they worked on; a worker that runs one loses its lease by that."""
    connection.execute(jobs.delete().where(jobs.c.id.in_(job_ids)))


# ---- workers that vanished --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a running job, and until when."""

    job_id: int
    fence: int
    owner: str
    until: str


def running_leases(connection: Connection, kinds: Sequence[str]) -> tuple[Lease, ...]:
    """The leases of all running jobs of these kinds."""
    rows = connection.execute(
        select(jobs.c.id, jobs.c.fence, jobs.c.lease_owner, jobs.c.lease_until).where(
            jobs.c.state == JobState.RUNNING, jobs.c.kind.in_(kinds)
        )
    )
    return tuple(Lease(*row) for row in rows)


def take_lost(connection: Connection, lease: Lease) -> Job | None:
    """Lock the job of a lease that has run out or whose owner is dead; None when it moved on."""
    row = connection.execute(
        select(jobs)
        .where(
            jobs.c.id == lease.job_id,
            jobs.c.fence == lease.fence,
            jobs.c.state == JobState.RUNNING,
            # A heartbeat in between proves the owner alive.
            jobs.c.lease_until == lease.until,
        )
        .with_for_update()
    ).one_or_none()
    return None if row is None else job_of(row)


# ---- pieces -----------------------------------------------------------------------------------


def _counted(connection: Connection, job: Job) -> Job:
    """The job, after the state that it has just reached was counted for the metrics."""
    count(connection, Tally.JOBS, state_label(job.kind, job.state))
    if job.started_at and job.finished_at and job.state is not JobState.CANCELLED:
        seconds = seconds_between(job.started_at, job.finished_at)
        observe(connection, Tally.JOB_SECONDS, job.kind, seconds)
    return job


def state_label(kind: str, state: JobState) -> str:
    """How the tally of jobs names a state of a kind."""
    return f"{kind} {state}"


def _owned(job: Job) -> Update:
    return update(jobs).where(
        jobs.c.id == job.id, jobs.c.fence == job.fence, jobs.c.state == JobState.RUNNING
    )


def _lock(connection: Connection, job: Job) -> Job:
    # PostgreSQL: a cancel request must not slip in between the look and the update.
    connection.execute(select(jobs.c.id).where(jobs.c.id == job.id).with_for_update())
    return job


def _ended(state: JobState) -> dict[str, Any]:
    assert state in END_STATES
    now = now_text()
    return {"state": state, "finished_at": now, "updated_at": now, **_NO_LEASE}


def _waiting(delay_sec: float) -> dict[str, Any]:
    return {
        "state": JobState.QUEUED,
        "run_after": after_text(delay_sec),
        "updated_at": now_text(),
        "progress": 0.0,
        **_NO_LEASE,
    }


def _error_columns(error: SopilotError) -> dict[str, Any]:
    return {
        "error_code": error.code,
        "error_message": error.message,
        "error_details": error.details or None,
    }


def _refused(connection: Connection, job: Job) -> SopilotError:
    is_cancel_requested(connection, job)  # raises LeaseLost when that is the reason
    return JobCancelled(f"job {job.id} was cancelled while it ran")


def _lease_lost(job: Job) -> LeaseLost:
    return LeaseLost(
        f"job {job.id} (fence {job.fence}) is not this worker's any more; its result is dropped"
    )
