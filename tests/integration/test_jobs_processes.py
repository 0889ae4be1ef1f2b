"""The promises of the job engine when processes are killed, stopped and frozen."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from sopilot.jobs.pool import WorkerPool
from sopilot.jobs.queries import count_jobs, enqueue, get_job, request_cancel
from sopilot.jobs.records import END_STATES, Job, JobState
from sopilot.jobs.transport import wait_until_finished
from sopilot.store.engine import Database
from sopilot.store.tables import derived

HERE = Path(__file__).parent
LONG_SEC = 60.0

# What does not depend on the database is shown on one of them: processes are slow to start.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Scene:
    """A database, a folder for notes, and pools that work on it."""

    def __init__(self, database: Database, url: str, folder: Path) -> None:
        self.database = database
        self.url = url
        self.notes_path = folder / "notes"
        self.go_path = folder / "go"

    def submit(self, kind: str, max_attempts: int = 3) -> Job:
        payload = {"notes": str(self.notes_path), "go": str(self.go_path)}
        with self.database.write() as connection:
            return enqueue(
                connection, kind, payload, requested_by="test", max_attempts=max_attempts
            )

    def pool(self, count: int, lease_sec: float = 600.0, grace_sec: float = 0.1) -> WorkerPool:
        arguments = {"url": self.url, "lease_sec": lease_sec, "grace_sec": grace_sec}
        return WorkerPool("job_targets:work", arguments, count)

    def notes(self, word: str) -> list[list[int]]:
        """[job id, fence, pid] of every note of this word."""
        if not self.notes_path.exists():
            return []
        lines = [line.split() for line in self.notes_path.read_text().splitlines()]
        return [[int(part) for part in line[1:]] for line in lines if line[0] == word]

    def results(self) -> list[tuple[str, str]]:
        with self.database.read() as connection:
            columns = derived.c.content_sha256, derived.c.producer
            return [tuple(row) for row in connection.execute(select(*columns))]

    def look(self, job: Job) -> Job:
        with self.database.read() as connection:
            return get_job(connection, job.id)

    def finish(self, job: Job) -> Job:
        return wait_until_finished(self.database, job.id, LONG_SEC)


@pytest.fixture
def scene(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Scene:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    return Scene(database, database_url, tmp_path)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG_SEC
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return text[text.rindex(")") + 2] == "Z"


def test_processes_share_the_jobs_and_run_each_once(scene: Scene) -> None:
    jobs = [scene.submit("quick") for _ in range(30)]
    with scene.pool(3):
        for job in jobs:
            assert scene.finish(job).state is JobState.COMPLETED
    ran = scene.notes("ran")
    assert sorted(job_id for job_id, _fence, _pid in ran) == [job.id for job in jobs]
    assert {fence for _id, fence, _pid in ran} == {1}
    assert len(scene.results()) == 30


def test_job_of_a_killed_worker_runs_once_more_and_the_worker_is_replaced(scene: Scene) -> None:
    job = scene.submit("wait")
    with scene.pool(1) as pool:
        until(lambda: scene.notes("began"))
        victim = scene.notes("began")[0][2]
        os.kill(victim, signal.SIGKILL)
        scene.go_path.touch()
        done = scene.finish(job)
        until(lambda: pool.pids() and victim not in pool.pids())
        assert pool.restart_count == 1
    assert (done.state, done.attempt, done.fence) == (JobState.COMPLETED, 2, 2)
    assert [note[:2] for note in scene.notes("began")] == [[job.id, 1], [job.id, 2]]
    assert scene.results() == [(str(job.id), "fence-2")]


def test_frozen_worker_wakes_up_as_an_orphan_and_writes_nothing(scene: Scene) -> None:
    job = scene.submit("deaf")
    with scene.pool(1, lease_sec=1.0) as first:
        until(lambda: scene.notes("began"))
        frozen = scene.notes("began")[0][2]
        os.kill(frozen, signal.SIGSTOP)
        scene.go_path.touch()
        with scene.pool(1, lease_sec=1.0):
            done = scene.finish(job)
        os.kill(frozen, signal.SIGCONT)
        # It is healthy again and works on: the next job proves that the old one is behind it.
        after = scene.submit("quick")
        assert scene.finish(after).state is JobState.COMPLETED
        assert first.pids() == [frozen]
    assert (done.state, done.fence) == (JobState.COMPLETED, 2)
    assert [note[1] for note in scene.notes("ended")] == [2]
    assert scene.results() == [(str(job.id), "fence-2"), (str(after.id), "fence-1")]


def test_stopped_pool_gives_its_jobs_back_and_leaves_no_process(scene: Scene) -> None:
    jobs = [scene.submit("wait"), scene.submit("wait")]
    pool = scene.pool(2)
    pool.start()
    until(lambda: len(scene.notes("began")) == 2)
    pids = [note[2] for note in scene.notes("began")]
    pool.stop()
    assert [is_gone(pid) for pid in pids] == [True, True]
    for job in map(scene.look, jobs):
        assert (job.state, job.attempt) == (JobState.QUEUED, 0)


@on_sqlite
def test_stop_kills_a_worker_that_does_not_listen(scene: Scene) -> None:
    job = scene.submit("deaf")
    pool = scene.pool(1)
    pool.start()
    until(lambda: scene.notes("began"))
    pool.stop(timeout_sec=0.5)
    assert is_gone(scene.notes("began")[0][2])
    scene.go_path.touch()
    with scene.pool(1):
        assert scene.finish(job).fence == 2


def test_killed_server_leaves_no_worker_and_its_job_goes_on_at_once(scene: Scene) -> None:
    job = scene.submit("wait")
    server = subprocess.Popen(
        [sys.executable, "-c", f"import job_targets; job_targets.serve({scene.url!r}, 2)"],
        stdout=subprocess.PIPE,
    )
    with server:
        assert server.stdout is not None
        pids = [int(pid) for pid in server.stdout.readline().split()]
        until(lambda: scene.notes("began"))
        server.kill()
    until(lambda: all(map(is_gone, pids)))
    assert len(pids) == 2
    assert scene.look(job).state is JobState.RUNNING
    scene.go_path.touch()
    with scene.pool(1):  # the lease would last ten minutes
        done = scene.finish(job)
    assert (done.state, done.attempt, done.fence) == (JobState.COMPLETED, 2, 2)
    assert scene.results() == [(str(job.id), "fence-2")]


def test_cancel_reaches_a_worker_in_another_process(scene: Scene) -> None:
    job = scene.submit("wait")
    with scene.pool(1):
        until(lambda: scene.notes("began"))
        with scene.database.write() as connection:
            request_cancel(connection, job.id)
        assert scene.finish(job).state is JobState.CANCELLED
    assert scene.results() == []


@on_sqlite
def test_poison_job_ends_after_its_last_attempt(scene: Scene) -> None:
    job = scene.submit("deaf", max_attempts=2)
    with scene.pool(1):
        for attempt in (1, 2):
            until(lambda count=attempt: len(scene.notes("began")) == count)
            os.kill(scene.notes("began")[-1][2], signal.SIGKILL)
        done = scene.finish(job)
    assert (done.state, done.error_code, done.attempt) == (JobState.FAILED, "WORKER_LOST", 2)


@on_sqlite
def test_failing_job_waits_for_its_next_attempt_while_others_run(scene: Scene) -> None:
    broken, good = scene.submit("broken"), scene.submit("quick")
    with scene.pool(1):
        assert scene.finish(good).state is JobState.COMPLETED
    with scene.database.read() as connection:
        counts = count_jobs(connection)
    assert counts == {("broken", JobState.QUEUED): 1, ("quick", JobState.COMPLETED): 1}
    assert scene.look(broken).error_code == "TRANSIENT_ERROR"


def test_worker_that_cannot_live_is_restarted_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    with WorkerPool("job_targets:die_young", {}, 1) as pool:
        until(lambda: pool.restart_count >= 2)
    assert pool.restart_count < 10
    assert pool.pids() == []


def waiting(scene: Scene) -> int:
    with scene.database.read() as connection:
        counts = count_jobs(connection)
    return sum(count for (_kind, state), count in counts.items() if state not in END_STATES)


@pytest.mark.soak
def test_every_job_ends_exactly_once_under_a_rain_of_kills(scene: Scene) -> None:
    jobs = [scene.submit("slow", max_attempts=50) for _ in range(60)]
    dice = random.Random(7)
    while not all(scene.look(job).is_finished for job in jobs):
        with scene.pool(2) as pool:
            began = len(scene.notes("began"))
            until(lambda seen=began: len(scene.notes("began")) >= seen + 2 or not waiting(scene))
            time.sleep(dice.uniform(0.0, 0.5))
            for pid in pool.pids():
                os.kill(pid, dice.choice([signal.SIGKILL, signal.SIGTERM]))
    assert {scene.look(job).state for job in jobs} == {JobState.COMPLETED}
    assert sorted(int(key) for key, _fence in scene.results()) == [job.id for job in jobs]
    for job in jobs:
        fence = scene.look(job).fence
        assert (str(job.id), f"fence-{fence}") in scene.results()
