"""Score rows to reports over HTTP: a page, or a PDF of the same record."""

from __future__ import annotations

from fastapi import Response
from fastapi.responses import HTMLResponse

from sopilot.report.pdf import render_score_pdf
from sopilot.report.wording import Language
from sopilot.runtime import Runtime
from sopilot.sop.page import score_page, score_report

# The page holds everything itself: no script may run, nothing may be fetched.
_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"


def report_response(runtime: Runtime, score: int | str, language: Language) -> HTMLResponse:
    """The report of a completed score. Raises ScoreNotFound, Conflict when there is no result."""
    page = score_page(runtime, score, language)
    return HTMLResponse(page, headers={"Content-Security-Policy": _CSP})


def report_pdf_response(runtime: Runtime, score: int | str, language: Language) -> Response:
    """The same report as PDF. Raises ScoreNotFound, Conflict, ReportError."""
    report = score_report(runtime, score)
    name = f"sopilot_job{report.job}_report.pdf"
    return pdf_response(render_score_pdf(report, language), name)


def pdf_response(pdf: bytes, name: str) -> Response:
    """A PDF that a browser shows, and saves under this name (plain ASCII)."""
    headers = {
        "Content-Disposition": f'inline; filename="{name}"',
        "Cache-Control": "private, no-cache",
    }
    return Response(pdf, media_type="application/pdf", headers=headers)
