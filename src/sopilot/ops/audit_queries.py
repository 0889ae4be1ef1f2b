"""All SQL that reads the audit log and the jobs that its rows are about. Nobody here commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, select

from sopilot.store.tables import audit_log, jobs, scores, trainings, videos

JobType = Literal["ingest", "score", "training"]


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """Which rows are wanted; None = any. since, before: UTC texts of the store, before excluded.

    before_seq: only rows older than the one of this number, which is how a reader pages.
    """

    action: str | None = None
    actor: str | None = None
    task_id: str | None = None
    resource: str | None = None
    outcome: str | None = None
    since: str | None = None
    before: str | None = None
    before_seq: int | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """The job behind an audited resource as it is now. model_name: what made its result."""

    job_id: str
    job_type: JobType
    requested_by: str
    status: str
    model_name: str | None
    score: float | None
    error_message: str | None
    queued_at: str
    started_at: str | None
    finished_at: str | None


def list_rows(connection: Connection, chosen: TrailFilter, limit: int) -> list[dict[str, Any]]:
    """At most `limit` rows, newest first."""
    query = select(audit_log).order_by(audit_log.c.seq.desc()).limit(limit)
    for name in ("action", "actor", "task_id", "resource", "outcome"):
        wanted = getattr(chosen, name)
        if wanted is not None:
            query = query.where(audit_log.c[name] == wanted)
    if chosen.since is not None:
        query = query.where(audit_log.c.ts >= chosen.since)
    if chosen.before is not None:
        query = query.where(audit_log.c.ts < chosen.before)
    if chosen.before_seq is not None:
        query = query.where(audit_log.c.seq < chosen.before_seq)
    return [dict(row._mapping) for row in connection.execute(query)]


_STATE = (
    jobs.c.requested_by,
    jobs.c.state,
    jobs.c.error_message,
    jobs.c.created_at,
    jobs.c.started_at,
    jobs.c.finished_at,
)


def job_facts(connection: Connection, resources: Iterable[str]) -> Mapping[str, JobFacts]:
    """By resource (`video:12`, `score:7`, `training:<uid>`); what is deleted has none."""
    wanted: dict[str, set[str]] = {"video": set(), "score": set(), "training": set()}
    for resource in resources:
        kind, _, name = resource.partition(":")
        if kind in wanted:
            wanted[kind].add(name)
    found = _ingests(connection, _numbers(wanted["video"]))
    found |= _scores(connection, _numbers(wanted["score"]))
    found |= _trainings(connection, sorted(wanted["training"]))
    return found


def _numbers(names: set[str]) -> list[int]:
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _ingests(connection: Connection, ids: Sequence[int]) -> dict[str, JobFacts]:
    query = select(videos.c.id, jobs.c.uid, videos.c.embedding_model, *_STATE)
    query = query.join(jobs, videos.c.ingest_job_id == jobs.c.id).where(videos.c.id.in_(ids))
    return {
        f"video:{row.id}": _facts(row, "ingest", row.embedding_model)
        for row in _rows(connection, query, ids)
    }


def _scores(connection: Connection, ids: Sequence[int]) -> dict[str, JobFacts]:
    query = select(scores.c.id, scores.c.uid, scores.c.algorithm, scores.c.score, *_STATE)
    query = query.join(jobs, scores.c.job_id == jobs.c.id).where(scores.c.id.in_(ids))
    return {
        f"score:{row.id}": _facts(row, "score", row.algorithm, row.score)
        for row in _rows(connection, query, ids)
    }


def _trainings(connection: Connection, uids: Sequence[str]) -> dict[str, JobFacts]:
    query = select(trainings.c.uid, *_STATE)
    query = query.join(jobs, trainings.c.job_id == jobs.c.id).where(trainings.c.uid.in_(uids))
    return {
        f"training:{row.uid}": _facts(row, "training", None)
        for row in _rows(connection, query, uids)
    }


def _rows(
    connection: Connection, query: Select[Any], wanted: Sequence[object]
) -> Iterable[Row[Any]]:
    return connection.execute(query) if wanted else ()


def _facts(
    row: Row[Any], job_type: JobType, model_name: str | None, score: float | None = None
) -> JobFacts:
    return JobFacts(
        job_id=row.uid,
        job_type=job_type,
        requested_by=row.requested_by,
        status=row.state,
        model_name=model_name,
        score=score,
        error_message=row.error_message,
        queued_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
