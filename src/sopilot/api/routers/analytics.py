"""Analytics: completed scores as figures, by task, site, operator and period."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from sopilot.api.auth import Access, GuardedRoute, Operator, Principal, Viewer
from sopilot.api.deps import RuntimeDep, answer, failures
from sopilot.api.schemas_analytics import (
    AnalyticsResponse,
    ComplianceResponse,
    OperatorProjectionResponse,
    OperatorTrendResponse,
    RecommendationsResponse,
    StepsPerformanceResponse,
    analytics_response,
    compliance_response,
    projection_response,
    recommendations_response,
    steps_performance,
    trend_response,
)
from sopilot.core.errors import Forbidden, InputError
from sopilot.sop import analytics, cells
from sopilot.sop.analytics_queries import ScoreFilter
from sopilot.sop.memo import Memo
from sopilot.sop.period import MAX_DAYS, read_period

router = APIRouter(tags=["analytics"], prefix="/analytics", route_class=GuardedRoute)

_PLAIN = r"^[^\x00-\x1f\x7f]*$"
OperatorId = Annotated[
    str, Path(min_length=1, max_length=128, pattern=_PLAIN, description="operator_id_hash.")
]


async def _filter(
    task_id: Annotated[
        str | None, Query(max_length=128, pattern=_PLAIN, description="Task; all when left out.")
    ] = None,
    site_id: Annotated[
        str | None, Query(max_length=128, pattern=_PLAIN, description="Site of the video.")
    ] = None,
    operator_id_hash: Annotated[
        str | None,
        Query(
            max_length=128,
            pattern=_PLAIN,
            description="Operator of the video; needs the role operator.",
        ),
    ] = None,
    days: Annotated[
        int | None,
        Query(ge=1, le=MAX_DAYS, description="Completed in so many days before now, or `to`."),
    ] = None,
    since: Annotated[
        str | None,
        Query(
            alias="from",
            max_length=64,
            description="Completed from this date (UTC) or moment on; ISO 8601.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        Query(
            alias="to",
            max_length=64,
            description="Completed before this moment, or up to the end of this date (UTC).",
        ),
    ] = None,
) -> ScoreFilter:
    # By the minute, so that the same question asked again is the same question.
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    first, end = read_period(days, since, until, now)
    return ScoreFilter(task_id or None, site_id or None, operator_id_hash or None, first, end)


async def _memo(request: Request) -> Memo:
    return cast(Memo, request.app.state.analytics_memo)


MemoDep = Annotated[Memo, Depends(_memo)]
Chosen = Annotated[ScoreFilter, Depends(_filter)]


def _for_all(chosen: ScoreFilter, who: Principal) -> ScoreFilter:
    """The filter of an aggregate; figures of one person are for the role operator."""
    if chosen.operator_id is not None and who.role < Access.OPERATOR:
        raise Forbidden(
            f"operator_id_hash needs the role operator, {who.actor} has {who.role.name.lower()}; "
            "leave it out or use other credentials"
        )
    return chosen


def _for_one(chosen: ScoreFilter, operator_id: str) -> ScoreFilter:
    """The filter of one operator. Raises InputError where the query names another one."""
    if chosen.operator_id not in (None, operator_id):
        raise InputError(
            f"operator_id_hash is {chosen.operator_id!r} but the path names {operator_id!r}; "
            "leave it out",
            {"field": "operator_id_hash"},
        )
    return replace(chosen, operator_id=operator_id)


@router.get(
    "",
    summary="Scores at a glance",
    response_model=AnalyticsResponse,
    responses=failures(404, 422),
)
def get_overview(chosen: Chosen, who: Viewer, runtime: RuntimeDep, memo: MemoDep) -> Response:
    """Counts, means, distribution, operators, sites, the latest scores and the reviews."""
    cells.refresh(runtime.database)
    with runtime.database.read() as connection:
        analytics.check_filter(connection, runtime.settings, chosen)
        wanted = _for_all(chosen, who)
        found = memo.get(
            connection, ("overview", wanted), lambda: analytics.overview(connection, wanted)
        )
    return answer(analytics_response(found))


@router.get(
    "/compliance",
    summary="Share of passes",
    response_model=ComplianceResponse,
    responses=failures(404, 422),
)
def get_compliance(chosen: Chosen, who: Viewer, runtime: RuntimeDep, memo: MemoDep) -> Response:
    """The share of passes, where it leads, and the operators with the most and the fewest."""
    cells.refresh(runtime.database)
    with runtime.database.read() as connection:
        analytics.check_filter(connection, runtime.settings, chosen)
        wanted = _for_all(chosen, who)
        found = memo.get(
            connection, ("compliance", wanted), lambda: analytics.compliance(connection, wanted)
        )
    return answer(compliance_response(found))


@router.get("/steps", summary="Trouble with each step", responses=failures(404, 422))
def get_step_performance(
    chosen: Chosen, who: Viewer, runtime: RuntimeDep
) -> StepsPerformanceResponse:
    """Steps of the trainees in the latest 500 scores of one task: missing, different, too slow.

    Without `task_id` the task scored last.
    """
    cells.refresh(runtime.database)
    with runtime.database.read() as connection:
        analytics.check_filter(connection, runtime.settings, chosen)
        return steps_performance(analytics.step_figures(connection, _for_all(chosen, who)))


@router.get(
    "/operators/{operator_id}/trend",
    summary="Scores of an operator over time",
    responses=failures(404, 422),
)
def get_operator_trend(
    operator_id: OperatorId,
    chosen: Chosen,
    _: Operator,
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=100, description="Latest scores to show.")] = 20,
) -> OperatorTrendResponse:
    """The latest scores of an operator, oldest first, with their moving figures."""
    cells.refresh(runtime.database)
    with runtime.database.read() as connection:
        analytics.check_filter(connection, runtime.settings, chosen)
        found = analytics.operator_trend(connection, _for_one(chosen, operator_id), limit)
    return trend_response(operator_id, found)


@router.get(
    "/operators/{operator_id}/projection",
    summary="Where an operator's scores are heading",
    responses=failures(404, 422),
)
def get_operator_projection(
    operator_id: OperatorId, chosen: Chosen, _: Operator, runtime: RuntimeDep
) -> OperatorProjectionResponse:
    """A learning curve through the latest 100 scores in one task, continued by five.

    Without `task_id` the task that the operator was scored in last.
    """
    cells.refresh(runtime.database)
    with runtime.database.read() as connection:
        analytics.check_filter(connection, runtime.settings, chosen)
        mine = _for_one(chosen, operator_id)
        found = analytics.operator_projection(connection, runtime.settings, mine)
    return projection_response(operator_id, found)


@router.get(
    "/recommendations/{operator_id}",
    summary="What an operator should practise",
    responses=failures(404, 422),
)
def get_recommendations(
    operator_id: OperatorId, chosen: Chosen, _: Operator, runtime: RuntimeDep
) -> RecommendationsResponse:
    """Advice on the steps that went wrong in the latest 100 scores in one task.

    Without `task_id` the task that the operator was scored in last.
    """
    cells.refresh(runtime.database)
    with runtime.database.read() as connection:
        analytics.check_filter(connection, runtime.settings, chosen)
        found = analytics.operator_advice(connection, _for_one(chosen, operator_id))
    return recommendations_response(operator_id, found)
