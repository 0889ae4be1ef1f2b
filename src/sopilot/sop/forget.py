"""Deletion and correction of a video by request: its row, files, scores, and the audit row.

Called by the video routes, in their transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from sopilot.core.errors import Conflict
from sopilot.core.records import Actor
from sopilot.jobs import queries as jobs
from sopilot.library import queries as library
from sopilot.library.remove import forget_video
from sopilot.library.schemas import VideoRow, VideoStatus
from sopilot.runtime import Runtime
from sopilot.sop import queries
from sopilot.sop.annotate import annotate_steps, forget_scores
from sopilot.store.audit import Action, record

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a deletion removed. files: names below the data folder."""

    video: VideoRow
    files: tuple[str, ...]
    score_ids: tuple[int, ...]


def delete_video(
    runtime: Runtime, connection: Connection, video: int | str, by: Actor, *, is_forced: bool
) -> Forgotten:
    """Remove a video and, when forced, its scores and the jobs that work on it.

    Raises VideoNotFound, Conflict when it belongs to an incident, or when a score or an unfinished
    ingest needs it and not forced.
    """
    found = library.lock_video(connection, video)
    incident_id = library.incident_of(connection, found.id)
    if incident_id is not None:
        raise Conflict(
            f"video {found.id} belongs to incident {incident_id}; delete that instead "
            f"(DELETE /api/v1/incidents/{incident_id})",
            {"video_id": found.id, "incident_iid": incident_id},
        )
    referring = queries.scores_of_video(connection, found)
    score_ids = tuple(score_id for score_id, _ in referring)
    if not is_forced:
        _check_free(found, score_ids)
    queries.delete_scores(connection, score_ids)
    forget_scores(connection, score_ids)
    jobs.delete_jobs(connection, [job_id for _, job_id in referring])
    files = tuple(forget_video(connection, runtime, found))
    if found.is_gold:  # another gold may be the reference now
        annotate_steps(connection, found.task_id)
    record(
        connection,
        by,
        Action.VIDEO_DELETED,
        f"video:{found.id}",
        task_id=found.task_id,
        detail={"sha256": found.sha256, "score_ids": [*score_ids], "is_forced": is_forced},
    )
    return Forgotten(found, files, score_ids)


def change_video(
    connection: Connection, video: int | str, changes: Mapping[str, str], by: Actor
) -> VideoRow:
    """Correct what was said about a recording. Raises VideoNotFound."""
    found = library.lock_video(connection, video)
    given = {name: value for name, value in changes.items() if getattr(found, name) != value}
    if not given:
        return found
    library.change_meta(connection, found.id, given)
    record(
        connection,
        by,
        Action.VIDEO_CHANGED,
        f"video:{found.id}",
        task_id=found.task_id,
        detail={name: [getattr(found, name), value] for name, value in given.items()},
    )
    return library.get_video(connection, found.id)


def _check_free(video: VideoRow, score_ids: tuple[int, ...]) -> None:
    if video.status is VideoStatus.PROCESSING:
        raise Conflict(
            f"video {video.id} is still being analysed; wait until its job has ended, or delete "
            "with force=true",
            {"video_id": video.id, "status": str(video.status)},
        )
    if score_ids:
        named = ", ".join(str(score_id) for score_id in score_ids[:_MOST_NAMED])
        rest = len(score_ids) - _MOST_NAMED
        more = f" and {rest} more" if rest > 0 else ""
        raise Conflict(
            f"video {video.id} is used by the scores {named}{more}; delete with force=true to "
            "remove them too",
            {"video_id": video.id, "score_job_ids": [*score_ids]},
        )
