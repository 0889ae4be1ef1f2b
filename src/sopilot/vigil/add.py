"""Footage comes in and asks to be indexed: rows and jobs in the caller's transaction.

Called by the routes and the command line. A video that is still being ingested is indexed as soon
as it is ready, which the hooks of `vigil.jobs` see to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from sopilot.core.errors import Conflict, InputError
from sopilot.core.records import Actor, Role
from sopilot.jobs import queries as jobs
from sopilot.library import queries as library
from sopilot.library.add import AddedVideo, OpenTask, Upload, add_file, add_staged, name_of
from sopilot.library.remove import forget_video, require_free
from sopilot.library.schemas import UploadMeta, VideoRow, VideoStatus
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.blobs import StagedBlob
from sopilot.store.engine import after_commit
from sopilot.store.times import text_of
from sopilot.vigil import queries
from sopilot.vigil.schemas import Domain, FootageRow, IndexState
from sopilot.vigil.transcribe import require_recogniser
from sopilot.vigil.vectors import forget

INDEX_KIND = "vigil.index"
BUSY = frozenset({IndexState.QUEUED, IndexState.INDEXING})


@dataclass(frozen=True, slots=True)
class Order:
    """What the sender says of a recording. task_id: the procedure it shows, if any.

    recorded_at: ISO 8601; without an offset it is taken as UTC.
    """

    domain: Domain = Domain.GENERIC
    camera_id: str | None = None
    site_id: str | None = None
    task_id: str | None = None
    recorded_at: str | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True)
class AddedFootage:
    """The row that stands for an upload; is_duplicate: it was there before."""

    footage: FootageRow
    is_duplicate: bool


def add_footage(
    runtime: Runtime, staged: StagedBlob, order: Order, *, open_task: OpenTask, by: Actor
) -> AddedFootage:
    """Keep a received file; the same bytes give the footage that is there.

    Raises as `library.add.add_staged`, InputError for a time that cannot be read.
    """
    rows: list[AddedFootage] = []
    add_staged(
        runtime,
        staged,
        _upload(runtime, order),
        open_task=open_task,
        by=by,
        and_then=lambda connection, added: rows.append(_insert(connection, added, order, by)),
    )
    return rows[0]


def add_footage_file(
    runtime: Runtime, path: Path, order: Order, *, open_task: OpenTask, by: Actor
) -> AddedFootage:
    """`add_footage` for a file on this machine. Raises BadUpload when it cannot be read."""
    rows: list[AddedFootage] = []
    add_file(
        runtime,
        path,
        _upload(runtime, order, name_of(path)),
        open_task=open_task,
        by=by,
        and_then=lambda connection, added: rows.append(_insert(connection, added, order, by)),
    )
    return rows[0]


def moment_of(text: str | None) -> str | None:
    """A recording's time as it is stored. Raises InputError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"recorded_at is {text[:64]!r}; write it as 2026-02-28T09:00:00+09:00",
            {"field": "recorded_at"},
        ) from error
    return text_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _upload(runtime: Runtime, order: Order, filename: str | None = None) -> Upload:
    moment_of(order.recorded_at)  # refused before any byte is kept
    meta = UploadMeta(
        original_filename=order.filename or filename,
        site_id=order.site_id,
        camera_id=order.camera_id,
        recorded_at=order.recorded_at,
    )
    return Upload(order.task_id or runtime.settings.primary_task_id, Role.FOOTAGE, meta)


def _insert(connection: Connection, added: AddedVideo, order: Order, by: Actor) -> AddedFootage:
    queries.insert_footage(
        connection,
        added.video.id,
        order.domain,
        recorded_from=moment_of(order.recorded_at),
        requested_by=by.name,
    )
    return AddedFootage(queries.get_footage(connection, added.video.id), added.is_duplicate)


def request_index(
    runtime: Runtime,
    connection: Connection,
    video: int | str,
    by: Actor,
    domain: Domain | None = None,
    *,
    wants_speech: bool = False,
) -> FootageRow:
    """Have a video of the library indexed, any of them; one that is being indexed goes on.

    domain: another one than it has. wants_speech: recognise what is said in it. Raises
    VideoNotFound, InputError where nothing recognises speech, Conflict where the video cannot be
    read or where its index is being made in another way.
    """
    if wants_speech:
        require_recogniser(runtime)
    row = library.lock_video(connection, video)
    if row.status is VideoStatus.FAILED:
        raise Conflict(
            f"video {row.uid} could not be read ({row.error_message}); upload another file",
            {"video_id": row.uid, "status": str(row.status)},
        )
    make_known(connection, row, domain or Domain.GENERIC, by)
    found = queries.lock_footage(connection, row.id)
    assert found is not None
    wanted = domain or found.domain
    if found.state in BUSY:
        if wanted is not found.domain or (wants_speech and not found.wants_speech):
            how = "without speech" if wanted is found.domain else f"as {found.domain}"
            raise Conflict(
                f"video {row.uid} is being indexed {how}; wait, or cancel that "
                f"(POST /vigil/videos/{row.uid}/cancel)",
                {"video_id": row.uid, "state": str(found.state)},
            )
        return found
    queries.update_footage(
        connection,
        row.id,
        domain=str(wanted),
        requested_by=by.name,
        wants_speech=wants_speech,
    )
    record(
        connection,
        by,
        Action.FOOTAGE_INDEX_REQUESTED,
        f"video:{row.id}",
        detail={"domain": str(wanted), "wants_speech": wants_speech},
    )
    _queue(runtime, connection, found, is_ready=row.status is VideoStatus.READY, by=by.name)
    return queries.get_footage(connection, row.id)


def make_known(connection: Connection, row: VideoRow, domain: Domain, by: Actor) -> None:
    """Make a video of the library known to VIGIL; nothing changes where it is already."""
    if queries.find_footage(connection, row.id) is None:
        queries.insert_footage(
            connection,
            row.id,
            domain,
            recorded_from=_known_moment(row.recorded_at),
            requested_by=by.name,
        )


def _queue(
    runtime: Runtime, connection: Connection, found: FootageRow, *, is_ready: bool, by: str
) -> None:
    """Queue the index job of a ready video; of another one, leave word that it is wanted."""
    old_job = found.job_id
    job_id = None
    if is_ready:
        job = jobs.enqueue(
            connection,
            INDEX_KIND,
            {"video_id": found.video_id},
            requested_by=by,
            max_attempts=runtime.settings.job_max_retries + 1,
        )
        job_id = job.id
    queries.update_footage(
        connection,
        found.video_id,
        state=str(IndexState.QUEUED),
        job_id=job_id,
        error_code=None,
        error_message=None,
    )
    if old_job is not None:
        jobs.delete_jobs(connection, [old_job])


def queue_waiting(runtime: Runtime, connection: Connection, video_id: int) -> None:
    """Queue the index that waits for this video, which is ready now, if any."""
    found = queries.find_footage(connection, video_id)
    if found is not None and found.state is IndexState.QUEUED and found.job_id is None:
        _queue(runtime, connection, found, is_ready=True, by=found.requested_by)


def cancel_index(connection: Connection, video: int | str) -> FootageRow:
    """Stop an index that is wanted or being made; what was there before it stays as it was.

    Raises VideoNotFound, Conflict where none is being made.
    """
    found = queries.get_footage(connection, video)
    locked = queries.lock_footage(connection, found.video_id)
    assert locked is not None
    if locked.state not in BUSY:
        raise Conflict(
            f"no index of video {locked.uid} is being made (it is {locked.state})",
            {"video_id": locked.uid, "state": str(locked.state)},
        )
    # A job that runs ends by its own handler; one that waits, or is not there yet, at once.
    if locked.job_id is None or jobs.request_cancel(connection, locked.job_id).is_finished:
        queries.update_footage(connection, locked.video_id, state=str(state_before(locked)))
    return queries.get_footage(connection, locked.video_id)


def state_before(footage: FootageRow) -> IndexState:
    """What an index that does not come about leaves."""
    return IndexState.READY if footage.indexed_at is not None else IndexState.NONE


def delete_footage(runtime: Runtime, connection: Connection, video: int | str, by: Actor) -> None:
    """Remove footage with all that was made of it: rows, vectors, files.

    A video that is scored as well, or sent in as an incident, stays in the library without its
    index. Raises VideoNotFound, Conflict while it is held.
    """
    found = queries.get_footage(connection, video)
    require_free(connection, found.video_id)
    row = library.lock_video(connection, found.video_id)
    is_own = row.role is Role.FOOTAGE and library.incident_of(connection, row.id) is None
    own_jobs = library.jobs_of_footage(connection, row.id)
    queries.delete_footage(connection, row.id)
    jobs.delete_jobs(connection, own_jobs)
    after_commit(connection, partial(forget, runtime, row.id))
    if is_own:
        forget_video(connection, runtime, row)
    record(
        connection,
        by,
        Action.FOOTAGE_DELETED,
        f"video:{row.id}",
        detail={"sha256": row.sha256, "is_video_deleted": is_own},
    )


def _known_moment(text: str | None) -> str | None:
    """When a video of the library was recorded, where its sender wrote it as a moment."""
    try:
        return moment_of(text)
    except InputError:
        return None
