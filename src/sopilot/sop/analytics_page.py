"""Analytics as a report: the figures of `sop.analytics` in the record that `report` lays out.

Called by the route of the analytics PDF.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from sopilot.core.config import Settings
from sopilot.report.analytics import (
    AnalyticsReport,
    GroupFigures,
    RecentScore,
    ReviewerAgreement,
    ScoreBucket,
)
from sopilot.sop import tasks
from sopilot.sop.analytics import compliance, overview
from sopilot.sop.analytics_queries import ScoreFilter
from sopilot.sop.period import read_period
from sopilot.sop.tally import Share


def analytics_report(
    connection: Connection,
    settings: Settings,
    task_id: str | None,
    days: int | None,
    now: datetime,
) -> AnalyticsReport:
    """The figures of one task, or of all, in the last days, or ever. now: UTC, shown as its date.

    Raises TaskNotFound, InputError.
    """
    name = tasks.get_profile(connection, settings, task_id).task_name if task_id else ""
    chosen = ScoreFilter(task_id, since=read_period(days, None, None, now)[0])
    found, passes = overview(connection, chosen), compliance(connection, chosen)
    total, agreement = found.total, found.agreement
    return AnalyticsReport(
        task_name=name,
        days=days,
        made_at=f"{now:%Y-%m-%d %H:%M:%S}",
        total_jobs=total.job_count + found.open_count,
        completed_jobs=total.job_count,
        pass_count=total.pass_count,
        fail_count=total.fail_count,
        needs_review_count=total.needs_review_count,
        retrain_count=total.retrain_count,
        avg_score=total.avg_score,
        min_score=total.min_score,
        max_score=total.max_score,
        compliance_rate=total.compliance_rate,
        trend_direction=passes.trend_direction,
        by_operator=[_group(share) for share in found.by_operator],
        by_site=[_group(share) for share in found.by_site],
        score_distribution=[ScoreBucket(*item) for item in total.distribution],
        recent_trend=[
            RecentScore(point.job_id, point.score, point.decision, point.created_at)
            for point in reversed(found.recent)
        ],
        reviewer_agreement=ReviewerAgreement(
            agreement.reviewed_count,
            agreement.agree_count,
            agreement.agreement_rate,
            agreement.by_verdict,
        ),
    )


def _group(share: Share) -> GroupFigures:
    tally = share.tally
    return GroupFigures(
        share.name or "", tally.job_count, tally.avg_score, tally.pass_count, tally.fail_count
    )
