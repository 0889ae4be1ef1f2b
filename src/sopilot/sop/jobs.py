"""Job handlers of scoring: thin, the use case is `sop.evaluate`."""

from __future__ import annotations

from sopilot.jobs.context import JobContext
from sopilot.runtime import Runtime
from sopilot.sop import queries
from sopilot.sop.evaluate import evaluate


def score_videos(runtime: Runtime, context: JobContext) -> None:
    """Work on a `sop.score` job: the result and the job's completion are one transaction."""
    row, result = evaluate(runtime, str(context.job.payload["score_uid"]), context.progress)
    record = result.model_dump(mode="json")
    with context.commit() as connection:
        queries.store_result(
            connection,
            row.id,
            record,
            score=result.score,
            decision=result.summary.decision,
            profile_version=result.profile_version,
            algorithm=result.algorithm,
        )
