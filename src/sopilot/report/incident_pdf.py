"""The report of an incident as PDF: what the DOCX says, laid out by `templates/incident.typ`."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from sopilot.core.records import Keyframe
from sopilot.report.incident_content import IncidentContent, Table, content_of
from sopilot.report.incident_record import IncidentReport
from sopilot.report.typeset import typeset
from sopilot.report.wording import Language

_FRAME = (640, 360)


def incident_pdf(report: IncidentReport, language: Language, made_at: datetime) -> bytes:
    """The PDF/A; the same record and moment give the same bytes. Raises ReportError."""
    content = content_of(report, language, made_at)
    drawings = {
        f"event-{place}.svg": _framed(card.keyframe)
        for place, card in enumerate(content.events)
        if card.keyframe is not None
    }
    return typeset("incident", _data(content, drawings), drawings, content.made_at)


def _data(content: IncidentContent, drawings: dict[str, str]) -> dict[str, Any]:
    events = []
    for place, card in enumerate(content.events):
        name = f"event-{place}.svg"
        events.append(
            {
                "title": card.title,
                "facts": [{"label": fact.label, "value": fact.value} for fact in card.facts],
                "description": card.description,
                "picture": name if name in drawings else "",
            }
        )
    return {
        "language": content.language,
        "t": {**content.words, "footer": "SOPilot"},
        "title": content.title,
        "summary": list(content.summary),
        "has_event": content.has_event,
        "facts": [{"label": fact.label, "value": fact.value} for fact in content.facts],
        "events": events,
        "timeline": _table(content.timeline),
        "passes": _table(content.passes),
        "unchecked": _table(content.unchecked),
    }


def _table(table: Table) -> dict[str, Any]:
    return {"head": list(table.head), "rows": [list(row) for row in table.rows]}


def _framed(keyframe: Keyframe) -> str:
    """The picture inside a drawing: Typst takes text files only when they come from memory."""
    encoded = base64.b64encode(keyframe.jpeg).decode("ascii")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_FRAME[0]} {_FRAME[1]}">'
        f'<image width="{_FRAME[0]}" height="{_FRAME[1]}" href="data:image/jpeg;base64,{encoded}"/>'
        "</svg>"
    )
