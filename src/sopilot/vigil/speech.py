"""A video is transcribed by itself, without being indexed anew: the job's row and its result.

Called by the routes, the command line and the handler in `vigil.jobs`. What is recognised never
takes the place of an imported transcript unless that was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from sopilot.core.errors import Conflict
from sopilot.core.records import Actor
from sopilot.jobs import queries as jobs
from sopilot.jobs.records import Job
from sopilot.library import queries as library
from sopilot.library.annotations import NewAnnotation, Source, list_annotations, put_annotations
from sopilot.library.transcripts import forget_transcript
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.vigil import queries
from sopilot.vigil.add import make_known
from sopilot.vigil.schemas import Domain
from sopilot.vigil.transcribe import require_recogniser

SPEECH_KIND = "vigil.transcribe"


def request_speech(
    runtime: Runtime,
    connection: Connection,
    video: int | str,
    by: Actor,
    *,
    replaces_import: bool = False,
) -> Job:
    """Have what is said in a ready video recognised; the same order goes on where it is at work.

    replaces_import: remove the transcript that is imported now once the new one is there. Raises
    VideoNotFound, VideoNotReady, InputError where nothing recognises speech; Conflict where there
    is an imported transcript and it is not to be replaced, where the upload was not kept, or where
    it is at work in the other way.
    """
    require_recogniser(runtime)
    library.lock_video(connection, video)
    row = library.get_ready_video(connection, video)
    if not row.is_raw_kept:
        raise Conflict(
            f"video {row.uid} was not kept as sent (SOPILOT_PRIVACY_KEEP_RAW=false): there is "
            "no sound; import a transcript",
            {"video_id": row.uid},
        )
    make_known(connection, row, Domain.GENERIC, by)
    found = queries.lock_footage(connection, row.id)
    assert found is not None
    imported = _newest_import(connection, row.id)
    if imported is not None and not replaces_import:
        raise Conflict(
            f"video {row.uid} has an imported transcript; send replace=true (--replace) to have "
            "it removed for what is recognised",
            {"video_id": row.uid, "field": "replace"},
        )
    old = None if found.speech_job_id is None else jobs.get_job(connection, found.speech_job_id)
    if old is not None and not old.is_finished:
        if bool(old.payload["replaces_import"]) is not replaces_import:
            raise Conflict(
                f"video {row.uid} is being transcribed with replace="
                f"{str(not replaces_import).lower()}; wait, or cancel that "
                f"(POST /vigil/videos/{row.uid}/transcribe/cancel)",
                {"video_id": row.uid, "job_id": old.id},
            )
        return old
    job = jobs.enqueue(
        connection,
        SPEECH_KIND,
        {"video_id": row.id, "replaces_import": replaces_import, "import_id": imported},
        requested_by=by.name,
        max_attempts=runtime.settings.job_max_retries + 1,
    )
    queries.update_footage(connection, row.id, speech_job_id=job.id)
    if old is not None:
        jobs.delete_jobs(connection, [old.id])
    record(
        connection,
        by,
        Action.TRANSCRIPT_REQUESTED,
        f"video:{row.id}",
        detail={"replace": replaces_import},
    )
    return job


def cancel_speech(connection: Connection, video: int | str) -> Job:
    """Stop the job that transcribes a video; the transcript before it stays.

    Raises VideoNotFound, Conflict where there is none, JobFinished.
    """
    found = queries.get_footage(connection, video)
    if found.speech_job_id is None:
        raise Conflict(
            f"video {found.uid} is not being transcribed "
            f"(POST /vigil/videos/{found.uid}/transcribe asks for it)",
            {"video_id": found.uid},
        )
    return jobs.request_cancel(connection, found.speech_job_id)


def speech_job(connection: Connection, video_id: int) -> Job | None:
    """The last job that transcribed a video by itself; None where there was none."""
    found = queries.find_footage(connection, video_id)
    if found is None or found.speech_job_id is None:
        return None
    return jobs.get_job(connection, found.speech_job_id)


def store_speech(connection: Connection, video_id: int, rows: Sequence[NewAnnotation]) -> int:
    """Make these sentences what was recognised in the video; how many. Raises VideoNotFound."""
    return put_annotations(connection, video_id, Source.ASR, f"asr:{video_id}", rows)


def remove_replaced(connection: Connection, job: Job) -> int:
    """Remove the imported transcript that the job's order knew of; how many sentences. One that was
    imported since then stays."""
    video_id, import_id = int(job.payload["video_id"]), job.payload["import_id"]
    if import_id is None or _newest_import(connection, video_id) != import_id:
        return 0
    return forget_transcript(connection, video_id)


def _newest_import(connection: Connection, video_id: int) -> int | None:
    rows = list_annotations(connection, video_id, source=Source.TRANSCRIPT)
    return max((row.id for row in rows), default=None)
