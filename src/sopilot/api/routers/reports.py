"""Reports of scores: a page and a PDF of the same record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import HTMLResponse

from sopilot.api.auth import GuardedRoute, Viewer
from sopilot.api.deps import RuntimeDep, failures
from sopilot.api.reports import pdf_response, report_pdf_response, report_response
from sopilot.report.analytics import render_analytics_pdf
from sopilot.report.wording import Language
from sopilot.sop import cells
from sopilot.sop.analytics_page import analytics_report
from sopilot.sop.period import MAX_DAYS

router = APIRouter(tags=["reports"], route_class=GuardedRoute)

ScoreId = Annotated[str, Path(max_length=36, description="Integer id or UUID.")]
Lang = Annotated[Language, Query(description="Language of the report.")]
_PAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One page with its pictures.",
        "content": {
            "text/html": {"schema": {"type": "string"}, "example": "<!DOCTYPE html><html>…</html>"}
        },
    }
}
_PDF: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "PDF/A with embedded fonts; the same result gives the same bytes.",
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get(
    "/score/{job_id}/report",
    summary="Read the report",
    response_class=HTMLResponse,
    responses=_PAGE | failures(404, 409, 422),
)
def get_report(job_id: ScoreId, _: Viewer, runtime: RuntimeDep, lang: Lang = "ja") -> HTMLResponse:
    """One self-contained HTML page, for a browser or a printer."""
    return report_response(runtime, job_id, lang)


@router.get(
    "/score/{job_id}/report/pdf",
    summary="Read the report as PDF",
    response_class=Response,
    responses=_PDF | failures(404, 409, 422),
)
@router.get(
    "/score/{job_id}/report.pdf",
    summary="Read the report as PDF (older path)",
    response_class=Response,
    responses=_PDF | failures(404, 409, 422),
    operation_id="get_report_pdf_older_path",
)
def get_report_pdf(job_id: ScoreId, _: Viewer, runtime: RuntimeDep, lang: Lang = "ja") -> Response:
    """Both paths answer the same bytes, named `sopilot_job{id}_report.pdf`."""
    return report_pdf_response(runtime, job_id, lang)


@router.get(
    "/analytics/report/pdf",
    summary="Read the analytics as PDF",
    response_class=Response,
    responses=_PDF | failures(404, 422),
)
def get_analytics_pdf(
    _: Viewer,
    runtime: RuntimeDep,
    task_id: Annotated[
        str | None, Query(max_length=128, description="Task; all when left out.")
    ] = None,
    days: Annotated[
        int | None, Query(ge=1, le=MAX_DAYS, description="Completed in so many days before now.")
    ] = None,
    lang: Lang = "ja",
) -> Response:
    """Figures, distribution, decisions, operators, sites, trend and reviews on paper."""
    cells.refresh(runtime.database)
    with runtime.database.read() as connection:
        report = analytics_report(
            connection, runtime.settings, task_id or None, days, datetime.now(UTC)
        )
    return pdf_response(render_analytics_pdf(report, lang), "sopilot_analytics_report.pdf")
