"""Small procedures as files, and a runtime with a worker in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from sqlalchemy import select

from sopilot.core.config import load_settings
from sopilot.core.records import Actor, Role
from sopilot.jobs.loop import run_until_finished
from sopilot.jobs.records import Job, JobState
from sopilot.library.add import AddedVideo, Upload, add_file
from sopilot.media.encode import VideoWriter
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.tasks import task_opener
from sopilot.store.derived import put_derived
from sopilot.store.tables import derived
from sopilot.worker import kinds_of

FPS = 10.0
SIZE_PX = (192, 108)


def write_procedure(
    path: Path, actions: Sequence[int] = (0, 1, 2), seconds: float = 4.0, level: float = 1.0
) -> Path:
    """A textured bench over which a hand moves; every action has its own colour, place, rhythm.

    level: brightness, 0.1 = far too dark.
    """
    rng = np.random.default_rng(7)
    width, height = SIZE_PX
    bench = np.kron(rng.integers(60, 200, (27, 48, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    with VideoWriter(path, SIZE_PX, fps=FPS) as writer:
        for index in range(round(len(actions) * seconds * FPS)):
            time_sec = index / FPS
            action = actions[int(time_sec / seconds)]
            picture = bench.copy()
            swing = np.sin(2 * np.pi * (0.4 + 0.3 * action) * time_sec)
            x = int(width * (0.25 + 0.25 * action) + 14 * swing)
            y = int(height * (0.35 + 0.12 * action) + 8 * np.cos(3 * time_sec))
            colour = [(60, 90, 220), (60, 200, 60), (220, 120, 40)][action]
            cv2.ellipse(picture, (x, y), (24, 14), 30 * action, 0, 360, colour, -1)
            cv2.line(picture, (x, y), (x + 20, y + 18), (250, 250, 250), 3)
            writer.write((picture * level).astype(np.uint8))
    return path


def open_test_runtime(folder: Path, database_url: str | None = None, **changes: object) -> Runtime:
    """A runtime on a data folder below `folder`."""
    unlimited = {"rate_limit_rpm": 0, "login_failures_per_minute": 0}
    settings = load_settings(
        data_dir=folder / "data",
        database_url=database_url,
        score_workers=1,
        **{**unlimited, **changes},
    )
    return open_runtime(settings)


def add(runtime: Runtime, path: Path, role: Role = Role.TRAINEE, **options: object) -> AddedVideo:
    """Put a file into the library, without working on its job."""
    task_id = str(options.pop("task_id", "pilot_task"))
    upload = Upload(task_id, role, **options)  # type: ignore[arg-type]
    opener = task_opener(runtime.settings)
    return add_file(runtime, path, upload, open_task=opener, by=Actor("test"))


def work(runtime: Runtime, job_id: int) -> Job:
    """Work on a job in this thread until it has ended."""
    return run_until_finished(runtime.database, kinds_of(runtime), job_id)


def files_below(folder: Path) -> set[str]:
    """Every stored file but the database's and the index's, which hold what all videos share."""
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    return {name for name in found if not name.startswith(("sopilot.db", "vectors/"))}


@dataclass(frozen=True, slots=True)
class Made:
    """Something derived from a file, to be put into another installation."""

    content_sha256: str
    kind: str
    producer: str
    data: bytes


def analyse_once(folder: Path, clips: Sequence[tuple[Path, Role]]) -> list[Made]:
    """Decode every clip once; `put_made` gives the outcome to fresh installations."""
    runtime = open_test_runtime(folder)
    for path, role in clips:
        assert work(runtime, add(runtime, path, role).job.id).state is JobState.COMPLETED
    with runtime.database.read() as connection:
        rows = connection.execute(select(derived)).all()
    made = [
        Made(
            r.content_sha256, r.kind, r.producer, runtime.blobs.get_bytes("derived", r.blob_sha256)
        )
        for r in rows
    ]
    close_runtime(runtime)
    return made


def put_made(runtime: Runtime, made: Sequence[Made]) -> None:
    """As if this installation had seen the files before."""
    with runtime.database.write() as connection:
        for item in made:
            put_derived(
                connection,
                runtime.blobs,
                content_sha256=item.content_sha256,
                kind=item.kind,
                producer=item.producer,
                data=item.data,
            )
