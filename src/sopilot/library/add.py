"""Upload to row: received bytes become a content-addressed blob, a video row and an ingest job.

Called by the upload routes and by the command line. The bytes are not opened here: whether they are
a video is found out in the limited child (`library.ingest`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import Connection

from sopilot.core.errors import BadUpload, QualityGateFailed
from sopilot.core.records import Actor, Role, plain
from sopilot.jobs import queries as jobs
from sopilot.jobs.records import Job
from sopilot.library import queries
from sopilot.library.analyze import (
    FEATURES,
    MASKED,
    THUMBNAILS,
    fitting_producers,
    is_masked,
    media_producer,
)
from sopilot.library.remove import note, settle
from sopilot.library.schemas import UploadMeta, VideoRow, VideoStatus
from sopilot.media.pictures import PicturePlan
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.blobs import StagedBlob
from sopilot.store.derived import find_derived

INGEST_KIND = "video.ingest"
_READ_BYTES = 1 << 20
_MEGABYTE_BYTES = 1 << 20

OpenTask = Callable[[Connection, str], None]
"""Makes a task's row where it does not exist; raises when the task may not be used."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What the sender wants with a file. is_forced: make a new row even for known bytes.

    job_uid: uid of the ingest job, if one is made; the sender finds it by that after a crash.
    plan: pictures that the ingest takes along (a `PicturePlan`).
    """

    task_id: str
    role: Role
    meta: UploadMeta = field(default_factory=UploadMeta)
    enforce_quality: bool = False
    is_forced: bool = False
    job_uid: str | None = None
    plan: PicturePlan | None = None


@dataclass(frozen=True, slots=True)
class AddedVideo:
    """The row that stands for an upload, and the job that makes or made it ready.

    is_gate_wanted: the sender refuses a recording below the quality limits.
    """

    video: VideoRow
    job: Job
    is_duplicate: bool
    is_gate_wanted: bool


def max_upload_bytes(runtime: Runtime) -> int:
    """The size limit of the settings in bytes."""
    return runtime.settings.max_upload_mb * _MEGABYTE_BYTES


def add_staged(
    runtime: Runtime,
    staged: StagedBlob,
    upload: Upload,
    *,
    open_task: OpenTask,
    by: Actor,
    and_then: Callable[[Connection, AddedVideo], None] | None = None,
) -> AddedVideo:
    """Keep a received file and write its row and job in one transaction.

    The same bytes in the same task and role give the existing row, unless forced or failed; it is
    analysed again when its features are gone, damaged or do not fit the version and mask of today.
    and_then: what a feature writes about the video in the same transaction.
    Raises BadUpload for an empty file, QualityGateFailed when a known gold fails the gate that the
    sender demands, what open_task raises, DiskFull, StoreError; then nothing is left behind.
    """
    if staged.size_bytes == 0:
        raise BadUpload("the file is empty (0 bytes); send a video file")
    staged.flush()
    sha256 = staged.sha256
    noted = note(runtime, "raw", sha256)
    try:
        with runtime.database.write() as connection:
            queries.lock_content(connection, sha256)
            open_task(connection, upload.task_id)
            known = None
            if not upload.is_forced:
                known = queries.find_duplicate(connection, sha256, upload.task_id, upload.role)
            if known is not None and not _is_stale(runtime, connection, known):
                added = _known(connection, known, upload)
            elif known is not None:
                runtime.blobs.keep("raw", staged)
                added = _queue_again(runtime, connection, known, upload, by.name)
            else:
                runtime.blobs.keep("raw", staged)
                added = _insert(runtime, connection, staged, upload, by.name)
            if not added.is_duplicate:
                _record(connection, by, added.video)
            if and_then is not None:
                and_then(connection, added)
    except BaseException:
        settle(runtime, "raw", sha256, noted)
        raise
    noted.unlink(missing_ok=True)
    runtime.transport.wake(added.job.id)
    return added


def add_file(
    runtime: Runtime,
    path: Path,
    upload: Upload,
    *,
    open_task: OpenTask,
    by: Actor,
    and_then: Callable[[Connection, AddedVideo], None] | None = None,
) -> AddedVideo:
    """Like add_staged, for a file on this machine, which names the video unless `upload` does.

    Raises BadUpload when it cannot be read.
    """
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "does not exist"
        raise BadUpload(f"{path} {reason}; name a video file")
    if upload.meta.original_filename is None:
        upload = replace(upload, meta=replace(upload.meta, original_filename=name_of(path)))
    with runtime.blobs.stage(max_bytes=max_upload_bytes(runtime)) as staged:
        try:
            with path.open("rb") as source:
                while block := source.read(_READ_BYTES):
                    staged.write(block)
        except OSError as error:
            raise BadUpload(f"{path} cannot be read ({error.strerror}); check it") from error
        return add_staged(runtime, staged, upload, open_task=open_task, by=by, and_then=and_then)


def name_of(path: Path) -> str:
    """The name of a file as text: bytes of it that are no UTF-8 are replaced."""
    return os.fsencode(path.name).decode(errors="replace")


def require_quality(video: VideoRow) -> None:
    """Raise QualityGateFailed when the stored report of a ready video is not a pass."""
    if video.quality is not None and not video.quality["overall_pass"]:
        raise quality_error(video.quality)


def quality_error(quality: object) -> QualityGateFailed:
    """The refusal of a gold; clients of the older product know this wording."""
    return QualityGateFailed("Gold動画が品質基準を満たしていません", {"quality": quality})


def _record(connection: Connection, by: Actor, video: VideoRow) -> None:
    detail = {"role": video.role, "sha256": video.sha256, "size_bytes": video.size_bytes}
    record(
        connection,
        by,
        Action.VIDEO_UPLOADED,
        f"video:{video.id}",
        task_id=video.task_id,
        detail=detail,
    )


def _known(connection: Connection, known: VideoRow, upload: Upload) -> AddedVideo:
    if upload.enforce_quality:
        require_quality(known)
    assert known.ingest_job_id is not None
    job = jobs.get_job(connection, known.ingest_job_id)
    return AddedVideo(known, job, is_duplicate=True, is_gate_wanted=upload.enforce_quality)


def _is_stale(runtime: Runtime, connection: Connection, known: VideoRow) -> bool:
    if known.status is not VideoStatus.READY:
        return False
    media = media_producer(runtime.settings).fingerprint
    if is_masked(runtime.settings) and (
        find_derived(connection, known.sha256, MASKED, media) is None
    ):
        return True
    kind, producer = THUMBNAILS, media
    if known.role.is_scored:
        kind, producer = FEATURES, known.producer or ""
        if producer not in fitting_producers(runtime.settings, runtime.embedder, known.role):
            return True
    stored = find_derived(connection, known.sha256, kind, producer)
    return stored is None or not runtime.blobs.is_whole("derived", stored.blob_sha256)


def _queue_again(
    runtime: Runtime, connection: Connection, known: VideoRow, upload: Upload, requested_by: str
) -> AddedVideo:
    queries.mark_processing(connection, known.id)
    job = _queue(runtime, connection, known.id, requested_by, upload)
    video = queries.get_video(connection, known.id)
    return AddedVideo(video, job, is_duplicate=True, is_gate_wanted=upload.enforce_quality)


def _queue(
    runtime: Runtime, connection: Connection, video_id: int, requested_by: str, upload: Upload
) -> Job:
    job = jobs.enqueue(
        connection,
        INGEST_KIND,
        {"video_id": video_id} | ({} if upload.plan is None else {"plan": plain(upload.plan)}),
        requested_by=requested_by,
        max_attempts=runtime.settings.job_max_retries + 1,
        uid=upload.job_uid,
    )
    queries.set_ingest_job(connection, video_id, job.id)
    return job


def _insert(
    runtime: Runtime,
    connection: Connection,
    staged: StagedBlob,
    upload: Upload,
    requested_by: str,
) -> AddedVideo:
    video_id = queries.insert_video(
        connection,
        task_id=upload.task_id,
        role=upload.role,
        sha256=staged.sha256,
        size_bytes=staged.size_bytes,
        meta=upload.meta,
        enforce_quality=upload.enforce_quality,
    )
    job = _queue(runtime, connection, video_id, requested_by, upload)
    video = queries.get_video(connection, video_id)
    return AddedVideo(video, job, is_duplicate=False, is_gate_wanted=upload.enforce_quality)
