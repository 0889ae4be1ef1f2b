"""An upload becomes an incident: its video, its row and its jobs, in one transaction.

Called by the routes and the command line. The analysis starts when the video is ready, which the
hooks of `incidents.jobs` see to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection

from sopilot.core.errors import Conflict
from sopilot.core.records import Actor, Role
from sopilot.incidents import queries
from sopilot.incidents.annotate import annotate_incident
from sopilot.incidents.passes import pass_settings
from sopilot.incidents.schemas import ENDS, Domain, IncidentRow, Language, LogEvent, Status
from sopilot.jobs import queries as jobs
from sopilot.library import queries as library
from sopilot.library.add import AddedVideo, OpenTask, Upload, add_file, add_staged, name_of
from sopilot.library.remove import forget_video
from sopilot.library.schemas import UploadMeta, VideoStatus
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.blobs import StagedBlob

INCIDENT_KIND = "incident.analyze"


@dataclass(frozen=True, slots=True)
class Order:
    """What the sender wants. domain: None = inferred. custom_events: id -> question in words."""

    domain: Domain | None = None
    language: Language = "ru"
    custom_events: Mapping[str, str] = field(default_factory=dict)
    filename: str | None = None


def submit(
    runtime: Runtime, staged: StagedBlob, order: Order, *, open_task: OpenTask, by: Actor
) -> IncidentRow:
    """Keep a received file and queue its analysis. Raises as `library.add.add_staged`.

    Every incident has a video row of its own: the same file may be looked through twice, and
    what an incident leaves when it is deleted is nothing.
    """
    rows: list[IncidentRow] = []
    add_staged(
        runtime,
        staged,
        _upload(runtime, order),
        open_task=open_task,
        by=by,
        and_then=lambda connection, added: rows.append(
            _insert(runtime, connection, added, order, by)
        ),
    )
    return rows[0]


def submit_file(
    runtime: Runtime, path: Path, order: Order, *, open_task: OpenTask, by: Actor
) -> IncidentRow:
    """`submit` for a file on this machine. Raises BadUpload when it cannot be read."""
    rows: list[IncidentRow] = []
    add_file(
        runtime,
        path,
        _upload(runtime, order, name_of(path)),
        open_task=open_task,
        by=by,
        and_then=lambda connection, added: rows.append(
            _insert(runtime, connection, added, order, by)
        ),
    )
    return rows[0]


def _upload(runtime: Runtime, order: Order, filename: str | None = None) -> Upload:
    settings = runtime.settings
    wants_pictures = bool(settings.vlm_url) and settings.vlm_protocol == "openai"
    return Upload(
        settings.primary_task_id,
        Role.FOOTAGE,
        UploadMeta(original_filename=order.filename or filename),
        is_forced=True,
        plan=pass_settings(settings)[0].plan if wants_pictures else None,
    )


def _insert(
    runtime: Runtime, connection: Connection, added: AddedVideo, order: Order, by: Actor
) -> IncidentRow:
    row = queries.insert_incident(
        connection,
        video_id=added.video.id,
        domain=order.domain,
        language=order.language,
        custom_events=order.custom_events,
        requested_by=by.name,
    )
    queries.add_log(connection, row.id, LogEvent.UPLOADED, Status.SAVED)
    detail = {"video_id": added.video.id, "sha256": added.video.sha256, "domain": order.domain}
    record(connection, by, Action.INCIDENT_UPLOADED, f"incident:{row.id}", detail=detail)
    return row


def queue_analysis(
    runtime: Runtime, connection: Connection, row: IncidentRow, requested_by: str
) -> None:
    """Queue the analysis of a ready video, in the caller's transaction."""
    job = jobs.enqueue(
        connection,
        INCIDENT_KIND,
        {"incident_id": row.id},
        requested_by=requested_by,
        max_attempts=runtime.settings.job_max_retries + 1,
    )
    queries.clear_outcome(connection, row.id, job.id)
    annotate_incident(connection, row.id)


def analyse_again(
    runtime: Runtime, connection: Connection, incident: int | str, by: Actor
) -> IncidentRow:
    """Queue a new analysis of a video that is there; what was found before is dropped.

    Raises IncidentNotFound, Conflict while an analysis runs or where the video cannot be read.
    """
    row = queries.lock_incident(connection, incident)
    video = library.get_video(connection, row.video_id)
    if row.status not in ENDS:
        raise Conflict(
            f"incident {row.id} is {row.status}; wait until its analysis has ended",
            {"incident_iid": row.id, "status": str(row.status)},
        )
    if video.status is not VideoStatus.READY:
        raise Conflict(
            f"the video of incident {row.id} could not be read ({video.error_message}); upload "
            "another file",
            {"incident_iid": row.id, "status": str(row.status)},
        )
    old_job = row.job_id
    queue_analysis(runtime, connection, row, by.name)
    if old_job is not None:
        jobs.delete_jobs(connection, [old_job])
    queries.add_log(connection, row.id, LogEvent.ANALYZE_REQUESTED, Status.SAVED)
    record(connection, by, Action.INCIDENT_ANALYZED_AGAIN, f"incident:{row.id}")
    return queries.get_incident(connection, row.id)


def delete_incident(
    runtime: Runtime, connection: Connection, incident: int | str, by: Actor
) -> None:
    """Remove an incident with its video and all that was made of it, also while it is analysed.

    Raises IncidentNotFound, Conflict when a score compares the video.
    """
    row = queries.lock_incident(connection, incident)
    score_ids = queries.scores_of_video(connection, row.video_id)
    if score_ids:
        raise Conflict(
            f"the video of incident {row.id} is used by the scores "
            f"{', '.join(map(str, score_ids))}; delete them with the video first "
            f"(DELETE /videos/{row.video_id}?force=true)",
            {"video_id": row.video_id, "score_job_ids": [*score_ids]},
        )
    video = library.get_video(connection, row.video_id)
    queries.delete_incident(connection, row.id)
    if row.job_id is not None:
        jobs.delete_jobs(connection, [row.job_id])
    forget_video(connection, runtime, video)
    record(
        connection,
        by,
        Action.INCIDENT_DELETED,
        f"incident:{row.id}",
        detail={"video_id": video.id, "sha256": video.sha256},
    )
