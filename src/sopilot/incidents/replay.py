"""A stored analysis concluded anew, without a model and without the video.

The raw answers, their windows and the cuts lie in the record; the same conclusions must come out,
and what the record says of an answer must be what the answer says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from sopilot.core.errors import Conflict, InputError, ModelReplyError
from sopilot.incidents.ask_service import wire_events
from sopilot.incidents.guides import FRAME_EVENT, score_of
from sopilot.incidents.record import ANALYSIS_VERSION, event_record, events_of
from sopilot.incidents.schemas import FoundEvent
from sopilot.vlm.answers import WindowAnswer, answer_of
from sopilot.vlm.conclude import conclude
from sopilot.vlm.told import readable_json
from sopilot.vlm.wire import WireAnalysis, json_in

_DAMAGE = (
    ValidationError,
    InputError,
    ModelReplyError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
)
"""What reading a record raises whose members are missing, or not what was written."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """Events as the record has them, and as they come out now; both in the documented form.

    misread: indices of the windows whose record says otherwise than their raw answer. damage: why
    the record cannot be read, None where it can.
    """

    stored: tuple[Mapping[str, Any], ...]
    concluded: tuple[Mapping[str, Any], ...]
    misread: tuple[int, ...] = ()
    damage: str | None = None

    @property
    def is_same(self) -> bool:
        """Does the record hold what its answers say?"""
        return self.damage is None and not self.misread and self.stored == self.concluded


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
    try:
        return _replayed(analysis)
    except _DAMAGE as error:
        return Replayed((), (), damage=f"{type(error).__name__}: {error}"[:300])


def _replayed(analysis: Mapping[str, Any]) -> Replayed:
    stored = tuple(analysis["events"])
    shown = analysis["passes"][int(analysis["shown_pass"]) - 1]
    misread = tuple(
        answer.index
        for record in analysis["passes"]
        for answer in map(answer_of, (*record.get("windows", ()), *record.get("finer", ())))
        if answer.is_checked and not _is_read_right(answer)
    )
    if "reply" in shown:
        reply = WireAnalysis.model_validate(shown["reply"])
        told = wire_events(reply, float(analysis["duration_sec"]))
        return Replayed(stored, _records(told), misread)
    events = conclude(
        [answer_of(record) for record in shown["windows"]],
        [answer_of(record) for record in shown["finer"]],
        cuts_sec=[float(cut) for cut in analysis["cuts_sec"]],
        most=int(analysis["most_events"]),
    )
    return Replayed(stored, _records(events_of(events)), misread)


def _records(events: Sequence[FoundEvent]) -> tuple[Mapping[str, Any], ...]:
    return tuple(event_record(event) for event in events)


def _is_read_right(answer: WindowAnswer) -> bool:
    """Is what the record says of a window in its raw answer and the tokens beside it?"""
    told = from_json(readable_json(json_in(answer.raw)))
    answers = told["answers"] if "answers" in told else {FRAME_EVENT: told["has_event"]}
    caption = told["caption"] if "caption" in told else told["description"]
    return (
        caption.strip() == answer.caption
        and float(told["risk_score"]) == answer.risk
        and answer.scores
        == {
            kind: score_of(is_yes, float(told["risk_score"]), answer.choices.get(kind, ()))
            for kind, is_yes in answers.items()
        }
    )
