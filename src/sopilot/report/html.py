"""A score report as one self-contained HTML file: nothing is fetched, nothing runs.

Called by the service (`/score/{id}/report`) and the command line (`--out`). No queries, no clock:
the same report gives the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from sopilot.core.records import Keyframe
from sopilot.core.timespan import timecode
from sopilot.report.content import content_of, timeline_svg
from sopilot.report.pages import page_environment
from sopilot.report.record import ScoreReport
from sopilot.report.wording import Language


def render_score_html(report: ScoreReport, language: Language = "en") -> str:
    """The page of one score; texts are escaped, pictures become data: URIs.

    Raises KeyError when the record lacks a field.
    """
    content = content_of(report, language)
    return _environment().get_template("score.html.j2").render(c=content, t=content.t)


def render_timeline_svg(record: Mapping[str, Any], language: Language = "en") -> str:
    """The step timeline of a record alone, as an SVG document. Raises KeyError like the page."""
    return str(timeline_svg(record, language))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return page_environment("sopilot.report", {"timecode": timecode, "uri": _uri})


def _uri(keyframe: Keyframe) -> Markup:
    encoded = base64.b64encode(keyframe.jpeg).decode("ascii")
    return Markup("data:image/jpeg;base64,{}").format(encoded)
