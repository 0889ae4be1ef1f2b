"""The job engine in this process: commands add videos and scores and work on their jobs here.

The same rows, jobs and blobs as the service's, so that a gold is analysed once for both.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sopilot.core.config import Settings
from sopilot.core.errors import JobCancelled, error_from_record
from sopilot.core.records import Actor, Progress, Role, Step, no_progress
from sopilot.incidents import queries as incidents
from sopilot.incidents.submit import Order, submit_file
from sopilot.jobs.loop import run_until_finished
from sopilot.jobs.records import Job, JobState
from sopilot.library import queries as library
from sopilot.library.add import AddedVideo, Upload, add_file, name_of
from sopilot.library.remove import sweep
from sopilot.library.schemas import UploadMeta, VideoRow
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop import queries
from sopilot.sop.evaluate import ScoreOrder, submit
from sopilot.sop.queries import ScoreRow
from sopilot.sop.tasks import task_opener
from sopilot.vigil import event_queries
from sopilot.vigil import queries as footage
from sopilot.vigil.add import request_index
from sopilot.vigil.event_schemas import EventRow, RunRow
from sopilot.vigil.events import events_of
from sopilot.vigil.schemas import Domain, FootageRow
from sopilot.vigil.speech import request_speech
from sopilot.vigil.wanted import queue_runs
from sopilot.worker import kinds_of


@contextmanager
def opened(settings: Settings) -> Iterator[Runtime]:
    """A runtime for one command."""
    runtime = open_runtime(settings)
    try:
        sweep(runtime)
        yield runtime
    finally:
        close_runtime(runtime)


def requester() -> Actor:
    """Who the rows of a command name as their sender: whoever may run it owns the data folder."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user that no account names
        name = f"uid-{os.getuid()}"
    return Actor(f"cli:{name}", "admin")


def queue_file(runtime: Runtime, path: Path, task_id: str, role: Role) -> AddedVideo:
    """The row of a file and the job that makes it ready; nothing is analysed yet.

    Raises BadUpload, FileTooLarge, TaskNotAllowed, DiskFull.
    """
    return add_file(
        runtime,
        path,
        Upload(task_id, role, UploadMeta(original_filename=name_of(path))),
        open_task=task_opener(runtime.settings),
        by=requester(),
    )


def bring_in(
    runtime: Runtime, path: Path, task_id: str, role: Role, progress: Progress = no_progress
) -> VideoRow:
    """The ready row of a file; analysed now unless these bytes are known in this task and role.

    Raises BadUpload, FileTooLarge, TaskNotAllowed, DiskFull, MediaError: what ingest found.
    """
    added = queue_file(runtime, path, task_id, role)
    _work(runtime, added.job.id, progress, str(path))
    progress(1.0)
    with runtime.database.read() as connection:
        return library.get_ready_video(connection, added.video.id)


def score_order(
    runtime: Runtime,
    gold_video_ids: Sequence[int],
    trainee_video_id: int,
    steps: tuple[Step, ...] | None = None,
) -> ScoreRow:
    """Queue a score; raises what `sop.evaluate.submit` raises."""
    order = ScoreOrder(tuple(gold_video_ids), trainee_video_id, steps=steps)
    with runtime.database.write() as connection:
        return submit(runtime, connection, order, requester())


def score_now(
    runtime: Runtime,
    golds: Sequence[VideoRow],
    trainee: VideoRow,
    steps: tuple[Step, ...] | None,
    progress: Progress = no_progress,
) -> ScoreRow:
    """Score a trainee against golds, the first being the reference of the steps.

    Raises what `sop.evaluate.submit` raises, and what failed the job.
    """
    row = score_order(runtime, [gold.id for gold in golds], trainee.id, steps)
    _work(runtime, row.job_id, progress, f"score {row.id}")
    with runtime.database.read() as connection:
        return queries.get_score(connection, row.id)


def analyse_file(
    runtime: Runtime, path: Path, order: Order, stage_of: Callable[[str], Progress]
) -> dict[str, Any]:
    """Look through a file for dangerous events; the stored analysis with the incident's id.

    stage_of: makes the Progress of a named stage. Raises BadUpload, FileTooLarge, DiskFull, and
    what failed a job.
    """
    row = submit_file(runtime, path, order, open_task=task_opener(runtime.settings), by=requester())
    with runtime.database.read() as connection:
        video = library.get_video(connection, row.video_id)
    assert video.ingest_job_id is not None
    _work(runtime, video.ingest_job_id, stage_of(f"reading {path.name}"), str(path))
    with runtime.database.read() as connection:
        waiting = incidents.get_incident(connection, row.id)
    assert waiting.job_id is not None
    _work(runtime, waiting.job_id, stage_of("looking"), f"incident {row.id}")
    with runtime.database.read() as connection:
        analysis = incidents.get_analysis(connection, row.id)
    return {"incident_iid": row.id, **(analysis or {})}


def index_now(
    runtime: Runtime,
    video: str,
    domain: Domain | None,
    stage_of: Callable[[str], Progress],
    *,
    wants_speech: bool = False,
) -> FootageRow:
    """Index a video and wait for it. Raises as `vigil.add.request_index`, and what failed a job."""
    with runtime.database.write() as connection:
        asked = request_index(
            runtime, connection, video, requester(), domain, wants_speech=wants_speech
        )
        found = library.get_video(connection, asked.video_id)
    if asked.job_id is None and found.ingest_job_id is not None:
        _work(runtime, found.ingest_job_id, stage_of("reading"), f"video {asked.uid}")
    with runtime.database.read() as connection:
        job_id = footage.get_footage(connection, asked.video_id).job_id
    assert job_id is not None
    _work(runtime, job_id, stage_of("indexing"), f"video {asked.uid}")
    with runtime.database.read() as connection:
        return footage.get_footage(connection, asked.video_id)


def transcribe_now(
    runtime: Runtime,
    video: str,
    stage_of: Callable[[str], Progress],
    *,
    replaces_import: bool = False,
) -> None:
    """Recognise what is said in a video and wait for it. Raises as `vigil.speech.request_speech`,
    and what failed the job."""
    with runtime.database.write() as connection:
        job = request_speech(
            runtime, connection, video, requester(), replaces_import=replaces_import
        )
    _work(runtime, job.id, stage_of("transcribing"), f"video {video}")


def detect_now(
    runtime: Runtime, video: str, types: Sequence[str], stage_of: Callable[[str], Progress]
) -> tuple[list[RunRow], list[EventRow]]:
    """Look for definitions, all that are enabled if none is named, in a video; its runs and the
    events in force. Raises as `vigil.wanted.queue_runs`; a run that fails is told by its row."""
    with runtime.database.write() as connection:
        runs = queue_runs(runtime, connection, types, [video], requester())
    for run in runs:
        assert run.job_id is not None
        run_until_finished(
            runtime.database,
            kinds_of(runtime),
            run.job_id,
            stage_of(f"looking for {run.event_type}"),
            lease_sec=runtime.settings.job_lease_seconds,
        )
    with runtime.database.read() as connection:
        known = [event_queries.get_run(connection, run.id) for run in runs]
        return known, events_of(connection, video_id=runs[0].video_id)


def _work(runtime: Runtime, job_id: int, progress: Progress, subject: str) -> None:
    job = run_until_finished(
        runtime.database,
        kinds_of(runtime),
        job_id,
        progress,
        lease_sec=runtime.settings.job_lease_seconds,
    )
    require_success(job, subject)


def require_success(job: Job, subject: str) -> None:
    """Raise what ended a finished job that did not complete, typed as its code says."""
    if job.state is JobState.COMPLETED:
        return
    if job.state is JobState.CANCELLED:
        raise JobCancelled(f"{subject}: cancelled; nothing half-written was kept")
    raise error_from_record(
        job.error_code or "", f"{subject}: {job.error_message}", job.error_details
    )
