"""The state machine under any order of calls, by right and by orphaned workers."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import update

from sopilot.core.errors import (
    BadUpload,
    JobCancelled,
    JobFinished,
    LeaseLost,
    SopilotError,
    StoreError,
)
from sopilot.jobs import queries
from sopilot.jobs.records import END_STATES, Job, JobState
from sopilot.store.engine import Database, open_database
from sopilot.store.tables import jobs
from sopilot.store.times import now_text

_LEGAL = {
    (JobState.QUEUED, JobState.RUNNING),
    (JobState.QUEUED, JobState.CANCELLED),
    (JobState.RUNNING, JobState.QUEUED),
    *((JobState.RUNNING, end) for end in END_STATES),
}


@lru_cache(maxsize=1)
def shared_database() -> Database:
    # One file for all examples: opening costs more than a whole example.
    folder = tempfile.mkdtemp(prefix="sopilot-states-")
    atexit.register(shutil.rmtree, folder)
    return open_database(f"sqlite:///{folder}/sopilot.db")


class JobMachine(RuleBasedStateMachine):
    """One job, its present worker, and every worker that ever had it."""

    @initialize(max_attempts=st.integers(1, 3))
    def begin(self, max_attempts: int) -> None:
        self.database = shared_database()
        with self.database.write() as connection:
            self.job = queries.enqueue(
                connection, "work", {}, requested_by="test", max_attempts=max_attempts
            )
        self.claims: list[Job] = []
        self.cancel_asked = False

    def move(self, change, *, allowed: bool) -> None:
        """Make a change and check that it happened exactly when it may."""
        before = self.job
        try:
            with self.database.write() as connection:
                change(connection)
            refused = False
        except (LeaseLost, JobCancelled, JobFinished):
            refused = True
        with self.database.read() as connection:
            self.job = queries.get_job(connection, before.id)
        assert refused == (not allowed)
        if refused:
            assert self.job == before
        if self.job.state is not before.state:
            assert (before.state, self.job.state) in _LEGAL

    def holds(self, claim: Job) -> bool:
        return self.job.state is JobState.RUNNING and self.job.fence == claim.fence

    @rule()
    def claim(self) -> None:
        ready = self.job.state is JobState.QUEUED
        with self.database.write() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == self.job.id, jobs.c.state == JobState.QUEUED)
                .values(run_after=now_text())  # every pause is over
            )
            claimed = queries.claim(connection, "w", 30.0, kinds=["work"], job_id=self.job.id)
        assert (claimed is not None) == ready
        if claimed is not None:
            assert claimed.fence == self.job.fence + 1
            self.claims.append(claimed)
            self.job = claimed

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        allowed = self.holds(claim) and not self.cancel_asked
        self.move(lambda connection: queries.complete(connection, claim), allowed=allowed)

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        error=st.sampled_from([BadUpload("x"), StoreError("x"), JobCancelled("x")]),
        pause=st.sampled_from([None, 0.0, 60.0]),
    )
    def fail(self, data: st.DataObject, error: SopilotError, pause: float | None) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        allowed = self.holds(claim)
        self.move(lambda connection: queries.fail(connection, claim, error, pause), allowed=allowed)
        if allowed and self.cancel_asked:
            assert self.job.state is JobState.CANCELLED

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        allowed = self.holds(claim) and not self.cancel_asked
        self.move(lambda connection: queries.release(connection, claim), allowed=allowed)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        self.move(
            lambda connection: queries.heartbeat(connection, claim, 30.0, 0.5),
            allowed=self.holds(claim),
        )

    @rule()
    def cancel(self) -> None:
        allowed = not self.job.is_finished
        self.move(
            lambda connection: queries.request_cancel(connection, self.job.id), allowed=allowed
        )
        self.cancel_asked = self.cancel_asked or allowed

    @invariant()
    def a_lease_belongs_to_a_running_job(self) -> None:
        if hasattr(self, "job"):
            assert (self.job.lease_owner is not None) == (self.job.state is JobState.RUNNING)
            assert (self.job.finished_at is not None) == self.job.is_finished
            assert self.job.state is not JobState.COMPLETED or not self.cancel_asked
            assert 0 <= self.job.attempt <= self.job.fence == len(self.claims)


JobMachine.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestJobMachine = JobMachine.TestCase
