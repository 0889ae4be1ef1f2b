"""Job handlers of incidents: thin, the use case is `incidents.analyze`.

An outcome, its timeline and the audit row are one transaction with the end of the job. The hooks of
ingest start an analysis when its video is ready, and end the incident when that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sqlalchemy import Connection

from sopilot.core.errors import SopilotError
from sopilot.core.records import WORKER
from sopilot.incidents import queries
from sopilot.incidents.analyze import analyse
from sopilot.incidents.annotate import annotate_incident
from sopilot.incidents.case import open_case, release_pictures, with_keyframes
from sopilot.incidents.record import asked_counts_of
from sopilot.incidents.schemas import LogEvent, Status
from sopilot.incidents.submit import queue_analysis
from sopilot.jobs.context import JobContext
from sopilot.jobs.outbox import enqueue_event
from sopilot.jobs.queries import heartbeat
from sopilot.jobs.records import Job
from sopilot.library.schemas import VideoRow
from sopilot.library.workplace import clear_workplace, workplace
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.tallies import count_model_calls
from sopilot.vlm.open import open_client


def analyse_incident(runtime: Runtime, context: JobContext) -> None:
    """Work on an `incident.analyze` job."""
    incident_id = int(context.job.payload["incident_id"])
    on_stage = partial(_tell_stage, runtime, context, incident_id)
    with workplace(runtime, context.job, "incident") as folder:
        _start(runtime, context, incident_id)
        still = lambda _: context.progress(context.heart.share)  # noqa: E731
        case = open_case(runtime, incident_id, folder, still)
        with open_client(runtime.settings) as client:
            found = analyse(runtime.settings, case, client, on_stage, context.progress)
        found = with_keyframes(case, found)
        with context.commit() as connection:
            queries.store_found(
                connection,
                incident_id,
                found,
                duration_sec=case.duration_sec,
                frame_count=case.frame_count,
            )
            annotate_incident(connection, incident_id)
            answered, failed = asked_counts_of(found.analysis)
            count_model_calls(connection, "incident", answered=answered, failed=failed)
            release_pictures(runtime, connection, case.sha256)
            detail = {"has_event": bool(found.events), "events_found": len(found.events)}
            queries.add_log(
                connection,
                incident_id,
                LogEvent.DONE,
                Status.DONE,
                detail=detail | {"inferred_domain": found.inferred_domain},
                model_version=found.model_version,
                prompt_version=found.prompt_version,
            )
            _announce(runtime, connection, "incident.completed", incident_id, detail)
            record(
                connection,
                WORKER,
                Action.INCIDENT_COMPLETED,
                f"incident:{incident_id}",
                detail=detail | {"method": found.method},
            )


def _start(runtime: Runtime, context: JobContext, incident_id: int) -> None:
    with runtime.database.write() as connection:
        heartbeat(connection, context.job, runtime.settings.job_lease_seconds, 0.0)
        row = queries.get_incident(connection, incident_id)
        queries.update_incident(connection, row.id, status=str(Status.PROCESSING), stage=None)
        if row.status is not Status.PROCESSING:
            queries.add_log(connection, row.id, LogEvent.PROCESSING_START, Status.PROCESSING)


def _tell_stage(
    runtime: Runtime,
    context: JobContext,
    incident_id: int,
    stage: int,
    model_version: str,
    prompt_version: str | None,
) -> None:
    """Write down that a pass begins; an orphan of a lost lease writes nothing."""
    share = context.heart.share
    with runtime.database.write() as connection:
        heartbeat(connection, context.job, runtime.settings.job_lease_seconds, share)
        queries.update_incident(connection, incident_id, stage=stage)
        queries.add_log(
            connection,
            incident_id,
            LogEvent.STAGE_START,
            Status.PROCESSING,
            stage=stage,
            model_version=model_version,
            prompt_version=prompt_version,
        )


def incident_ended(runtime: Runtime, connection: Connection, job: Job, error: SopilotError) -> None:
    """What a failed or cancelled analysis leaves: ERROR with the reason, the upload kept."""
    clear_workplace(runtime, job, "incident")
    _fail(runtime, connection, int(job.payload["incident_id"]), error.code, error.message)


def video_ready(runtime: Runtime, connection: Connection, video: VideoRow) -> None:
    """Start the analysis that waits for this video, if any."""
    row = queries.incident_of_video(connection, video.id)
    if row is not None and row.job_id is None:
        queue_analysis(runtime, connection, row, row.requested_by)


def video_failed(runtime: Runtime, connection: Connection, video: VideoRow) -> None:
    """End the incident whose video could not be read."""
    row = queries.incident_of_video(connection, video.id)
    if row is not None:
        code, message = video.error_code or "INTERNAL_ERROR", video.error_message or ""
        _fail(runtime, connection, row.id, code, message)


def _fail(
    runtime: Runtime, connection: Connection, incident_id: int, code: str, message: str
) -> None:
    queries.update_incident(
        connection, incident_id, status=str(Status.ERROR), error_code=code, error_message=message
    )
    detail = {"code": code, "error": message}
    model_version, prompt_version = queries.last_versions(connection, incident_id)
    queries.add_log(
        connection,
        incident_id,
        LogEvent.ERROR,
        Status.ERROR,
        detail=detail,
        model_version=model_version,
        prompt_version=prompt_version,
    )
    _announce(runtime, connection, "incident.failed", incident_id, detail)
    record(
        connection,
        WORKER,
        Action.INCIDENT_FAILED,
        f"incident:{incident_id}",
        outcome="failed",
        detail={"code": code},
    )


def _announce(
    runtime: Runtime,
    connection: Connection,
    event: str,
    incident_id: int,
    detail: Mapping[str, object],
) -> None:
    """Leave a webhook to be delivered, where one is configured."""
    if runtime.settings.webhook_url:
        enqueue_event(connection, event, {"incident_iid": incident_id, **detail})
