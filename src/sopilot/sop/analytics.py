"""Analytics of completed scores: what is counted in SQL, made into the figures that people read.

One function per question, called by `api`; each takes an open connection and a filter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from sopilot.core.config import Settings
from sopilot.core.records import Step
from sopilot.sop import analytics_queries as stored
from sopilot.sop import cells, queries, tasks
from sopilot.sop.advice import Advice, StepCounts, advise
from sopilot.sop.analytics_queries import ScoreFilter, ScorePoint
from sopilot.sop.projection import Projection, project
from sopilot.sop.tally import (
    RANKED,
    Share,
    Tally,
    TrendDirection,
    by_operator,
    by_site,
    direction,
    ranked_operators,
    rate,
    total_of,
)
from sopilot.sop.trend import Trend, trend_of

RECENT = 30
"""Scores in the recent trend. Source: contract 5."""
STEP_SCORES = 500
"""Latest scores whose steps are counted. Source: contract 5."""
OPERATOR_SCORES = 100
"""Latest scores of one operator that a projection or advice is made of."""
VERDICTS = ("pass", "fail", "retrain", "needs_review")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often reviewers say what the program decided. agreement_rate: 0-1, None of nothing."""

    reviewed_count: int
    agree_count: int
    agreement_rate: float | None
    by_verdict: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """All scores at a glance. open_count: jobs without a result; recent: newest first."""

    total: Tally
    open_count: int
    by_operator: tuple[Share, ...]
    by_site: tuple[Share, ...]
    recent: tuple[ScorePoint, ...]
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class ComplianceFigures:
    """Passes among the scores, where they lead, and who passes most and least."""

    total: Tally
    trend_direction: TrendDirection
    by_site: tuple[Share, ...]
    top_operators: tuple[Share, ...]
    bottom_operators: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What became of the steps of one task's latest scores; steps: definitions by index."""

    task_id: str | None
    total_jobs: int
    counts: tuple[StepCounts, ...]
    steps: Mapping[int, Step]

    @property
    def hardest_step_index(self) -> int | None:
        """The step with trouble in the largest share of its scores, the earlier one on a tie."""
        troubled = [one for one in self.counts if one.any_issue_count]
        if not troubled:
            return None
        worst = max(troubled, key=lambda one: one.any_issue_count / one.job_count)
        return worst.step_index


@dataclass(frozen=True, slots=True)
class OperatorTrend:
    """An operator's latest scores, oldest first, beside everybody's mean."""

    points: tuple[ScorePoint, ...]
    total_jobs: int
    trend: Trend
    team_avg: float | None


@dataclass(frozen=True, slots=True)
class OperatorProjection:
    """Where an operator's scores of one task are heading; points: oldest first."""

    task_id: str | None
    points: tuple[ScorePoint, ...]
    pass_threshold: float
    is_certified: bool
    projection: Projection


@dataclass(frozen=True, slots=True)
class OperatorAdvice:
    """What an operator should practise in one task."""

    task_id: str | None
    job_count: int
    advice: Advice


def check_filter(connection: Connection, settings: Settings, chosen: ScoreFilter) -> None:
    """Refuse the name of a task that does not exist. Raises TaskNotFound."""
    if chosen.task_id is not None:
        tasks.get_profile(connection, settings, chosen.task_id)


def overview(connection: Connection, chosen: ScoreFilter) -> Overview:
    """Counts, means and distribution of all scores that match."""
    groups = cells.count_groups(connection, chosen)
    return Overview(
        total=total_of(groups),
        open_count=stored.count_open(connection, chosen),
        by_operator=by_operator(groups),
        by_site=by_site(groups),
        recent=stored.latest_scores(connection, chosen, RECENT),
        agreement=_agreement(connection, chosen),
    )


def _agreement(connection: Connection, chosen: ScoreFilter) -> Agreement:
    found = cells.count_verdicts(connection, chosen)
    reviewed, agreeing = sum(one.count for one in found), sum(one.agree_count for one in found)
    by_verdict = {**dict.fromkeys(VERDICTS, 0), **{one.verdict: one.count for one in found}}
    return Agreement(reviewed, agreeing, rate(agreeing, reviewed), by_verdict)


def compliance(connection: Connection, chosen: ScoreFilter) -> ComplianceFigures:
    """Share of passes; the direction compares the earlier half of the scores with the later."""
    groups = cells.count_groups(connection, chosen)
    total = total_of(groups)
    half = total.job_count // 2
    passes = cells.earliest_passes(connection, chosen, half)
    ranked = ranked_operators(by_operator(groups))
    return ComplianceFigures(
        total=total,
        trend_direction=direction(
            (passes, half), (total.pass_count - passes, total.job_count - half)
        ),
        by_site=by_site(groups),
        top_operators=ranked[:RANKED],
        bottom_operators=ranked[::-1][:RANKED],
    )


def step_figures(connection: Connection, chosen: ScoreFilter) -> StepFigures:
    """The steps of one task; without a task in the filter, of the task scored last."""
    chosen = _one_task(connection, chosen)
    total, counts = stored.count_steps(connection, chosen, STEP_SCORES)
    return StepFigures(chosen.task_id, total, counts, _steps_of(connection, chosen.task_id))


def operator_trend(connection: Connection, chosen: ScoreFilter, limit: int) -> OperatorTrend:
    """The latest `limit` scores of the filter's operator."""
    points = stored.latest_scores(connection, chosen, limit)[::-1]
    average = cells.average_score(connection, replace(chosen, operator_id=None))
    return OperatorTrend(
        points=points,
        total_jobs=cells.count_completed(connection, chosen),
        trend=trend_of([p.score for p in points], [p.decision == "pass" for p in points]),
        team_avg=None if average is None else round(average, 2),
    )


def operator_projection(
    connection: Connection, settings: Settings, chosen: ScoreFilter
) -> OperatorProjection:
    """The learning curve of the filter's operator in one task, at most the latest 100 scores.

    Certified: the latest score reaches the pass mark in force and its decision is a pass.
    """
    chosen = _one_task(connection, chosen)
    profile = tasks.get_profile(connection, settings, chosen.task_id or settings.primary_task_id)
    points = stored.latest_scores(connection, chosen, OPERATOR_SCORES)[::-1]
    mark = profile.pass_score
    is_certified = bool(points) and points[-1].decision == "pass" and points[-1].score >= mark
    return OperatorProjection(
        task_id=chosen.task_id,
        points=points,
        pass_threshold=mark,
        is_certified=is_certified,
        projection=project([p.score for p in points], mark, is_certified=is_certified),
    )


def operator_advice(connection: Connection, chosen: ScoreFilter) -> OperatorAdvice:
    """Advice from the steps of the filter's operator in one task, at most the latest 100 scores."""
    chosen = _one_task(connection, chosen)
    total, counts = stored.count_steps(connection, chosen, OPERATOR_SCORES)
    advice = advise(counts, total, _steps_of(connection, chosen.task_id))
    return OperatorAdvice(chosen.task_id, total, advice)


def _one_task(connection: Connection, chosen: ScoreFilter) -> ScoreFilter:
    """The filter with a task: pass marks and step numbers mean something within one task only."""
    if chosen.task_id is not None:
        return chosen
    return replace(chosen, task_id=stored.latest_task(connection, chosen))


def _steps_of(connection: Connection, task_id: str | None) -> dict[int, Step]:
    if task_id is None:
        return {}
    return {step.index: step for step in queries.list_steps(connection, task_id)}
