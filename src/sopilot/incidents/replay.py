"""A stored analysis concluded anew, without a model and without the video.

The raw answers, their windows and the cuts lie in the record; the same conclusions must come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sopilot.core.errors import Conflict
from sopilot.incidents.ask_service import wire_events
from sopilot.incidents.record import ANALYSIS_VERSION, event_record, events_of
from sopilot.vlm.answers import answer_of
from sopilot.vlm.conclude import conclude
from sopilot.vlm.wire import WireAnalysis


@dataclass(frozen=True, slots=True)
class Replayed:
    """Events as the record has them, and as they come out now; both in the documented form."""

    stored: tuple[Mapping[str, Any], ...]
    concluded: tuple[Mapping[str, Any], ...]

    @property
    def is_same(self) -> bool:
        """Does the record hold what its answers say?"""
        return self.stored == self.concluded


def replay(analysis: Mapping[str, Any]) -> Replayed:
    """Conclude the events of an analysis from its answers. Raises Conflict for a record that has no
    answers (it was measured, not asked) or that another version wrote."""
    if analysis.get("method") != "vlm":
        raise Conflict("the analysis was measured without a model; there are no answers to replay")
    if analysis.get("version") != ANALYSIS_VERSION:
        raise Conflict(
            f"the analysis has version {analysis.get('version')}, this program replays "
            f"{ANALYSIS_VERSION}; analyse the incident again"
        )
    shown = analysis["passes"][int(analysis["shown_pass"]) - 1]
    if "reply" in shown:
        reply = WireAnalysis.model_validate(shown["reply"])
        told = wire_events(reply, float(analysis["duration_sec"]))
        return Replayed(tuple(analysis["events"]), tuple(event_record(event) for event in told))
    events = conclude(
        [answer_of(record) for record in shown["windows"]],
        [answer_of(record) for record in shown["finer"]],
        cuts_sec=[float(cut) for cut in analysis["cuts_sec"]],
        most=int(analysis["most_events"]),
    )
    concluded = tuple(event_record(event) for event in events_of(events))
    return Replayed(tuple(analysis["events"]), concluded)
