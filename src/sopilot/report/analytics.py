"""Analytics of completed scores as a PDF. A record in, bytes out; no queries, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sopilot.report.figures import TrendPoint, score_trend
from sopilot.report.typeset import typeset
from sopilot.report.wording import Language, number, words

DECISIONS = ("pass", "needs_review", "retrain", "fail")
MOST_ROWS = 25
"""Operators and sites listed; the rest is counted in one line."""
FEW_SCORES = 10
LOW_RATE, HIGH_RATE = 0.7, 0.9
LEAST_AGREEMENT = 0.8


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """Scores of one operator or one site; key empty = not given."""

    key: str
    job_count: int
    avg_score: float | None
    pass_count: int
    fail_count: int


@dataclass(frozen=True, slots=True)
class ScoreBucket:
    """How many scores lie in a bucket such as `90-100`."""

    bucket: str
    count: int


@dataclass(frozen=True, slots=True)
class RecentScore:
    """One of the latest scores, oldest first in the record."""

    job_id: int
    score: float
    decision: str
    created_at: str


@dataclass(frozen=True, slots=True)
class ReviewerAgreement:
    """How often reviewers agree with the decision; rate 0-1, None where nothing was reviewed."""

    reviewed_count: int
    agree_count: int
    agreement_rate: float | None
    by_verdict: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AnalyticsReport:
    """What `/analytics` and `/analytics/compliance` answer, with what was asked.

    task_name empty = all tasks; days None = all time. by_operator empty = not shown to the reader.
    compliance_rate: 0-1, None without a completed job. made_at: `YYYY-MM-DD HH:MM:SS`, UTC.
    """

    task_name: str
    days: int | None
    made_at: str
    total_jobs: int
    completed_jobs: int
    pass_count: int
    fail_count: int
    needs_review_count: int
    retrain_count: int
    avg_score: float | None
    min_score: float | None
    max_score: float | None
    compliance_rate: float | None
    trend_direction: Literal["improving", "stable", "declining"]
    by_operator: Sequence[GroupFigures]
    by_site: Sequence[GroupFigures]
    score_distribution: Sequence[ScoreBucket]
    recent_trend: Sequence[RecentScore]
    reviewer_agreement: ReviewerAgreement


def render_analytics_pdf(report: AnalyticsReport, language: Language = "ja") -> bytes:
    """The PDF/A of one analytics record; the same record gives the same bytes.

    Raises ReportError when it cannot be typeset.
    """
    page = words(language)
    data = {
        "language": language,
        "t": page,
        "task": report.task_name or page["all_tasks"],
        "facts": [
            {"label": page["period"], "value": _period(report, page)},
            {"label": page["made_at"], "value": f"{report.made_at} UTC"},
        ],
        "kpis": _kpis(report, language),
        "distribution": [
            _bar(item.bucket, item.count, report.completed_jobs, language)
            for item in report.score_distribution
        ],
        "decisions": [
            {"key": key, **_bar(page[key], count, report.completed_jobs, language)}
            for key, count in _decision_counts(report)
        ],
        "operators": _groups(report.by_operator, language),
        "sites": _groups(report.by_site, language),
        "agreement": _agreement(report.reviewer_agreement, language),
        "verdicts": [
            {"label": page[key], "count": report.reviewer_agreement.by_verdict.get(key, 0)}
            for key in DECISIONS
        ],
        "recent": len(report.recent_trend),
        "notes": [page[key] for key in _notes(report)],
    }
    points = [TrendPoint(item.score, item.decision) for item in report.recent_trend]
    drawing = score_trend(points, [item.created_at[:10] for item in report.recent_trend])
    return typeset("analytics", data, {"trend.svg": str(drawing)}, report.made_at)


def _period(report: AnalyticsReport, page: Mapping[str, str]) -> str:
    return page["all_time"] if report.days is None else page["last_days"].format(days=report.days)


def _score(value: float | None, language: Language) -> str:
    return "—" if value is None else number(value, language)


def _share(part: int, whole: int, language: Language) -> str:
    return f"{number(100.0 * part / whole, language)} %" if whole else "—"


def _kpis(report: AnalyticsReport, language: Language) -> list[dict[str, str]]:
    page, rate = words(language), report.compliance_rate
    rows = (
        ("jobs", str(report.total_jobs)),
        ("completed", str(report.completed_jobs)),
        ("compliance_rate", "—" if rate is None else f"{number(100.0 * rate, language)} %"),
        ("trend_direction", page[report.trend_direction]),
        ("avg_score", _score(report.avg_score, language)),
        ("min_score", _score(report.min_score, language)),
        ("max_score", _score(report.max_score, language)),
        ("reviewed", str(report.reviewer_agreement.reviewed_count)),
    )
    return [{"label": page[key], "value": value} for key, value in rows]


def _decision_counts(report: AnalyticsReport) -> tuple[tuple[str, int], ...]:
    counts = (
        report.pass_count,
        report.needs_review_count,
        report.retrain_count,
        report.fail_count,
    )
    return tuple(zip(DECISIONS, counts, strict=True))


def _bar(label: str, count: int, whole: int, language: Language) -> dict[str, Any]:
    return {
        "label": label,
        "count": count,
        "share": 100.0 * count / whole if whole else 0.0,
        "share_text": _share(count, whole, language),
    }


def _groups(groups: Sequence[GroupFigures], language: Language) -> dict[str, Any]:
    page = words(language)
    rows = [
        {
            "name": item.key or page["unnamed"],
            "jobs": item.job_count,
            "avg": _score(item.avg_score, language),
            "passed": item.pass_count,
            "failed": item.fail_count,
            "rate": _share(item.pass_count, item.job_count, language),
        }
        for item in groups[:MOST_ROWS]
    ]
    return {"rows": rows, "more": max(0, len(groups) - MOST_ROWS)}


def _agreement(found: ReviewerAgreement, language: Language) -> list[dict[str, str]]:
    page, rate = words(language), found.agreement_rate
    rows = (
        ("reviewed", str(found.reviewed_count)),
        ("agreed", str(found.agree_count)),
        ("agreement_rate", "—" if rate is None else f"{number(100.0 * rate, language)} %"),
    )
    return [{"label": page[key], "value": value} for key, value in rows]


def _notes(report: AnalyticsReport) -> list[str]:
    if report.completed_jobs == 0:
        return ["no_data"]
    rate, agreement = report.compliance_rate, report.reviewer_agreement.agreement_rate
    found = [
        (report.completed_jobs < FEW_SCORES, "note_few"),
        (rate is not None and rate < LOW_RATE, "note_low_compliance"),
        (rate is not None and rate >= HIGH_RATE, "note_high_compliance"),
        (report.trend_direction == "declining", "note_declining"),
        (report.trend_direction == "improving", "note_improving"),
        (report.reviewer_agreement.reviewed_count == 0, "note_unreviewed"),
        (agreement is not None and agreement < LEAST_AGREEMENT, "note_agreement"),
    ]
    return [key for holds, key in found if holds]
