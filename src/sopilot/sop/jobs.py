"""Job handlers of scoring: thin, the use case is `sop.evaluate`.

A completed score, what became of its steps and the audit row are one transaction with the end of
its job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from sopilot.core.errors import JobCancelled, SopilotError
from sopilot.core.records import WORKER, Actor
from sopilot.jobs.context import JobContext
from sopilot.jobs.outbox import enqueue_event
from sopilot.jobs.records import Job
from sopilot.runtime import Runtime
from sopilot.sop import queries, training_queries
from sopilot.sop.annotate import annotate_score
from sopilot.sop.evaluate import evaluate
from sopilot.sop.fates import step_fates
from sopilot.sop.queries import ScoreRow
from sopilot.sop.training import adopt, train
from sopilot.store.audit import Action, Outcome, record
from sopilot.store.tallies import Tally, observe


def score_videos(runtime: Runtime, context: JobContext) -> None:
    """Work on a `sop.score` job: the result and the job's completion are one transaction."""
    found = evaluate(runtime, str(context.job.payload["score_uid"]), context.progress)
    row, result = found.row, found.result
    stored = result.model_dump(mode="json")
    with context.commit() as connection:
        queries.store_result(
            connection,
            row.id,
            stored,
            score=result.score,
            decision=result.summary.decision,
            profile_version=result.profile_version,
            algorithm=result.algorithm,
        )
        observe(connection, Tally.ALIGNMENT_SECONDS, "cpu", found.alignment_sec)
        training_queries.set_adapter_version(connection, row.id, result.adapter_version)
        queries.replace_score_steps(connection, row.id, step_fates(result))
        annotate_score(connection, row.id, row.trainee_video_id, result)
        detail = {"score": result.score, "decision": result.summary.decision}
        announce(runtime, connection, "score.completed", row, detail)
        audit(connection, Action.SCORE_COMPLETED, row, "ok", detail)


def score_ended(runtime: Runtime, connection: Connection, job: Job, error: SopilotError) -> None:
    """What a failed or cancelled `sop.score` job leaves in the audit log and the outbox."""
    if error.details.get("is_recorded"):
        return
    row = queries.get_score(connection, str(job.payload["score_uid"]))
    action = Action.SCORE_CANCELLED if isinstance(error, JobCancelled) else Action.SCORE_FAILED
    if action is Action.SCORE_FAILED:
        reason = {"score": None, "decision": None, "error_code": error.code, "error": error.message}
        announce(runtime, connection, "score.failed", row, reason)
    audit(connection, action, row, "failed", {"code": error.code})


def cancel_recorder(row: ScoreRow, by: Actor) -> Callable[[Connection, Job], None]:
    """What records, in the transaction of the request, who cancelled a score."""

    def record_cancel(connection: Connection, job: Job) -> None:
        record(
            connection,
            by,
            Action.SCORE_CANCELLED,
            f"score:{row.id}",
            task_id=row.task_id,
            detail={"was_running": not job.is_finished},
        )

    return record_cancel


def announce(
    runtime: Runtime, connection: Connection, event: str, row: ScoreRow, detail: dict[str, Any]
) -> None:
    """Leave a webhook to be delivered, where one is configured."""
    if not runtime.settings.webhook_url:
        return
    payload = {
        "job_id": row.id,
        "score_job_id": row.uid,
        "task_id": row.task_id,
        "gold_video_id": row.gold_video_id,
        "trainee_video_id": row.trainee_video_id,
    }
    enqueue_event(connection, event, payload | detail)


def audit(
    connection: Connection, action: Action, row: ScoreRow, outcome: Outcome, detail: dict[str, Any]
) -> None:
    """Record what the worker did with a score."""
    record(
        connection,
        WORKER,
        action,
        f"score:{row.id}",
        task_id=row.task_id,
        outcome=outcome,
        detail=detail,
    )


def adapt_tasks(runtime: Runtime, context: JobContext) -> None:
    """Work on a `sop.adapt` job: adopted versions, result and completion are one transaction."""
    uid = str(context.job.payload["training_uid"])
    result, found = train(runtime, uid, context.progress)
    with context.commit() as connection:
        for item in found:
            adopt(connection, item, context.job.id)
        training_queries.store_training(connection, context.job.id, result)
        detail = {key: result[key] for key in ("status", "mode", "new_videos")}
        detail["adopted"] = {item.task_id: item.version for item in found if item.is_adopted}
        record(connection, WORKER, Action.TRAINING_ENDED, f"training:{uid}", detail=detail)


def training_ended(connection: Connection, job: Job, error: SopilotError) -> None:
    """What a failed or cancelled `sop.adapt` job leaves: its result says why."""
    status = "cancelled" if isinstance(error, JobCancelled) else "failed"
    result = {**error.details, "status": status, "reason": error.message}
    training_queries.store_training(connection, job.id, result)
    record(
        connection,
        WORKER,
        Action.TRAINING_ENDED,
        f"training:{job.payload['training_uid']}",
        outcome="failed",
        detail={"code": error.code, "status": status},
    )
