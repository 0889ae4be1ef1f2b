"""Removal: what goes from the blob store when no row stands on it (any more).

Bytes and rows cannot change in one step, so whoever is about to make or leave bytes without a row
notes them first: a process that is killed in between leaves a note for `sweep`, never bytes that
nobody knows of. Only noted bytes are ever looked at, so a data folder may serve two databases.
"""

from __future__ import annotations

import shutil
import time
import uuid
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from sopilot.core.errors import Conflict, SopilotError, StoreError
from sopilot.core.log import get_logger
from sopilot.jobs import queries as jobs
from sopilot.jobs.stop import Stop
from sopilot.library import moments, queries
from sopilot.library.schemas import VideoRow
from sopilot.library.workplace import WORK
from sopilot.runtime import Runtime
from sopilot.store.blobs import Area, blob_key
from sopilot.store.derived import blob_is_used, delete_derived, list_derived
from sopilot.store.engine import after_commit
from sopilot.store.faults import file_fault

STALE_SEC = 3600.0
"""A note of this age belongs to no process that still works on its upload."""

_PAUSE_SEC = 900.0
_NOTES = Path("raw/.unsettled")

log = get_logger(__name__)


def note(runtime: Runtime, area: Area, sha256: str) -> Path:
    """Write down that these bytes may come to be without a row; the note's file.

    Raises DiskFull, StoreError.
    """
    path = runtime.blobs.root / _NOTES / f"{area}-{sha256}-{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise file_fault(error, path) from error
    return path


def settle(runtime: Runtime, area: Area, sha256: str, noted: Path | None = None) -> bool:
    """Delete these bytes unless a row uses them, then their note; True when deleted.

    In a transaction of its own: no upload of the same bytes can come between look and deletion.
    Trouble is logged and leaves the note for the next sweep.
    """
    try:
        with runtime.database.write() as connection:
            queries.lock_deletions(connection, is_alone=False)
            queries.lock_content(connection, sha256)
            is_orphan = runtime.blobs.exists(area, sha256)
            is_orphan = is_orphan and not _is_used(connection, area, sha256)
            if is_orphan:
                runtime.blobs.delete(area, sha256)
        if noted is not None:
            noted.unlink(missing_ok=True)
    except (StoreError, OSError) as error:
        log.warning("library.orphan_left", blob=f"{area}/{sha256}", reason=str(error))
        return False
    return is_orphan


def release_after(
    connection: Connection, runtime: Runtime, sha256: str, area: Area = "raw"
) -> None:
    """Delete a file, unless a row uses it, when this transaction is committed.

    Not before: were the transaction rolled back, a live row would have lost its bytes.
    """
    noted: Path | None
    try:
        noted = note(runtime, area, sha256)
    except StoreError as error:  # a full disk must not keep its files for that
        log.warning("library.note_failed", reason=error.message)
        noted = None
    after_commit(connection, partial(_settle, runtime, area, sha256, noted))


def _settle(runtime: Runtime, area: Area, sha256: str, noted: Path | None) -> None:
    settle(runtime, area, sha256, noted)


def require_free(connection: Connection, video_id: int) -> None:
    """Raise Conflict where somebody forbade to delete a video."""
    held = queries.hold_of(connection, video_id)
    if held is not None:
        by, reason = held
        raise Conflict(
            f"video {video_id} is held by {by} ({reason}); give it free first "
            f"(PUT /vigil/videos/{video_id}/hold)",
            {"video_id": video_id},
        )


def forget_video(connection: Connection, runtime: Runtime, video: VideoRow) -> list[str]:
    """Remove a row and its ingest job, and all that no other row stands on, in this transaction.

    The names of the files that go when it is committed. A worker that still analyses the video
    loses its job with the row and drops its result. Scores of it must be gone already. Raises
    Conflict while somebody holds the video.
    """
    require_free(connection, video.id)
    queries.lock_content(connection, video.sha256)
    after_commit(connection, partial(moments.forget_video, runtime, video.id))
    own_jobs = queries.jobs_of_footage(connection, video.id)
    queries.delete_video(connection, video.id)
    jobs.delete_jobs(connection, [*own_jobs, *filter(None, [video.ingest_job_id])])
    names = []
    if not queries.content_is_used(connection, video.sha256):
        if runtime.blobs.exists("raw", video.sha256):
            names.append(blob_key("raw", video.sha256))
        release_after(connection, runtime, video.sha256)
    if not queries.content_is_known(connection, video.sha256):
        made = {row.blob_sha256 for row in list_derived(connection, video.sha256)}
        delete_derived(connection, video.sha256)
        for blob_sha256 in sorted(made):
            if not blob_is_used(connection, blob_sha256):
                names.append(blob_key("derived", blob_sha256))
                release_after(connection, runtime, blob_sha256, "derived")
    return names


def sweep(runtime: Runtime, *, older_than_sec: float = STALE_SEC) -> int:
    """Remove what killed processes left: half-received uploads, work folders that nobody writes
    into any more, and noted bytes without a row.

    How many. Called at the start of the service and of a command, and see `watch_leftovers`.
    """
    removed = runtime.blobs.sweep_staged(older_than_sec=older_than_sec)
    limit = time.time() - older_than_sec
    for folder in (runtime.blobs.root / WORK).glob("*"):
        if _newest(folder) < limit:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    ages: dict[Path, float] = {}
    for path in (runtime.blobs.root / _NOTES).glob("*-*-*"):
        try:
            ages[path] = path.stat().st_mtime
        except FileNotFoundError:
            continue  # its owner finished in this moment
    in_work = {path.name.rpartition("-")[0] for path, age in ages.items() if age >= limit}
    for path, age in ages.items():
        if age < limit and path.name.rpartition("-")[0] not in in_work:
            area: Area = "raw" if path.name.startswith("raw-") else "derived"
            removed += settle(runtime, area, path.name.split("-")[1], path)
    return removed


def watch_leftovers(runtime: Runtime, stop: Stop) -> None:
    """`sweep` every quarter of an hour until stopped: what a killed process left may show people,
    and the service may not start again for months. Runs in a thread of every worker process."""
    while not stop.wait(_PAUSE_SEC):
        try:
            swept = sweep(runtime)
        except (SopilotError, OSError) as error:
            log.warning("leftovers.look_failed", reason=str(error))
        else:
            if swept:
                log.info("leftovers.removed", count=swept)


def _newest(folder: Path) -> float:
    """When anything in a folder was written last; now, if it goes in this moment."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return time.time()


def _is_used(connection: Connection, area: Area, sha256: str) -> bool:
    if area == "raw":
        return queries.content_is_used(connection, sha256)
    return blob_is_used(connection, sha256)
