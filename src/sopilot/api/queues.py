"""What waits and what runs, per queue, read from the job rows, and the webhooks that wait."""

from __future__ import annotations

from sopilot.api.schemas_admin import QueueBackend, QueueResponse, QueueState
from sopilot.incidents.submit import INCIDENT_KIND
from sopilot.jobs.outbox import count_deliveries
from sopilot.jobs.queries import count_jobs
from sopilot.jobs.records import JobState
from sopilot.library.add import INGEST_KIND
from sopilot.ops.queries import later_jobs
from sopilot.runtime import Runtime
from sopilot.sop.evaluate import SCORE_KIND
from sopilot.sop.training import TRAINING_KIND
from sopilot.store.times import now_text
from sopilot.vigil.add import INDEX_KIND
from sopilot.vigil.events import DETECT_KIND

_KINDS = {
    "ingest": INGEST_KIND,
    "score": SCORE_KIND,
    "training": TRAINING_KIND,
    "incident": INCIDENT_KIND,
    "vigil": INDEX_KIND,
    "detect": DETECT_KIND,
}


def read_queues(runtime: Runtime, *, has_workers: bool) -> QueueResponse:
    """Every documented queue in one snapshot. Raises StoreError.

    has_workers: whether this process runs the pool, else others must work on the jobs.
    """
    with runtime.database.snapshot() as connection:
        counts = count_jobs(connection)
        later = later_jobs(connection)
        deliveries = count_deliveries(connection)
    jobs = {}
    for key, kind in _KINDS.items():
        states = {str(state): counts.get((kind, state), 0) for state in JobState}
        jobs[key] = states | {"total": sum(states.values())}
    queues = [
        QueueState(
            key=key,
            name=f"sopilot_{key}",
            queued=jobs[key]["queued"],
            started=jobs[key]["running"],
            failed=jobs[key]["failed"],
            finished=jobs[key]["completed"],
            deferred=0,
            scheduled=later.get(kind, 0),
        )
        for key, kind in _KINDS.items()
    ]
    name = runtime.transport.backend
    return QueueResponse(
        generated_at=now_text(),
        runtime_mode="embedded" if has_workers else "external",
        queue=QueueBackend(backend=name, redis_ok=None, error=None, queues=queues),
        jobs=jobs,
        webhooks=deliveries,
    )
