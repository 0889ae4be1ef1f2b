"""Truth against findings: which true defects of a film were found.

Pure functions on records. Called by `evaluation.demo` and by the benchmarks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sopilot.core.timespan import TimeSpan, union
from sopilot.sop.comparison import EventType

COVER_SHARE = 0.5
"""Share of a step that missing findings must cover to count as that step (docs/scoring.md 7)."""
LEAST_IOU = 0.5


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """A defect that a film really has.

    trainee_span: where it is seen, an instant for what is absent. detail: inner, start or tail of
    a missing step; idle = a pause between two steps, which may be told of either.
    """

    type: EventType
    step_index: int | None
    trainee_span: TimeSpan
    other_step_index: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A finding of the product, in the few words that matching needs."""

    type: str
    step_index: int | None
    gold_span: TimeSpan | None
    trainee_span: TimeSpan | None
    other_step_index: int | None = None
    severity: str | None = None
    certainty: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A true event and what became of it.

    named: found with its type and place. placed: found at its place, where a missing step and a
    step done otherwise stand for each other (docs/scoring.md 7 counts this way).
    """

    event: TrueEvent
    named: bool
    placed: bool


def found_of_record(record: Mapping[str, Any]) -> Found:
    """Read a public deviation record (contract: type, step_index, timecodes, severity).

    certainty: an additive field, "review" where the evidence is for a reviewer only.
    """
    return Found(
        type=str(record["type"]),
        step_index=record.get("step_index"),
        gold_span=_span(record.get("gold_timecode")),
        trainee_span=_span(record.get("trainee_timecode")),
        other_step_index=record.get("other_step_index"),
        severity=record.get("severity"),
        certainty=record.get("certainty"),
    )


def match(
    truth: Sequence[TrueEvent],
    found: Sequence[Found],
    step_spans: Sequence[TimeSpan],
    by_index: bool = True,
) -> tuple[Match, ...]:
    """Look for every true event among the findings.

    step_spans: the true steps in the gold, by index. by_index: the findings count the same steps;
    False where the steps were proposed, then only the place in time tells.
    """
    return tuple(
        Match(
            event=event,
            named=_is_found(event, found, step_spans, (event.type.value,), by_index),
            placed=_is_found(
                event, found, step_spans, _STAND_FOR.get(event.type, (event.type,)), by_index
            ),
        )
        for event in truth
    )


_ABSENT_OR_OTHER = (EventType.MISSING_STEP.value, EventType.STEP_DEVIATION.value)
_STAND_FOR: dict[EventType, tuple[str, ...]] = {
    EventType.MISSING_STEP: _ABSENT_OR_OTHER,
    EventType.STEP_DEVIATION: _ABSENT_OR_OTHER,
}


def _is_found(
    event: TrueEvent,
    found: Sequence[Found],
    step_spans: Sequence[TimeSpan],
    types: Sequence[str],
    by_index: bool,
) -> bool:
    alike = [item for item in found if item.type in types]
    if by_index and event.step_index is not None and _same_step(event, alike):
        return True
    if event.type is EventType.MISSING_STEP and event.step_index is not None:
        return _covers(step_spans[event.step_index], alike)
    seen = (item.trainee_span for item in alike if item.trainee_span is not None)
    return any(span.iou(event.trainee_span) >= LEAST_IOU for span in seen)


def _same_step(event: TrueEvent, found: Sequence[Found]) -> bool:
    if event.type is EventType.FREEZE:
        return False  # A still picture is found in time, whatever the step.
    meant = {event.step_index, event.other_step_index} - {None}
    return any(
        meant & {item.step_index}
        or (event.type is EventType.ORDER_SWAP and meant & {item.other_step_index})
        for item in found
    )


def _covers(step: TimeSpan, found: Sequence[Found]) -> bool:
    covered = sum(
        span.overlap_sec(step)
        for span in union(item.gold_span for item in found if item.gold_span is not None)
    )
    return step.duration_sec > 0 and covered >= COVER_SHARE * step.duration_sec


def _span(value: Any) -> TimeSpan | None:
    if not isinstance(value, Sequence) or len(value) != 2 or None in value:
        return None
    return TimeSpan(float(value[0]), float(value[1]))
