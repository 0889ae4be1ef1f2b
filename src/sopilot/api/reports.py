"""Score rows to report pages over HTTP."""

from __future__ import annotations

from fastapi.responses import HTMLResponse

from sopilot.report.wording import Language
from sopilot.runtime import Runtime
from sopilot.sop.page import score_page

# The page holds everything itself: no script may run, nothing may be fetched.
_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"


def report_response(runtime: Runtime, score: int | str, language: Language) -> HTMLResponse:
    """The report of a completed score. Raises ScoreNotFound, Conflict when there is no result."""
    page = score_page(runtime, score, language)
    return HTMLResponse(page, headers={"Content-Security-Policy": _CSP})
