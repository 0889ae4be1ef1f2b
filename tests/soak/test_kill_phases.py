"""SIGKILL of the server or of a worker in every phase of a job: it still ends exactly once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from benchmarks.footage import renamed, small_sample
from sopilot.core.config import load_settings
from sopilot.core.records import Actor, Role
from sopilot.jobs.loop import run_until_finished
from sopilot.jobs.queries import get_job
from sopilot.jobs.records import Job, JobState
from sopilot.library.add import Upload, add_file
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.evaluate import ScoreOrder, submit
from sopilot.sop.tasks import task_opener
from sopilot.store.tables import derived, scores, videos
from sopilot.worker import kinds_of
from tests.acceptance.service_process import Server
from tests.soak.process_tree import descendants, is_gone, until

pytestmark = pytest.mark.soak


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A data folder with handles in this process, which itself never works on the jobs watched."""

    runtime: Runtime
    source: Path
    folder: Path

    @property
    def data_dir(self) -> Path:
        return self.runtime.settings.data_dir

    def look(self, job_id: int) -> Job:
        with self.runtime.database.read() as connection:
            return get_job(connection, job_id)

    def add(self, name: str, role: Role = Role.TRAINEE) -> tuple[int, int]:
        """Row and queued ingest job of a video that was never seen before."""
        path = renamed(self.source, self.folder / f"{name}.mp4", name)
        added = add_file(
            self.runtime,
            path,
            Upload("pilot_task", role),
            open_task=task_opener(self.runtime.settings),
            by=Actor("soak"),
        )
        return added.video.id, added.job.id

    def ready(self, name: str, role: Role) -> int:
        """A video that is ready."""
        video_id, job_id = self.add(name, role)
        done = run_until_finished(self.runtime.database, kinds_of(self.runtime), job_id)
        assert done.state is JobState.COMPLETED, done.error_message
        return video_id

    def queued_score(self) -> int:
        """The queued job of a score of two ready videos."""
        order = ScoreOrder((self.ready("gold", Role.GOLD),), self.ready("other", Role.TRAINEE))
        with self.runtime.database.write() as connection:
            return submit(self.runtime, connection, order, Actor("soak")).job_id

    def files(self, pattern: str) -> list[Path]:
        return [path for path in self.data_dir.glob(pattern) if path.is_file()]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_sample(tmp_path_factory.mktemp("footage"))


@pytest.fixture
def stage(tmp_path: Path, source: Path) -> Iterator[Stage]:
    runtime = open_runtime(load_settings(data_dir=tmp_path / "data", score_workers=1))
    yield Stage(runtime, source, tmp_path)
    close_runtime(runtime)


Phase = Callable[[Stage, int, int], object]


def running(stage: Stage, _server_pid: int, job_id: int) -> bool:
    return stage.look(job_id).state is not JobState.QUEUED


def decoder(_stage: Stage, server_pid: int, _job_id: int) -> bool:
    return any("sopilot.media.isolate" in line for line in descendants(server_pid).values())


def progress_of(share: float) -> Phase:
    def reached(stage: Stage, _server_pid: int, job_id: int) -> bool:
        job = stage.look(job_id)
        return job.progress >= share or job.is_finished

    return reached


def derived_written(stage: Stage, _server_pid: int, job_id: int) -> bool:
    files = stage.files("derived/.work/*/features")
    return bool(files) or stage.look(job_id).is_finished


def after(phase: Phase, delay_sec: float) -> Phase:
    def reached(stage: Stage, server_pid: int, job_id: int) -> bool:
        until(lambda: phase(stage, server_pid, job_id), "the phase before")
        time.sleep(delay_sec)
        return True

    return reached


INGEST_PHASES: dict[str, Phase] = {
    "listening": lambda _stage, _server, _job_id: True,
    "claimed": running,
    "decoder started": decoder,
    "decoding": progress_of(0.05),
    "decoded half": progress_of(0.5),
    "decoded most": progress_of(0.9),
    "features written": derived_written,
}
SCORE_PHASES: dict[str, Phase] = {
    "listening": lambda _stage, _server, _job_id: True,
    "claimed": running,
    **{f"claimed + {ms} ms": after(running, ms / 1000) for ms in (50, 100, 200, 400, 800)},
}
VICTIMS = ("server", "worker")


def strike(server: Server, server_pid: int, victim: str) -> list[int]:
    """Kill the server or its workers; the processes that must be gone then."""
    below = descendants(server_pid)
    if victim == "server":
        server.kill()
        return [*below]
    workers = server.workers()
    doomed = [*workers, *(pid for worker in workers for pid in descendants(worker))]
    server.kill_worker()
    return doomed


def kill_in(stage: Stage, job_id: int, phase: Phase, victim: str) -> Job:
    """Run a service until the phase, kill, run on, and return the job at its end."""
    server = Server(stage.folder)
    server.start()
    try:
        server_pid = own_child("sopilot.cli.app serve")
        until(lambda: phase(stage, server_pid, job_id), "the phase")
        doomed = strike(server, server_pid, victim)
        until(lambda: all(is_gone(pid) for pid in doomed), "the processes to end")
        if victim == "server":
            server.start()
        until(lambda: stage.look(job_id).is_finished, "the job's end", 0.05)
    finally:
        server.stop()
    return stage.look(job_id)


def own_child(command: str) -> int:
    """The one process below this one with these words in its command line."""
    (pid,) = (pid for pid, line in descendants(os.getpid()).items() if command in line)
    return pid


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("phase", INGEST_PHASES)
def test_ingest_ends_once(stage: Stage, phase: str, victim: str) -> None:
    video_id, job_id = stage.add("trainee")
    done = kill_in(stage, job_id, INGEST_PHASES[phase], victim)
    assert (done.state, done.error_message) == (JobState.COMPLETED, None)
    assert done.attempt <= 2
    with stage.runtime.database.read() as connection:
        status = connection.scalar(select(videos.c.status).where(videos.c.id == video_id))
        kinds = connection.scalars(select(derived.c.kind)).all()
    assert status == "ready"
    assert sorted(kinds) == sorted(set(kinds))
    assert stage.files("derived/.work/**/*") == []


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("phase", SCORE_PHASES)
def test_score_ends_once(stage: Stage, phase: str, victim: str) -> None:
    job_id = stage.queued_score()
    done = kill_in(stage, job_id, SCORE_PHASES[phase], victim)
    assert (done.state, done.error_message) == (JobState.COMPLETED, None)
    assert done.attempt <= 2
    with stage.runtime.database.read() as connection:
        found = connection.execute(
            select(func.count(), func.count(scores.c.result), func.count(scores.c.score))
        ).one()
    assert tuple(found) == (1, 1, 1)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_upload_that_died_with_the_server_leaves_nothing(stage: Stage, share: float) -> None:
    body = os.urandom(4 << 20)
    server = Server(stage.folder)
    server.start()

    def halting() -> Iterator[bytes]:
        sent = int(share * len(body))
        yield body[:sent]
        until(lambda: sent == 0 or stage.files("raw/.staged/*"), "the upload to arrive")
        server.kill()
        yield body[sent:]

    with pytest.raises((httpx.TransportError, RuntimeError)):
        server.client.post("/videos", content=halting(), headers={"Content-Type": "video/mp4"})
    for path in stage.files("raw/.staged/*"):
        os.utime(path, (0, 0))  # the sweep spares uploads that another process may be receiving
    server.start()
    try:
        assert server.client.get("/videos").json()["total"] == 0
        assert stage.files("raw/**/*") == []
    finally:
        server.stop()
