"""A score report as a PDF: the same content as the page, laid out by `templates/score.typ`."""

from __future__ import annotations

import base64
from dataclasses import asdict

from sopilot.core.records import Keyframe
from sopilot.report.content import content_of
from sopilot.report.record import ScoreReport
from sopilot.report.typeset import typeset
from sopilot.report.wording import Language

DRAWINGS = ("dial", "scale", "timeline", "alignment")
FRAME = (880, 450)
"""Width and height of a keyframe's box; the picture keeps its own shape inside."""


def render_score_pdf(report: ScoreReport, language: Language = "en") -> bytes:
    """The PDF/A of one score; the same report gives the same bytes.

    Raises KeyError when the record lacks a field, ReportError when it cannot be typeset.
    """
    content = content_of(report, language)
    data = asdict(content)
    drawings = {f"{name}.svg": str(data.pop(name)) for name in DRAWINGS}
    for card, shown in zip(data["cards"], content.cards, strict=True):
        for side, keyframe in (("gold", shown.gold), ("trainee", shown.trainee)):
            card[side] = f"{side}-{shown.number}.svg" if keyframe else ""
            if keyframe:
                drawings[card[side]] = _framed(keyframe)
    return typeset("score", data, drawings, report.scored_at)


def _framed(keyframe: Keyframe) -> str:
    """The picture inside a drawing: Typst takes text files only when they come from memory."""
    encoded = base64.b64encode(keyframe.jpeg).decode("ascii")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {FRAME[0]} {FRAME[1]}">'
        f'<image width="{FRAME[0]}" height="{FRAME[1]}" href="data:image/jpeg;base64,{encoded}"/>'
        "</svg>"
    )
