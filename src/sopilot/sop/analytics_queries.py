"""All SQL of the analytics: completed scores counted and listed under one filter.

What counts: a completed score, once per execution and order. An ensemble judges an execution that
is usually scored alone as well, so it counts only where its trainee video has no completed score
of its own. Operator and site are those of the trainee's video row, so that a correction of its
metadata moves its scores too. A connection comes first; nobody here commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, exists, func, select

from sopilot.sop.advice import StepCounts
from sopilot.sop.tally import Group, Tally
from sopilot.store.tables import audit_log, score_reviews, score_steps, scores, videos


@dataclass(frozen=True, slots=True)
class ScoreFilter:
    """Which scores a figure is made of; None = any. since (included) and until: stored moments."""

    task_id: str | None = None
    site_id: str | None = None
    operator_id: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class ScorePoint:
    """A completed score as a point in time. job_id: the public id of the score job."""

    job_id: int
    task_id: str
    score: float
    decision: str
    created_at: str
    completed_at: str


@dataclass(frozen=True, slots=True)
class VerdictCount:
    """Reviews with one verdict. agree_count: how many of them say what the program decided."""

    verdict: str
    count: int
    agree_count: int


def _counts_once() -> ColumnElement[bool]:
    own = scores.alias("own")
    has_own_score = exists().where(
        own.c.trainee_video_id == scores.c.trainee_video_id,
        own.c.completed_at.is_not(None),
        own.c.kind == "score",
    )
    return (scores.c.kind == "score") | ~has_own_score


# Built once: SQLAlchemy makes statements slower than SQLite runs short ones.
COUNTS_ONCE = _counts_once()
WITH_VIDEO = scores.join(videos, scores.c.trainee_video_id == videos.c.id)
# The same rows. As the sum is no column, SQLite goes through the scores in the order of an index
# and looks each video up; the other way round costs seven times as much where most videos count.
SCORES_FIRST = scores.join(videos, videos.c.id == scores.c.trainee_video_id + 0)
_POINT = (
    scores.c.id.label("job_id"),
    scores.c.task_id,
    scores.c.score,
    scores.c.decision,
    scores.c.created_at,
    scores.c.completed_at,
)


_CHANGE_MARK = select(
    *(
        select(func.max(column)).scalar_subquery()
        for column in (audit_log.c.seq, scores.c.id, videos.c.id, score_reviews.c.id)
    )
)


def change_mark(connection: Connection) -> tuple[int | None, ...]:
    """What differs after any change to scores, videos or reviews; ends of primary keys only.

    Every change writes a row of the audit log in its own transaction; the ids stand beside it for
    rows that a script puts in.
    """
    return tuple(connection.execute(_CHANGE_MARK).one())


def _asks_video(chosen: ScoreFilter) -> bool:
    return chosen.site_id is not None or chosen.operator_id is not None


def _source(chosen: ScoreFilter) -> FromClause:
    """The scores, with their video only where the filter asks for it."""
    return WITH_VIDEO if _asks_video(chosen) else scores


def _about(chosen: ScoreFilter) -> list[ColumnElement[bool]]:
    """The filter without its period."""
    conditions: list[ColumnElement[bool]] = [COUNTS_ONCE]
    if chosen.task_id is not None:
        conditions.append(scores.c.task_id == chosen.task_id)
    if chosen.site_id is not None:
        conditions.append(videos.c.site_id == chosen.site_id)
    if chosen.operator_id is not None:
        conditions.append(videos.c.operator_id_hash == chosen.operator_id)
    return conditions


def _within(chosen: ScoreFilter, moment: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.since is not None:
        conditions.append(moment >= chosen.since)
    if chosen.until is not None:
        conditions.append(moment < chosen.until)
    return conditions


def _completed(chosen: ScoreFilter) -> list[ColumnElement[bool]]:
    done = scores.c.completed_at
    return [done.is_not(None), *_about(chosen), *_within(chosen, done)]


def times_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows meet a condition."""
    return func.count().filter(condition)


def _latest(chosen: ScoreFilter, limit: int, *columns: ColumnElement[Any]) -> Select[Any]:
    return (
        select(*columns)
        .select_from(_source(chosen))
        .where(*_completed(chosen))
        .order_by(scores.c.completed_at.desc(), scores.c.id.desc())
        .limit(limit)
    )


def tally_columns() -> list[ColumnElement[Any]]:
    """The figures of a Tally, in the order of its fields, of the completed scores of a group."""
    return [
        func.count(),
        func.sum(scores.c.score),
        func.min(scores.c.score),
        func.max(scores.c.score),
        *(
            times_of(scores.c.decision == decision)
            for decision in ("pass", "fail", "needs_review", "retrain")
        ),
        *(times_of(scores.c.score >= least) for least in (90.0, 80.0, 70.0)),
    ]


def count_groups(connection: Connection, chosen: ScoreFilter) -> tuple[Group, ...]:
    """Completed scores by operator and site."""
    query = (
        select(videos.c.operator_id_hash, videos.c.site_id, *tally_columns())
        .select_from(WITH_VIDEO if _asks_video(chosen) else SCORES_FIRST)
        .where(*_completed(chosen))
        .group_by(videos.c.operator_id_hash, videos.c.site_id)
    )
    rows = connection.execute(query).all()  # one by one they take three times as long
    return tuple(Group(row[0], row[1], Tally(*row[2:])) for row in rows)


def count_open(connection: Connection, chosen: ScoreFilter) -> int:
    """Score jobs without a result (waiting, running, failed, cancelled), by when they were made."""
    query = (
        select(func.count())
        .select_from(SCORES_FIRST if _asks_video(chosen) else scores)
        .where(
            scores.c.completed_at.is_(None),
            *_about(chosen),
            *_within(chosen, scores.c.created_at),
        )
    )
    return int(connection.execute(query).scalar_one())


def count_and_sum(connection: Connection, chosen: ScoreFilter) -> tuple[int, float]:
    """How many completed scores there are, and the sum of their points."""
    query = select(func.count(), func.coalesce(func.sum(scores.c.score), 0.0))
    row = connection.execute(query.select_from(_source(chosen)).where(*_completed(chosen))).one()
    return int(row[0]), float(row[1])


def count_passes(connection: Connection, chosen: ScoreFilter) -> tuple[int, int]:
    """How many completed scores there are, and how many of them are passes."""
    query = select(func.count(), times_of(scores.c.decision == "pass"))
    row = connection.execute(query.select_from(_source(chosen)).where(*_completed(chosen))).one()
    return int(row[0]), int(row[1])


def earliest_passes(connection: Connection, chosen: ScoreFilter, count: int) -> int:
    """Passes among the earliest `count` completed scores."""
    earliest = (
        select(scores.c.decision)
        .select_from(_source(chosen))
        .where(*_completed(chosen))
        .order_by(scores.c.completed_at, scores.c.id)
        .limit(count)
        .subquery()
    )
    query = select(times_of(earliest.c.decision == "pass"))
    return int(connection.execute(query).scalar_one())


def latest_scores(
    connection: Connection, chosen: ScoreFilter, limit: int
) -> tuple[ScorePoint, ...]:
    """The latest completed scores, newest first."""
    # Found by an index first: reading whole rows on the way would pass their large results.
    latest = _latest(chosen, limit, scores.c.id).cte("latest")
    query = (
        select(*_POINT)
        .select_from(latest.join(scores, scores.c.id == latest.c.id))
        .order_by(scores.c.completed_at.desc(), scores.c.id.desc())
    )
    rows = connection.execute(query)
    return tuple(ScorePoint(**row._mapping) for row in rows)


def latest_task(connection: Connection, chosen: ScoreFilter) -> str | None:
    """The task of the latest completed score."""
    return connection.execute(_latest(chosen, 1, scores.c.task_id)).scalar_one_or_none()


def count_verdicts(connection: Connection, chosen: ScoreFilter) -> tuple[VerdictCount, ...]:
    """Reviews of the completed scores by verdict."""
    query = (
        select(
            score_reviews.c.verdict,
            func.count().label("count"),
            times_of(score_reviews.c.verdict == scores.c.decision).label("agree_count"),
        )
        .select_from(_source(chosen).join(score_reviews, score_reviews.c.score_id == scores.c.id))
        .where(*_completed(chosen))
        .group_by(score_reviews.c.verdict)
        .order_by(score_reviews.c.verdict)
    )
    return tuple(VerdictCount(**row._mapping) for row in connection.execute(query))


def count_steps(
    connection: Connection, chosen: ScoreFilter, limit: int
) -> tuple[int, tuple[StepCounts, ...]]:
    """How many of the latest `limit` scores there are, and what became of their steps, by index."""
    latest = _latest(chosen, limit, scores.c.id.label("score_id")).cte("latest")
    step = score_steps.c
    trouble = step.is_missing | step.is_deviating | step.is_swapped | step.is_over_time
    query = (
        select(
            step.step_index,
            func.count().label("job_count"),
            times_of(step.is_missing).label("miss_count"),
            times_of(step.is_deviating).label("deviation_count"),
            times_of(step.is_swapped).label("swap_count"),
            times_of(step.is_over_time).label("over_time_count"),
            times_of(trouble).label("any_issue_count"),
            func.coalesce(func.sum(step.actual_sec), 0.0).label("sec_sum"),
            func.count(step.actual_sec).label("timed_count"),
        )
        .select_from(latest.join(score_steps, step.score_id == latest.c.score_id))
        .group_by(step.step_index)
        .order_by(step.step_index)
    )
    total = int(connection.execute(select(func.count()).select_from(latest)).scalar_one())
    return total, tuple(StepCounts(**row._mapping) for row in connection.execute(query))
