"""All SQL on trainings and adapters. A connection comes first; nobody here commits."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, text

from sopilot.core.errors import NotFound
from sopilot.core.records import Role
from sopilot.jobs.records import JobState
from sopilot.store.ids import row_name
from sopilot.store.tables import adapters, jobs, score_reviews, scores, trainings, videos
from sopilot.store.times import now_text

_ONE_AT_A_TIME = 0x54_52_41_49  # any fixed number: those who may start a training queue up on it


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A training with the state of its job. result: None until it ended."""

    id: int
    uid: str
    job_id: int
    trigger: str
    result: Mapping[str, Any] | None
    created_at: str
    status: str
    requested_by: str
    error_message: str | None
    started_at: str | None
    finished_at: str | None


@dataclass(frozen=True, slots=True)
class AdapterRow:
    """An adopted adaptation of a task. video_ids: the confirmed executions in it."""

    task_id: str
    version: int
    key: str
    video_ids: tuple[int, ...]
    created_at: str


_TRAINING = (
    trainings,
    jobs.c.state.label("status"),
    jobs.c.requested_by,
    jobs.c.error_message,
    jobs.c.started_at,
    jobs.c.finished_at,
)
_trainings_and_jobs = trainings.join(jobs, trainings.c.job_id == jobs.c.id)


def lock_trainings(connection: Connection) -> None:
    """Let one transaction at a time decide whether a training starts (SQLite has one writer)."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _ONE_AT_A_TIME})


def insert_training(connection: Connection, *, uid: str, job_id: int, trigger: str) -> None:
    """A new training of a queued job."""
    connection.execute(
        trainings.insert().values(uid=uid, job_id=job_id, trigger=trigger, created_at=now_text())
    )


def get_training(connection: Connection, training: int | str) -> TrainingRow:
    """The training of an id or uid. Raises NotFound."""
    wanted = row_name(training)
    column = trainings.c.id if isinstance(wanted, int) else trainings.c.uid
    return _training(connection, column == wanted) or _no_training(training)


def training_of_job(connection: Connection, job_id: int) -> TrainingRow:
    """The training of a job. Raises NotFound."""
    return _training(connection, trainings.c.job_id == job_id) or _no_training(job_id)


@dataclass(frozen=True, slots=True)
class TrainingCount:
    """Trainings of one trigger. status: how they ended, or the state of their job; `skipped` is
    an end of its own. started: how many of them a worker has begun."""

    trigger: str
    status: str
    count: int
    started: int


def count_trainings(connection: Connection) -> list[TrainingCount]:
    """How many trainings there are of each sort; none is ever deleted."""
    status = func.coalesce(trainings.c.result["status"].as_string(), jobs.c.state)
    rows = connection.execute(
        select(trainings.c.trigger, status, func.count(), func.count(jobs.c.started_at))
        .select_from(_trainings_and_jobs)
        .group_by(trainings.c.trigger, status)
    )
    return [TrainingCount(*row) for row in rows]


def open_training(connection: Connection) -> TrainingRow | None:
    """The training that waits or runs."""
    return _training(connection, jobs.c.state.in_([JobState.QUEUED, JobState.RUNNING]))


def has_nightly_since(connection: Connection, moment: str) -> bool:
    """Whether a nightly training was begun at or after this moment."""
    query = select(trainings.c.id).where(
        trainings.c.trigger == "nightly", trainings.c.created_at >= moment
    )
    return connection.execute(query.limit(1)).first() is not None


def last_learning(connection: Connection) -> str | None:
    """When the newest training that was not skipped began; None before the first."""
    query = (
        select(trainings.c.created_at)
        .select_from(_trainings_and_jobs)
        .where(
            jobs.c.state == JobState.COMPLETED,
            trainings.c.result["status"].as_string() == "completed",
        )
        .order_by(trainings.c.id.desc())
        .limit(1)
    )
    found: str | None = connection.execute(query).scalar()
    return found


def store_training(connection: Connection, job_id: int, result: Mapping[str, Any]) -> None:
    """Write how a training ended."""
    connection.execute(
        trainings.update().where(trainings.c.job_id == job_id).values(result=dict(result))
    )


def count_new_videos(connection: Connection, since: str | None) -> int:
    """Golds that became ready, and executions that were confirmed, after a moment."""
    golds = (videos.c.role == str(Role.GOLD)) & (videos.c.status == "ready")
    query = (
        select(func.count(videos.c.id.distinct()))
        .select_from(
            videos.outerjoin(scores, scores.c.trainee_video_id == videos.c.id).outerjoin(
                score_reviews, score_reviews.c.score_id == scores.c.id
            )
        )
        .where(
            or_(
                golds if since is None else golds & (videos.c.updated_at > since),
                _confirmed(since),
            )
        )
    )
    return int(connection.execute(query).scalar() or 0)


def confirmed_videos(connection: Connection, task_id: str) -> tuple[int, ...]:
    """Executions of a task that a reviewer passed in every review, the earliest review first."""
    failed = (
        select(scores.c.trainee_video_id)
        .join(score_reviews, score_reviews.c.score_id == scores.c.id)
        .where(scores.c.task_id == task_id, score_reviews.c.verdict != "pass")
    )
    rows = connection.execute(
        select(videos.c.id)
        .select_from(
            videos.join(scores, scores.c.trainee_video_id == videos.c.id).join(
                score_reviews, score_reviews.c.score_id == scores.c.id
            )
        )
        .where(scores.c.task_id == task_id, _confirmed(None), videos.c.id.not_in(failed))
        .group_by(videos.c.id)
        .order_by(func.min(score_reviews.c.created_at), videos.c.id)
    )
    return tuple(int(row.id) for row in rows)


def tasks_with_golds(connection: Connection) -> tuple[str, ...]:
    """Tasks that have a ready gold, by name."""
    rows = connection.execute(
        select(videos.c.task_id)
        .where(videos.c.role == str(Role.GOLD), videos.c.status == "ready")
        .distinct()
        .order_by(videos.c.task_id)
    )
    return tuple(str(row.task_id) for row in rows)


def ready_golds(connection: Connection, task_id: str) -> tuple[int, ...]:
    """The ready golds of a task, the reference first."""
    rows = connection.execute(
        select(videos.c.id)
        .where(
            videos.c.task_id == task_id,
            videos.c.role == str(Role.GOLD),
            videos.c.status == "ready",
        )
        .order_by(videos.c.gold_version, videos.c.id)
    )
    return tuple(int(row.id) for row in rows)


def current_adapter(connection: Connection, task_id: str) -> AdapterRow | None:
    """The adaptation in force: the newest of the task."""
    row = connection.execute(
        select(adapters)
        .where(adapters.c.task_id == task_id)
        .order_by(adapters.c.version.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return AdapterRow(row.task_id, row.version, row.key, tuple(row.video_ids), row.created_at)


def insert_adapter(
    connection: Connection,
    *,
    task_id: str,
    version: int,
    key: str,
    video_ids: Sequence[int],
    proof: Mapping[str, Any],
    job_id: int | None,
) -> None:
    """Adopt an adaptation: from now on it is the one in force."""
    connection.execute(
        adapters.insert().values(
            task_id=task_id,
            version=version,
            key=key,
            video_ids=list(video_ids),
            proof=dict(proof),
            job_id=job_id,
            created_at=now_text(),
        )
    )


def set_adapter_version(connection: Connection, score_id: int, version: int | None) -> None:
    """Say which adaptation a score was made with."""
    connection.execute(
        scores.update().where(scores.c.id == score_id).values(adapter_version=version)
    )


def _confirmed(since: str | None) -> ColumnElement[bool]:
    found = (
        (score_reviews.c.verdict == "pass")
        & (videos.c.status == "ready")
        & (videos.c.role != str(Role.GOLD))
    )
    return found if since is None else found & (score_reviews.c.updated_at > since)


def _training(connection: Connection, chosen: ColumnElement[bool]) -> TrainingRow | None:
    row = connection.execute(
        select(*_TRAINING)
        .select_from(_trainings_and_jobs)
        .where(chosen)
        .order_by(trainings.c.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return TrainingRow(**{name: getattr(row, name) for name in TrainingRow.__dataclass_fields__})


def _no_training(training: int | str) -> TrainingRow:
    raise NotFound(f"there is no training job {training}; POST /train/nightly begins one")


def new_uid() -> str:
    """The public name of a new training."""
    return str(uuid.uuid4())
