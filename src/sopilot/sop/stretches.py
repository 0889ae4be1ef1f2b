"""Where no step is marked: stretches of the gold that were hardly shown, or took much longer.

A proposed step may hold two steps of the work or half of one, so that what is missing inside it, or
took long, hides in its length. A chunk is too short to have a usual time of its own. What is judged
is therefore every stretch of a few neighbouring chunks that are done in their place. Not where the
gold goes on with one motion: such chunks look alike, and where one ends is anybody's guess. Called
by `sop.findings`; source: docs/scoring.md 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sopilot.core.timespan import TimeSpan
from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.evidence import (
    LEAST_MOVING_SEC,
    REVIEW_STRENGTH,
    Evidence,
    gold_span,
    hull,
    is_steady,
    most_common_step,
    strength_of,
    usual_pace,
)
from sopilot.sop.execution import Execution
from sopilot.sop.timing import OVER_SEC, over_time

SHORT_CHUNKS, SHORT_SHARE, SURELY_SHORT_SHARE = 3, 0.49, 0.46
"""Length of the stretches that are looked at for what is hardly shown (7 s), and the share of their
usual time, weighed by likeness, below which they are. Good executions of the generated tasks
1101-1104 and 1201-1204 (112) show 0.52 and more; wrong tools at the right place 0.37-0.46, a step
that is missing without an edit 0.14."""
GONE_SHARE = 0.45
"""Share of the usual time, however it looks, below which the stretch is missing; good executions
reach 0.56. Above it something else was done there."""
LEAST_SHARE = 0.01
"""Likeness and shares are no smaller where something is divided by them."""
LONG_CHUNKS, LONG_RATIO = 4, 1.73
"""Length of the stretches that are looked at for what takes long (10 s), and the ratio to their
usual time from which they do. With one gold and with three, on 17 tasks of two generators, good
executions reach 1.58 to 1.70, a harmless copy of the filter swap more than 1.66; of 84 slow ones 5
lie from 1.66 to 1.73 and 2 below."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Neighbouring chunks done in their place. moving_sec: dwell without frozen time; shown_sec: of
    it what looks as the trainee's other chunks look like the gold; usual_sec: the slowest gold's at
    the trainee's pace."""

    slots: tuple[Execution, ...]
    moving_sec: float
    shown_sec: float
    usual_sec: float

    @property
    def units(self) -> frozenset[int]:
        return frozenset(slot.unit for slot in self.slots)

    @property
    def span(self) -> TimeSpan:
        return hull(slot.span for slot in self.slots)

    @property
    def moving_share(self) -> float:
        return self.moving_sec / self.usual_sec

    @property
    def shown_share(self) -> float:
        return self.shown_sec / self.usual_sec


def hardly_shown(evidence: Evidence, skip: set[int]) -> Iterator[Finding]:
    """What was left out or done otherwise though nothing else stands in its place.

    skip: proposed steps that are told otherwise.
    """
    short = [
        stretch
        for stretch in _untold(evidence, _stretches(evidence, SHORT_CHUNKS), skip)
        if stretch.shown_share < SHORT_SHARE and not _is_frozen(evidence, stretch.span)
    ]
    for stretch in _apart(sorted(short, key=lambda item: item.shown_share)):
        is_gone = stretch.moving_share < GONE_SHARE
        lack = strength_of(1 - stretch.shown_share, 1 - SHORT_SHARE, 1 - SURELY_SHORT_SHARE)
        yield Finding(
            type=EventType.MISSING_STEP if is_gone else EventType.STEP_DEVIATION,
            strength=REVIEW_STRENGTH if is_gone else lack,
            evidence=1.0 / max(stretch.shown_share, LEAST_SHARE),
            evidence_unit="ratio",
            certainty="review",
            step_index=_step(evidence, stretch),
            gold_span=gold_span(evidence.model, stretch.units),
            trainee_span=stretch.span,
            detail="inner" if is_gone else None,
            alternative=EventType.STEP_DEVIATION if is_gone else EventType.MISSING_STEP,
        )


def over_long(evidence: Evidence, skip: set[int]) -> Iterator[Finding]:
    """What took much longer than usual. skip: proposed steps that are told otherwise."""
    every = _stretches(evidence, LONG_CHUNKS)
    long = [
        item
        for item in _untold(evidence, every, skip)
        if _takes_long(item.moving_sec, _usual_sec(item, every))
    ]
    for stretch in _apart(sorted(long, key=lambda item: -item.moving_share)):
        usual_sec = _usual_sec(stretch, every)
        yield over_time(
            _step(evidence, stretch),
            gold_span(evidence.model, stretch.units),
            stretch.span,
            excess_sec=stretch.moving_sec - usual_sec,
            ratio=stretch.moving_sec / usual_sec,
        )


def _takes_long(moving_sec: float, usual_sec: float) -> bool:
    return moving_sec > max(LONG_RATIO * usual_sec, usual_sec + OVER_SEC)


def _usual_sec(stretch: _Stretch, every: Sequence[_Stretch]) -> float:
    """The gold's time at the trainee's pace, or what the trainee's other stretches take where that
    is more: nobody said whether this is a motion that goes on as it pleases (see `timing`)."""
    others = [item.moving_sec for item in every if not item.units & stretch.units]
    return max(stretch.usual_sec, float(np.median(others)) if len(others) > 2 else 0.0)


def _stretches(evidence: Evidence, count: int) -> list[_Stretch]:
    """Every run of so many neighbouring chunks that no edit touched."""
    placed = [slot for slot in evidence.found if slot.edit is None]
    if not placed:
        return []
    pace = usual_pace(placed)
    usual = max(float(np.median([slot.likeness for slot in placed])), LEAST_SHARE)
    made = []
    for first in range(len(evidence.found) - count + 1):
        slots = evidence.found[first : first + count]
        is_placed = all(slot.edit is None for slot in slots) and _are_neighbours(slots)
        usual_sec = pace * sum(slot.gold_moving_sec for slot in slots)
        goes_on = is_steady(evidence.model, [slot.unit for slot in slots])
        if is_placed and not goes_on and usual_sec >= LEAST_MOVING_SEC:
            moving_sec = sum(slot.moving_sec for slot in slots)
            shown_sec = sum(slot.moving_sec * slot.likeness / usual for slot in slots)
            made.append(_Stretch(slots, moving_sec, shown_sec, usual_sec))
    return made


def _untold(
    evidence: Evidence, stretches: Iterable[_Stretch], skip: set[int]
) -> Iterator[_Stretch]:
    """Those in which no skipped step has a chunk."""
    units = evidence.model.units
    return (item for item in stretches if all(units[unit].step not in skip for unit in item.units))


def _are_neighbours(slots: Sequence[Execution]) -> bool:
    return all(b.unit == a.unit + 1 for a, b in pairwise(slots))


def _apart(stretches: Iterable[_Stretch]) -> Iterator[_Stretch]:
    """Those that share no chunk with an earlier one."""
    taken: set[int] = set()
    for stretch in stretches:
        if not stretch.units & taken:
            taken |= stretch.units
            yield stretch


def _is_frozen(evidence: Evidence, span: TimeSpan) -> bool:
    """Whether the picture stands still there, which is told by itself."""
    return any(span.overlap_sec(freeze) > 0.0 for freeze in evidence.trainee.freezes)


def _step(evidence: Evidence, stretch: _Stretch) -> int | None:
    """The proposed step that most of the chunks belong to."""
    return most_common_step(evidence.model, sorted(stretch.units))
