"""All SQL on tasks, step definitions and scores. A connection comes first; nobody here commits."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Row, bindparam, case, cast, func, select
from sqlalchemy import true as sql_true

from sopilot.core.errors import ScoreNotFound
from sopilot.core.records import Role, Step, StepKind
from sopilot.core.timespan import TimeSpan
from sopilot.library.schemas import VideoRow
from sopilot.sop.fates import StepFate
from sopilot.store.ids import row_name
from sopilot.store.tables import (
    jobs,
    score_reviews,
    score_steps,
    scores,
    task_steps,
    tasks,
    videos,
)
from sopilot.store.times import now_text
from sopilot.store.upsert import insert_missing, upsert


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A score with the state of its job. result: the public record, None until completed.

    kind: score, or ensemble (a verdict by several golds that also says what each alone finds).
    """

    id: int
    uid: str
    job_id: int
    task_id: str
    gold_video_id: int
    gold_video_ids: tuple[int, ...]
    trainee_video_id: int
    weights: Mapping[str, float] | None
    kind: str
    score: float | None
    decision: str | None
    result: Mapping[str, Any] | None
    requested_by: str
    created_at: str
    updated_at: str
    status: str
    progress: float
    error_code: str | None
    error_message: str | None
    started_at: str | None
    finished_at: str | None


@dataclass(frozen=True, slots=True)
class ScoreListRow:
    """A score as lists show it: without the alignment. summary: part of the result, or None."""

    id: int
    uid: str
    task_id: str
    gold_video_id: int
    trainee_video_id: int
    kind: str
    score: float | None
    decision: str | None
    summary: Mapping[str, Any] | None
    requested_by: str
    created_at: str
    updated_at: str
    status: str
    error_message: str | None
    finished_at: str | None


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """Ready videos of a task by role."""

    task_id: str
    task_name: str
    gold_count: int
    trainee_count: int
    video_count: int
    pass_score: float
    retrain_score: float


_JOB = (
    jobs.c.state.label("status"),
    jobs.c.progress,
    jobs.c.error_code,
    jobs.c.error_message,
    jobs.c.started_at,
    jobs.c.finished_at,
)
_SCORE = (
    *(scores.c[name] for name in ScoreRow.__dataclass_fields__ if name in scores.c),
    *_JOB,
)
_LISTED = (
    scores.c.id,
    scores.c.uid,
    scores.c.task_id,
    scores.c.gold_video_id,
    scores.c.trainee_video_id,
    scores.c.kind,
    scores.c.score,
    scores.c.decision,
    scores.c.result["summary"].label("summary"),
    scores.c.requested_by,
    scores.c.created_at,
    scores.c.updated_at,
    jobs.c.state.label("status"),
    jobs.c.error_message,
    jobs.c.finished_at,
)
_scores_and_jobs = scores.join(jobs, scores.c.job_id == jobs.c.id)
# Built once: making the statement anew costs more than running it.
_ONE = select(*_SCORE).select_from(_scores_and_jobs)
_BY_ID = _ONE.where(scores.c.id == bindparam("wanted"))
_BY_UID = _ONE.where(scores.c.uid == bindparam("wanted"))


def get_score(connection: Connection, score: int | str) -> ScoreRow:
    """The row of an id or uid. Raises ScoreNotFound."""
    wanted = row_name(score)
    query = _BY_ID if isinstance(wanted, int) else _BY_UID
    row = connection.execute(query, {"wanted": wanted}).one_or_none()
    if row is None:
        raise ScoreNotFound(f"there is no score job {wanted}; GET /score lists them")
    values = dict(row._mapping)
    values["gold_video_ids"] = tuple(values["gold_video_ids"])
    return ScoreRow(**values)


def lock_score(connection: Connection, score: int | str) -> ScoreRow:
    """`get_score`, and on a server nobody else changes the row until the transaction ends."""
    found = get_score(connection, score)
    locked = select(scores.c.id).where(scores.c.id == found.id)
    connection.execute(locked.with_for_update(key_share=True))
    return get_score(connection, found.id)


def list_scores(
    connection: Connection,
    *,
    status: str | None,
    task_id: str | None,
    limit: int,
    offset: int,
) -> tuple[list[ScoreListRow], int]:
    """One page, newest first, and the number of scores that the filter matches."""
    matching: ColumnElement[bool] = sql_true()
    if status is not None:
        matching &= jobs.c.state == status
    if task_id is not None:
        matching &= scores.c.task_id == task_id
    count = select(func.count()).select_from(_scores_and_jobs).where(matching)
    page = (
        select(*_LISTED)
        .select_from(_scores_and_jobs)
        .where(matching)
        .order_by(scores.c.id.desc())
        .limit(limit)
        .offset(offset)
    )
    rows = [ScoreListRow(**row._mapping) for row in connection.execute(page)]
    return rows, int(connection.execute(count).scalar() or 0)


def insert_score(
    connection: Connection,
    *,
    uid: str,
    job_id: int,
    task_id: str,
    gold_video_ids: Sequence[int],
    trainee_video_id: int,
    weights: Mapping[str, float] | None,
    requested_by: str,
    kind: str = "score",
) -> int:
    """A new row without result; returns its id. The first gold is the reference of the steps."""
    now = now_text()
    result = connection.execute(
        scores.insert().values(
            uid=uid,
            job_id=job_id,
            task_id=task_id,
            gold_video_id=gold_video_ids[0],
            gold_video_ids=list(gold_video_ids),
            trainee_video_id=trainee_video_id,
            weights=dict(weights) if weights else None,
            requested_by=requested_by,
            kind=kind,
            created_at=now,
            updated_at=now,
        )
    )
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def store_result(
    connection: Connection,
    score_id: int,
    result: Mapping[str, Any],
    *,
    score: float,
    decision: str,
    profile_version: int,
    algorithm: str,
) -> None:
    """Write the one result record of a score; its job is completed in the same transaction."""
    connection.execute(
        scores.update()
        .where(scores.c.id == score_id)
        .values(
            result=dict(result),
            score=score,
            decision=decision,
            profile_version=profile_version,
            algorithm=algorithm,
            completed_at=now_text(),
            updated_at=now_text(),
        )
    )


@dataclass(frozen=True, slots=True)
class ScoreState:
    """How far a score is; small enough to be asked for again and again."""

    id: int
    status: str
    progress: float
    score: float | None
    decision: str | None
    error_message: str | None


def get_score_state(connection: Connection, score: int | str) -> ScoreState:
    """The state of an id or uid. Raises ScoreNotFound."""
    wanted = row_name(score)
    named = scores.c.id == wanted if isinstance(wanted, int) else scores.c.uid == wanted
    row = connection.execute(
        select(
            scores.c.id,
            jobs.c.state.label("status"),
            jobs.c.progress,
            scores.c.score,
            scores.c.decision,
            jobs.c.error_message,
        )
        .select_from(_scores_and_jobs)
        .where(named)
    ).one_or_none()
    if row is None:
        raise ScoreNotFound(f"there is no score job {wanted}; GET /score lists them")
    return ScoreState(**row._mapping)


# ---- reviews ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """What a person decided about a score."""

    verdict: str
    note: str | None
    reviewer: str
    created_at: str
    updated_at: str


def find_review(connection: Connection, score_id: int) -> ReviewRow | None:
    """The review of a score, or None."""
    row = connection.execute(
        select(*(score_reviews.c[name] for name in ReviewRow.__dataclass_fields__)).where(
            score_reviews.c.score_id == score_id
        )
    ).one_or_none()
    return None if row is None else ReviewRow(**row._mapping)


def put_review(
    connection: Connection, score_id: int, verdict: str, note: str | None, reviewer: str
) -> None:
    """Write the review of a score, in the place of an earlier one."""
    now = now_text()
    values = {
        "score_id": score_id,
        "verdict": verdict,
        "note": note,
        "reviewer": reviewer[:128],
        "created_at": now,
        "updated_at": now,
    }
    upsert(connection, score_reviews, ("score_id",), values, keep=("created_at",))


# ---- completed scores in pieces ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A completed score as it is judged anew."""

    id: int
    trainee_video_id: int
    weights: Mapping[str, float] | None
    score: float
    decision: str
    profile_version: int
    result: Mapping[str, Any]


def completed_results(
    connection: Connection, task_id: str, after_id: int, limit: int
) -> list[StoredResult]:
    """The next completed scores of a task by id."""
    rows = connection.execute(
        select(*(scores.c[name] for name in StoredResult.__dataclass_fields__))
        .where(scores.c.task_id == task_id, scores.c.id > after_id, scores.c.result.is_not(None))
        .order_by(scores.c.id)
        .limit(limit)
    )
    return [StoredResult(**row._mapping) for row in rows]


def replace_result(
    connection: Connection,
    score_id: int,
    result: Mapping[str, Any],
    *,
    score: float,
    decision: str,
    profile_version: int,
) -> None:
    """Put a new judgement in the place of a stored one; when it was completed stays."""
    connection.execute(
        scores.update()
        .where(scores.c.id == score_id)
        .values(
            result=dict(result),
            score=score,
            decision=decision,
            profile_version=profile_version,
            updated_at=now_text(),
        )
    )


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """Which completed scores an export holds; None = all. since, before: UTC texts."""

    task_id: str | None = None
    site_id: str | None = None
    operator_id_hash: str | None = None
    decision: str | None = None
    since: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class ExportRow:
    """A completed score as a line of the export; metrics: part of the result."""

    id: int
    task_id: str
    gold_video_id: int
    trainee_video_id: int
    operator_id_hash: str | None
    site_id: str | None
    score: float
    decision: str
    metrics: Mapping[str, Any]
    created_at: str
    finished_at: str | None


def export_rows(
    connection: Connection, chosen: ExportFilter, below_id: int | None, limit: int
) -> list[ExportRow]:
    """The next completed scores, newest first, whose id is below the given one."""
    matching: ColumnElement[bool] = scores.c.result.is_not(None)
    for column, value in (
        (scores.c.task_id, chosen.task_id),
        (videos.c.site_id, chosen.site_id),
        (videos.c.operator_id_hash, chosen.operator_id_hash),
        (scores.c.decision, chosen.decision),
    ):
        if value is not None:
            matching &= column == value
    if chosen.since is not None:
        matching &= scores.c.completed_at >= chosen.since
    if chosen.before is not None:
        matching &= scores.c.completed_at < chosen.before
    if below_id is not None:
        matching &= scores.c.id < below_id
    rows = connection.execute(
        select(
            scores.c.id,
            scores.c.task_id,
            scores.c.gold_video_id,
            scores.c.trainee_video_id,
            videos.c.operator_id_hash,
            videos.c.site_id,
            scores.c.score,
            scores.c.decision,
            scores.c.result["metrics"].label("metrics"),
            scores.c.created_at,
            jobs.c.finished_at,
        )
        .select_from(_scores_and_jobs.join(videos, scores.c.trainee_video_id == videos.c.id))
        .where(matching)
        .order_by(scores.c.id.desc())
        .limit(limit)
    )
    return [ExportRow(**row._mapping) for row in rows]


# ---- steps of scores, tasks -------------------------------------------------------------------


def replace_score_steps(connection: Connection, score_id: int, fates: Sequence[StepFate]) -> None:
    """Put these rows in the place of what is stored about a score's steps."""
    connection.execute(score_steps.delete().where(score_steps.c.score_id == score_id))
    if fates:
        rows = [{"score_id": score_id, **asdict(fate)} for fate in fates]
        connection.execute(score_steps.insert(), rows)


def scores_of_video(connection: Connection, video: VideoRow) -> list[tuple[int, int]]:
    """(score id, job id) of every score that compares this video, oldest first."""
    name = "json_each" if connection.dialect.name == "sqlite" else "json_array_elements_text"
    golds = getattr(func, name)(scores.c.gold_video_ids).table_valued("value")
    is_gold = select(golds.c.value).where(cast(golds.c.value, Integer) == video.id).exists()
    is_named = (scores.c.gold_video_id == video.id) | (scores.c.trainee_video_id == video.id)
    rows = connection.execute(
        select(scores.c.id, scores.c.job_id)
        .where(scores.c.task_id == video.task_id, is_named | is_gold)
        .order_by(scores.c.id)
    )
    return [(row[0], row[1]) for row in rows]


def delete_scores(connection: Connection, score_ids: Sequence[int]) -> None:
    """Remove scores with their reviews and step fates."""
    for table in (score_reviews, score_steps):
        connection.execute(table.delete().where(table.c.score_id.in_(score_ids)))
    connection.execute(scores.delete().where(scores.c.id.in_(score_ids)))


def find_task(
    connection: Connection, task_id: str, *, lock: bool = False
) -> Mapping[str, Any] | None:
    """The columns of a task's row, or None. lock: until the end of the transaction."""
    query = select(tasks).where(tasks.c.task_id == task_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else dict(row._mapping)


def task_ids(connection: Connection) -> list[str]:
    """The names of all tasks."""
    return list(connection.execute(select(tasks.c.task_id).order_by(tasks.c.id)).scalars())


def insert_task(connection: Connection, columns: Mapping[str, object]) -> bool:
    """A new task from profile columns; False when somebody else has just made it."""
    now = now_text()
    values = {"uid": str(uuid.uuid4()), "created_at": now, "updated_at": now, **columns}
    return insert_missing(connection, tasks, ("task_id",), values)


def update_task(connection: Connection, task_id: str, columns: Mapping[str, object]) -> None:
    """Replace a task's profile columns."""
    connection.execute(
        tasks.update().where(tasks.c.task_id == task_id).values(updated_at=now_text(), **columns)
    )


def list_tasks(connection: Connection) -> list[TaskFigures]:
    """Every task with its ready videos counted."""
    ready = videos.c.status == "ready"

    def count(role: Role) -> ColumnElement[int]:
        chosen = case((ready & (videos.c.role == str(role)), 1), else_=0)
        return func.coalesce(func.sum(chosen), 0)

    query = (
        select(
            tasks.c.task_id,
            tasks.c.task_name,
            count(Role.GOLD).label("gold_count"),
            count(Role.TRAINEE).label("trainee_count"),
            func.coalesce(func.sum(case((ready, 1), else_=0)), 0).label("video_count"),
            tasks.c.pass_score,
            tasks.c.retrain_score,
        )
        .select_from(tasks.outerjoin(videos, tasks.c.task_id == videos.c.task_id))
        .group_by(tasks.c.id)
        .order_by(tasks.c.task_id)
    )
    return [TaskFigures(**row._mapping) for row in connection.execute(query)]


def _step(row: Row[Any]) -> Step:
    has_span = row.start_sec is not None and row.end_sec is not None
    return Step(
        index=row.step_index,
        name_ja=row.name_ja,
        name_en=row.name_en,
        span=TimeSpan(row.start_sec, row.end_sec) if has_span else None,
        expected_duration_sec=row.expected_duration_sec,
        min_duration_sec=row.min_duration_sec,
        max_duration_sec=row.max_duration_sec,
        is_critical=row.is_critical,
        description=row.description,
        kind=None if row.kind is None else StepKind(row.kind),
    )


def list_steps(connection: Connection, task_id: str) -> tuple[Step, ...]:
    """The defined steps of a task by index; empty where nobody defined any."""
    rows = connection.execute(
        select(task_steps).where(task_steps.c.task_id == task_id).order_by(task_steps.c.step_index)
    )
    return tuple(_step(row) for row in rows)


def delete_steps(connection: Connection, task_id: str) -> int:
    """Remove a task's step definitions; returns how many there were."""
    result = connection.execute(task_steps.delete().where(task_steps.c.task_id == task_id))
    return int(result.rowcount)


def insert_steps(connection: Connection, task_id: str, steps: Sequence[Step]) -> None:
    """Add step definitions to a task that has none."""
    rows = [
        {
            "task_id": task_id,
            "step_index": step.index,
            "name_ja": step.name_ja,
            "name_en": step.name_en,
            "start_sec": step.span.start_sec if step.span else None,
            "end_sec": step.span.end_sec if step.span else None,
            "expected_duration_sec": step.expected_duration_sec,
            "min_duration_sec": step.min_duration_sec,
            "max_duration_sec": step.max_duration_sec,
            "is_critical": step.is_critical,
            "description": step.description,
            "kind": step.kind,
        }
        for step in steps
    ]
    if rows:
        connection.execute(task_steps.insert(), rows)
