"""The promises of the job engine, in one process, on both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import delete, select, update

from sopilot.core.errors import (
    BadUpload,
    JobCancelled,
    JobFinished,
    JobNotFound,
    LeaseLost,
    SopilotError,
    StoreError,
)
from sopilot.jobs.context import Heart, JobContext, Kind
from sopilot.jobs.loop import cancel_job, run_until_finished, run_worker
from sopilot.jobs.owner import new_owner
from sopilot.jobs.queries import (
    claim,
    complete,
    count_jobs,
    enqueue,
    get_job,
    has_ready,
    heartbeat,
    open_kinds,
    request_cancel,
    running_leases,
    take_lost,
)
from sopilot.jobs.records import Job, JobState
from sopilot.store.engine import Database, open_database
from sopilot.store.tables import derived, jobs
from sopilot.store.times import after_text, now_text, parse_text


def submit(database: Database, kind: str = "work", **options) -> Job:
    with database.write() as connection:
        return enqueue(connection, kind, {"n": 1}, requested_by="test", **options)


def take(database: Database, lease_sec: float = 30.0, owner: str = "somebody") -> Job | None:
    with database.write() as connection:
        return claim(connection, owner, lease_sec, kinds=["work"])


def look(database: Database, job: Job) -> Job:
    with database.read() as connection:
        return get_job(connection, job.id)


def hasten(database: Database) -> None:
    """Let every pause be over."""
    with database.write() as connection:
        connection.execute(update(jobs).values(run_after=now_text()))


def write_row(connection, kind: str) -> None:
    connection.execute(
        derived.insert().values(
            content_sha256="c",
            kind=kind,
            producer="p",
            blob_sha256="b",
            size_bytes=0,
            meta={},
            created_at=now_text(),
        )
    )


def written(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(derived.c.kind).order_by(derived.c.id)).scalars())


def run_once(database: Database, kind: Kind, job: Job) -> Job:
    """Work until no job is ready, like a worker that is then stopped."""
    stop = StopWhenIdle()
    run_worker(database, {"work": kind}, stop, transport=stop)
    return look(database, job)


class StopWhenIdle(threading.Event):
    """A stop, and a transport that sets it when the worker has nothing left to do."""

    def wake(self, job_id: int) -> None:
        raise AssertionError("a worker wakes nobody")

    def wait(self, stop=None, idle_sec=None) -> bool:
        if stop is self:
            self.set()
            return True
        return super().wait(stop)


def test_enqueue_belongs_to_the_callers_transaction(database: Database) -> None:
    def submit_and_fail() -> None:
        with database.write() as connection:
            enqueue(connection, "work", {}, requested_by="test")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        submit_and_fail()
    with database.read() as connection:
        assert count_jobs(connection) == {}


def test_job_is_found_by_id_and_by_uid(database: Database) -> None:
    job = submit(database)
    with database.read() as connection:
        for name in (job.id, str(job.id), job.uid, job.uid.upper()):
            assert get_job(connection, name) == job
        for name in (job.id + 1, 0, -1, 2**40, str(2**40), "\uff11", "nonsense"):
            with pytest.raises(JobNotFound):
                get_job(connection, name)


def test_jobs_are_claimed_in_order_and_only_of_known_kinds_and_queue(database: Database) -> None:
    submit(database, "other")
    submit(database, queue="elsewhere")
    first, second = submit(database), submit(database)
    with database.read() as connection:
        assert has_ready(connection, ["work"], "default")
        assert not has_ready(connection, ["nothing"], "default")
    claimed = [take(database), take(database)]
    assert [job.id for job in claimed if job] == [first.id, second.id]
    assert take(database) is None
    with database.read() as connection:
        assert count_jobs(connection)[("work", JobState.RUNNING)] == 2
        assert {get_job(connection, job.id).state for job in (first, second)} == {JobState.RUNNING}


def test_a_limited_kind_runs_so_often_at_once_whoever_asks(database: Database) -> None:
    """Several workers look at the same moment; other kinds go on meanwhile."""
    limits = {"work": 2, "other": None}
    for _ in range(6):
        submit(database)
    submit(database, "other")

    def claim_one(owner: str) -> Job | None:
        with database.write() as connection:
            kinds = open_kinds(connection, limits, will_claim=True)
            return claim(connection, owner, 30.0, kinds=kinds)

    with ThreadPoolExecutor(4) as pool:
        taken = [job for job in pool.map(claim_one, [f"w{i}" for i in range(6)]) if job]
    assert sorted(job.kind for job in taken) == ["other", "work", "work"]
    with database.write() as connection:
        complete(connection, next(job for job in taken if job.kind == "work"))
    assert (one := claim_one("w9")) is not None
    assert one.kind == "work"
    assert claim_one("w10") is None


def test_a_worker_leaves_a_full_kind_alone(database: Database) -> None:
    held = submit(database)
    assert take(database) is not None
    waiting = submit(database)
    done = run_once(database, Kind(lambda context: None, most_at_once=1), waiting)
    assert done.state is JobState.QUEUED
    with database.write() as connection:
        complete(connection, look(database, held))
    assert (
        run_once(database, Kind(finish_with_commit, most_at_once=1), waiting).state
        is JobState.COMPLETED
    )


def test_racing_workers_never_get_the_same_job(database: Database) -> None:
    submitted = {submit(database).id for _ in range(40)}

    def drain(_number: int) -> list[int]:
        mine = []
        while job := take(database):
            mine.append(job.id)
        return mine

    with ThreadPoolExecutor(8) as threads:
        claimed = [number for mine in threads.map(drain, range(8)) for number in mine]
    assert sorted(claimed) == sorted(submitted)


def test_handler_without_commit_is_completed_after_it_returns(database: Database) -> None:
    job = run_once(database, Kind(lambda context: context.progress(0.3)), submit(database))
    assert (job.state, job.attempt, job.fence, job.progress) == (JobState.COMPLETED, 1, 1, 1.0)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.lease_owner is None


def test_result_and_completion_are_one_transaction(database: Database) -> None:
    def handler(context: JobContext) -> None:
        with context.commit() as connection:
            write_row(connection, "half")
            raise BadUpload("found at the last moment")

    job = run_once(database, Kind(handler), submit(database))
    assert (job.state, job.error_code) == (JobState.FAILED, "UNSUPPORTED_MEDIA")
    assert written(database) == []


def test_orphan_loses_its_lease_and_writes_nothing(database: Database) -> None:
    submitted = submit(database)
    fences = []

    def handler(context: JobContext) -> None:
        fences.append(context.job.fence)
        if context.job.fence == 1:
            # Silent beyond its lease: somebody else does the work meanwhile.
            with database.write() as connection:
                connection.execute(update(jobs).values(lease_until=after_text(-1.0)))
            assert run_once(database, Kind(handler), submitted).state is JobState.COMPLETED
            with pytest.raises(LeaseLost), context.commit():
                raise AssertionError("the body must not run")
            with pytest.raises(LeaseLost), database.write() as connection:
                heartbeat(connection, context.job, 30.0)
        with context.commit() as connection:
            write_row(connection, f"fence {context.job.fence}")

    job = run_once(database, Kind(handler), submitted)
    assert fences == [1, 2]
    assert written(database) == ["fence 2"]
    assert (job.state, job.attempt) == (JobState.COMPLETED, 2)


def test_heartbeat_keeps_a_job_from_being_taken(database: Database) -> None:
    submit(database)
    job = take(database, lease_sec=-1.0)
    assert job is not None
    with database.read() as connection:
        (seen,) = running_leases(connection, ["work"])
    with database.write() as connection:
        assert heartbeat(connection, job, 30.0, 0.25) is False
    with database.write() as connection:
        assert take_lost(connection, seen) is None
    assert look(database, job).progress == 0.25


def test_worker_lost_too_often_fails_the_job(database: Database) -> None:
    job = submit(database, max_attempts=2)
    ended, runs = [], []

    def handler(context: JobContext) -> None:
        runs.append(context.job.attempt)
        with database.write() as connection:
            connection.execute(update(jobs).values(lease_until=after_text(-1.0)))
        raise SystemExit  # what a killed process leaves: a running job and no worker

    kind = Kind(handler, lambda _connection, _job, error: ended.append(error.code))
    for _ in range(2):
        with pytest.raises(SystemExit):
            run_once(database, kind, job)
    job = run_once(database, kind, job)
    assert runs == [1, 2]
    assert (job.state, job.error_code, job.attempt) == (JobState.FAILED, "WORKER_LOST", 2)
    assert ended == ["WORKER_LOST"]


def test_lease_of_a_dead_local_process_is_taken_at_once(database: Database) -> None:
    job = submit(database)
    host, node, pid, start, nonce = new_owner().split(":")
    dead = ":".join((host, node, pid, str(int(start) - 1), nonce))
    assert take(database, lease_sec=3600.0, owner=dead) is not None
    job = run_once(database, Kind(lambda context: None), job)
    assert (job.state, job.attempt, job.fence) == (JobState.COMPLETED, 2, 2)


@pytest.mark.parametrize(
    "owner", [new_owner(), "other:0123456789abcdef:1:1:x", "nonsense"], ids=["own", "other", "odd"]
)
def test_lease_of_a_living_or_unknown_process_is_respected(database: Database, owner: str) -> None:
    job = submit(database)
    assert take(database, lease_sec=3600.0, owner=owner) is not None
    job = run_once(database, Kind(lambda context: None), job)
    assert (job.state, job.fence) == (JobState.RUNNING, 1)


def test_queued_job_is_cancelled_at_once(database: Database) -> None:
    job = submit(database)
    cleaned = []
    kinds = {"work": Kind(lambda context: None, lambda _c, _job, error: cleaned.append(error.code))}
    assert cancel_job(database, kinds, job.id).state is JobState.CANCELLED
    assert cleaned == ["JOB_CANCELLED"]
    assert take(database) is None
    with pytest.raises(JobFinished, match="cancelled"), database.write() as connection:
        request_cancel(connection, job.uid)


def finish_quietly(context: JobContext) -> None:
    pass


def finish_with_commit(context: JobContext) -> None:
    with context.commit() as connection:
        write_row(connection, "must not be")


def err_finally(context: JobContext) -> None:
    raise BadUpload("bad")


def err_transiently(context: JobContext) -> None:
    raise StoreError("away")


def crash(context: JobContext) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "ending", [finish_quietly, finish_with_commit, err_finally, err_transiently, crash]
)
def test_running_job_stays_cancelled_whatever_its_handler_does(database: Database, ending) -> None:
    def handler(context: JobContext) -> None:
        with database.write() as connection:
            assert request_cancel(connection, context.job.id).state is JobState.RUNNING
        ending(context)

    job = run_once(database, Kind(handler), submit(database))
    assert (job.state, job.attempt, job.error_code) == (JobState.CANCELLED, 1, None)
    assert written(database) == []


def test_progress_tells_the_handler_of_a_cancel(database: Database) -> None:
    def handler(context: JobContext) -> None:
        with database.write() as connection:
            request_cancel(connection, context.job.id)
        while True:
            context.progress(0.5)

    stop = StopWhenIdle()
    job = submit(database)
    run_worker(database, {"work": Kind(handler)}, stop, transport=stop, lease_sec=0.3)
    assert look(database, job).state is JobState.CANCELLED


def test_deleted_job_takes_its_result_with_it(database: Database) -> None:
    def handler(context: JobContext) -> None:
        with database.write() as connection:
            connection.execute(delete(jobs).where(jobs.c.id == context.job.id))
        finish_with_commit(context)

    job = submit(database)
    stop = StopWhenIdle()
    run_worker(database, {"work": Kind(handler)}, stop, transport=stop)
    assert written(database) == []
    with pytest.raises(JobNotFound):
        look(database, job)


def test_retryable_error_is_tried_again_with_growing_pauses(database: Database) -> None:
    job = submit(database, max_attempts=3)
    pauses = []
    for _ in range(3):
        job = run_once(database, Kind(err_transiently), job)
        pauses.append(
            round((parse_text(job.run_after) - parse_text(job.updated_at)).total_seconds())
        )
        hasten(database)
    assert pauses[:2] == [5, 10]
    assert (job.state, job.attempt, job.fence) == (JobState.FAILED, 3, 3)
    assert (job.error_code, job.error_message) == ("TRANSIENT_ERROR", "away")


def test_success_after_a_failed_attempt_leaves_no_error(database: Database) -> None:
    def handler(context: JobContext) -> None:
        if context.job.attempt == 1:
            raise StoreError("away")

    job = run_once(database, Kind(handler), submit(database))
    assert (job.state, job.error_code) == (JobState.QUEUED, "TRANSIENT_ERROR")
    hasten(database)
    job = run_once(database, Kind(handler), job)
    assert (job.state, job.error_code, job.attempt) == (JobState.COMPLETED, None, 2)


@pytest.mark.parametrize(
    ("handler", "code"), [(err_finally, "UNSUPPORTED_MEDIA"), (crash, "INTERNAL_ERROR")]
)
def test_final_error_is_not_tried_again(database: Database, handler, code: str) -> None:
    job = run_once(database, Kind(handler), submit(database))
    assert (job.state, job.attempt, job.error_code) == (JobState.FAILED, 1, code)


def test_kind_caps_the_attempts(database: Database) -> None:
    job = run_once(database, Kind(err_transiently, max_attempts=1), submit(database))
    assert (job.state, job.attempt) == (JobState.FAILED, 1)


def test_clean_up_happens_with_the_failure_and_only_at_the_end(database: Database) -> None:
    job = submit(database, max_attempts=2)
    kind = Kind(err_transiently, lambda connection, job, error: write_row(connection, job.state))
    run_once(database, kind, job)
    assert written(database) == []
    hasten(database)
    run_once(database, kind, job)
    assert written(database) == ["failed"]


def test_defective_clean_up_does_not_keep_a_job_alive(database: Database) -> None:
    def clean_up(connection, job, error) -> None:
        write_row(connection, "half")
        raise ZeroDivisionError

    job = run_once(database, Kind(err_finally, clean_up), submit(database))
    assert job.state is JobState.FAILED
    assert written(database) == []


def test_error_after_the_commit_changes_nothing(database: Database) -> None:
    def handler(context: JobContext) -> None:
        finish_with_commit(context)
        raise BadUpload("too late")

    job = run_once(database, Kind(handler), submit(database))
    assert (job.state, job.error_code) == (JobState.COMPLETED, None)


def test_stopping_worker_gives_its_job_back_uncounted(database: Database) -> None:
    stop = StopWhenIdle()

    def handler(context: JobContext) -> None:
        stop.set()
        while True:
            context.progress(0.5)

    job = submit(database)
    run_worker(database, {"work": Kind(handler)}, stop, grace_sec=0.05)
    job = look(database, job)
    assert (job.state, job.attempt, job.fence) == (JobState.QUEUED, 0, 1)
    assert job.lease_owner is None


def test_stopping_worker_may_finish_within_the_grace(database: Database) -> None:
    stop = StopWhenIdle()

    def handler(context: JobContext) -> None:
        stop.set()
        context.progress(0.9)

    job = submit(database)
    run_worker(database, {"work": Kind(handler)}, stop, grace_sec=60.0)
    assert look(database, job).state is JobState.COMPLETED


def test_inline_run_reports_progress_and_returns_the_ended_job(database: Database) -> None:
    shares: list[float] = []
    waiting, job = submit(database), submit(database)
    kinds = {"work": Kind(lambda context: context.progress(0.5))}
    assert run_until_finished(database, kinds, job.id, shares.append).state is JobState.COMPLETED
    assert shares == [0.5]
    assert look(database, waiting).state is JobState.QUEUED


def test_inline_run_waits_for_a_worker_that_holds_the_job(database: Database) -> None:
    job = submit(database)
    held = take(database)
    assert held is not None
    shares: list[float] = []

    def progress(share: float) -> None:
        shares.append(share)
        if len(shares) == 2:
            with JobContext(held, database, heart=None).commit() as connection:
                write_row(connection, "elsewhere")

    def handler(context: JobContext) -> None:
        raise AssertionError("must not run twice")

    done = run_until_finished(database, {"work": Kind(handler)}, job.id, progress, poll_sec=0.01)
    assert (done.state, done.fence) == (JobState.COMPLETED, 1)


def test_interrupt_of_an_inline_run_cancels_the_job(database: Database) -> None:
    def handler(context: JobContext) -> None:
        raise KeyboardInterrupt

    job = submit(database)
    with pytest.raises(KeyboardInterrupt):
        run_until_finished(database, {"work": Kind(handler)}, job.id)
    assert look(database, job).state is JobState.CANCELLED


def test_progress_of_an_inline_run_can_cancel_a_waiting_job(database: Database) -> None:
    def progress(_share: float) -> None:
        raise JobCancelled("enough")

    kind = Kind(err_transiently)
    job = run_once(database, kind, submit(database))
    done = run_until_finished(database, {"work": kind}, job.id, progress, poll_sec=0.01)
    assert (done.state, done.attempt) == (JobState.CANCELLED, 1)


def test_a_heart_that_breaks_ends_the_attempt(database: Database) -> None:
    """Without its heartbeat a handler would work on for a result that nobody may keep."""
    submit(database)
    job = take(database)
    assert job is not None
    # No driver can send it: a defect of the program, not trouble with the database.
    heart = Heart(replace(job, fence=cast(int, object())), database, 0.03, threading.Event())
    heart.start()
    assert heart._thread is not None
    heart._thread.join(10.0)
    with pytest.raises(SopilotError, match="unexpected"):
        heart.check()
    heart.end()


def test_a_burst_ends_when_no_job_is_ready(database: Database) -> None:
    jobs_done = [submit(database), submit(database)]
    run_worker(database, {"work": Kind(lambda context: None)}, threading.Event(), is_burst=True)
    assert [look(database, job).state for job in jobs_done] == [JobState.COMPLETED] * 2


def test_a_burst_without_a_database_fails(tmp_path: Path) -> None:
    path = tmp_path / "sopilot.db"
    database = open_database(f"sqlite:///{path}")
    database.engine.dispose()
    path.write_bytes(b"damaged " * 2000)
    with pytest.raises(StoreError):
        run_worker(database, {"work": Kind(lambda context: None)}, threading.Event(), is_burst=True)
    database.close()
