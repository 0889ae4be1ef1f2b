"""Thin handlers of VIGIL's jobs, and what happens when a video of the library becomes ready."""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy import Connection

from sopilot.core.errors import BadSettings, NoSound, SopilotError
from sopilot.core.records import WORKER, Progress
from sopilot.jobs.context import JobContext
from sopilot.jobs.queries import heartbeat
from sopilot.jobs.records import Job
from sopilot.library import queries as library
from sopilot.library.look import read_report, report_file, thumbnails_file
from sopilot.library.schemas import VideoRow
from sopilot.library.workplace import clear_workplace, workplace
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.tallies import Tally, count_model_calls, observe
from sopilot.store.times import now_text
from sopilot.vigil import event_queries, queries
from sopilot.vigil.add import queue_waiting, state_before
from sopilot.vigil.alerts import alert
from sopilot.vigil.detectors import Task, detector_of
from sopilot.vigil.event_schemas import RunState
from sopilot.vigil.index import build_index
from sopilot.vigil.levels import chunk_producer
from sopilot.vigil.meaning import request_vectors
from sopilot.vigil.schemas import Domain, IndexState
from sopilot.vigil.speech import remove_replaced, store_speech
from sopilot.vigil.transcribe import Heard, recognise
from sopilot.vigil.vectors import collection_of, forget_if_gone, store_index


def index_footage(runtime: Runtime, context: JobContext) -> None:
    """Work on a `vigil.index` job: chunks, vectors, and the end of the job at once.

    Idempotent: a killed attempt leaves vectors that its successor replaces, and that no search
    shows before the row says so.
    """
    video_id = int(context.job.payload["video_id"])
    with runtime.database.write() as connection:
        heartbeat(connection, context.job, runtime.settings.job_lease_seconds, 0.0)
        video = library.get_ready_video(connection, video_id)
        footage = queries.get_footage(connection, video_id)
        task = library.task_number(connection, video.task_id)
        queries.update_footage(connection, video_id, state=str(IndexState.INDEXING))
    stills = runtime.stills
    begun = time.monotonic()
    index = build_index(
        video_id,
        read_report(report_file(runtime, video)),
        thumbnails_file(runtime, video),
        footage.domain,
        stills,
        lambda share: context.progress(share * (0.3 if footage.wants_speech else 1.0)),
    )
    said = None
    if footage.wants_speech:
        said = _speech(runtime, context, video, lambda share: context.progress(0.3 + 0.7 * share))
    collection = collection_of(stills)
    described = time.monotonic()
    try:
        store_index(runtime, collection, footage, task, index)
        stored = time.monotonic()
        with context.commit() as connection:
            queries.get_footage(connection, video_id)
            queries.replace_chunks(connection, video_id, index.chunks)
            queries.register_model(connection, collection.name, stills.producer, collection.dim)
            queries.update_footage(
                connection,
                video_id,
                state=str(IndexState.READY),
                producer=chunk_producer(footage.domain, stills.producer).fingerprint,
                collection=collection.name,
                counts=index.counts,
                covered_sec=index.covered_sec,
                error_code=None,
                error_message=None,
                indexed_at=now_text(),
            )
            if said is not None:
                store_speech(connection, video_id, said.rows)
            request_vectors(runtime, connection)
            observe(connection, Tally.VIGIL_SECONDS, "index_describe", described - begun)
            observe(connection, Tally.VIGIL_SECONDS, "index_store", stored - described)
            detail: dict[str, object] = {
                "counts": index.counts,
                "covered_sec": index.covered_sec,
            }
            if said is not None:
                detail["sentence_count"] = len(said.rows)
            record(connection, WORKER, Action.FOOTAGE_INDEXED, f"video:{video_id}", detail=detail)
    except BaseException:
        forget_if_gone(runtime, video_id)
        raise


def _speech(runtime: Runtime, context: JobContext, video: VideoRow, progress: Progress) -> Heard:
    """What is said in the video. Raises as `vigil.transcribe.recognise`."""
    if runtime.recogniser is None:
        raise BadSettings(
            "speech was asked for, and nothing recognises it in this worker; set "
            "SOPILOT_ASR_BACKEND for it, or index the video without speech"
        )
    with workplace(runtime, context.job, "speech") as folder:
        return recognise(runtime, runtime.recogniser, video, folder, progress)


def transcribe_video(runtime: Runtime, context: JobContext) -> None:
    """Work on a `vigil.transcribe` job: what is said in one video, and nothing else of its index.

    Raises NoSound for a video without a sound track; then what was there stays.
    """
    video_id = int(context.job.payload["video_id"])
    with runtime.database.write() as connection:
        heartbeat(connection, context.job, runtime.settings.job_lease_seconds, 0.0)
        video = library.get_ready_video(connection, video_id)
    begun = time.monotonic()
    heard = _speech(runtime, context, video, context.progress)
    if not heard.has_sound:
        raise NoSound(f"video {video.uid} has no sound track; import a transcript")
    with context.commit() as connection:
        queries.get_footage(connection, video_id)
        store_speech(connection, video_id, heard.rows)
        replaced_count = remove_replaced(connection, context.job)
        request_vectors(runtime, connection)
        observe(connection, Tally.VIGIL_SECONDS, "transcribe", time.monotonic() - begun)
        record(
            connection,
            WORKER,
            Action.TRANSCRIPT_RECOGNISED,
            f"video:{video_id}",
            detail={
                "sentence_count": len(heard.rows),
                "empty_count": heard.empty_count,
                "moved_count": heard.moved_count,
                "replaced_count": replaced_count,
            },
        )


def transcription_ended(
    runtime: Runtime, connection: Connection, job: Job, error: SopilotError
) -> None:
    """What a failed or cancelled transcription leaves: its reason, on record; the job tells it."""
    clear_workplace(runtime, job, "speech")
    record(
        connection,
        WORKER,
        Action.TRANSCRIPT_FAILED,
        f"video:{int(job.payload['video_id'])}",
        outcome="failed",
        detail={"code": error.code},
    )


def index_ended(runtime: Runtime, connection: Connection, job: Job, error: SopilotError) -> None:
    """What a failed or cancelled index leaves: its reason, and the index before it, if any."""
    clear_workplace(runtime, job, "speech")
    video_id = int(job.payload["video_id"])
    footage = queries.find_footage(connection, video_id)
    if footage is None:
        return
    is_cancelled = error.code == "JOB_CANCELLED"
    state = state_before(footage) if is_cancelled else IndexState.ERROR
    told = (None, None) if is_cancelled else (error.code, error.message)
    queries.update_footage(
        connection, video_id, state=str(state), error_code=told[0], error_message=told[1]
    )
    record(
        connection,
        WORKER,
        Action.FOOTAGE_INDEX_FAILED,
        f"video:{video_id}",
        outcome="failed",
        detail={"code": error.code},
    )


def video_ready(runtime: Runtime, connection: Connection, video: VideoRow) -> None:
    """Start the index that waits for this video, if any."""
    queue_waiting(runtime, connection, video.id)


def video_failed(connection: Connection, video: VideoRow) -> None:
    """Tell who waits for the index of a video that could not be read."""
    footage = queries.find_footage(connection, video.id)
    if footage is not None:
        queries.update_footage(
            connection,
            video.id,
            state=str(IndexState.ERROR),
            error_code=video.error_code,
            error_message=video.error_message,
        )


def detect_events(runtime: Runtime, context: JobContext) -> None:
    """Work on a `vigil.detect` job: one definition over one video."""
    run_id = int(context.job.payload["run_id"])
    with runtime.database.write() as connection:
        heartbeat(connection, context.job, runtime.settings.job_lease_seconds, 0.0)
        run = event_queries.get_run(connection, run_id)
        definition = event_queries.get_definition_row(connection, run.definition_id)
        video = library.get_ready_video(connection, run.video_id)
        footage = queries.find_footage(connection, run.video_id)
        event_queries.update_run(connection, run_id, state=str(RunState.RUNNING))
    domain = Domain.GENERIC if footage is None else footage.domain
    begun = time.monotonic()
    with workplace(runtime, context.job, "detect") as folder:
        task = Task(runtime, definition, video, domain, folder, context.progress)
        found = detector_of(definition.method)(task)
    with context.commit() as connection:
        run = event_queries.get_run(connection, run_id)
        event_queries.store_detection(connection, run, definition.method, found)
        events = event_queries.events_of_run(connection, run_id)
        observe(connection, Tally.VIGIL_SECONDS, "detect", time.monotonic() - begun)
        count_model_calls(
            connection, "detect", answered=found.answered_count, failed=found.failed_count
        )
        if runtime.settings.webhook_url:
            alert(connection, definition, events, datetime.now().astimezone())
        record(
            connection,
            WORKER,
            Action.EVENTS_DETECTED,
            f"video:{run.video_id}",
            detail={
                "definition": f"{run.event_type}@{run.version}",
                "event_count": len(events),
                "checked_sec": found.checked_sec,
                "unchecked_count": len(found.unchecked),
            },
        )


def detection_ended(
    runtime: Runtime, connection: Connection, job: Job, error: SopilotError
) -> None:
    """What a failed or cancelled run leaves: its reason; the video counts as not checked by it."""
    clear_workplace(runtime, job, "detect")
    run = event_queries.get_run(connection, int(job.payload["run_id"]))
    duration_sec = library.get_video(connection, run.video_id).duration_sec or 0.0
    event_queries.update_run(
        connection,
        run.id,
        state=str(RunState.ERROR),
        checked_sec=0.0,
        unchecked=[{"span": [0.0, round(duration_sec, 3)], "code": error.code}],
        error_code=error.code,
        error_message=error.message,
        finished_at=now_text(),
    )
