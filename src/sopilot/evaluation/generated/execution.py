"""How one execution of a procedure goes: which steps, how long, what is wrong, and the truth.

Only times here; `motion` moves the hands. Called by `film`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.generated.nuisance import Operator
from sopilot.evaluation.generated.procedure import Procedure, Verb, WorkStep
from sopilot.evaluation.truth import TrueEvent
from sopilot.sop.comparison import EventType

LEAD_SEC, TRAIL_SEC = 0.4, 0.6
STILL_SEC = 4.0
IDLE_SEC = (9.0, 14.0)
"""A pause that no good operator makes; several times the longest pauses that are drawn."""
SHOWN_SHARE = 0.5
"""A step of which less is seen counts as missing when the tail or the start is cut away."""


class Defect(StrEnum):
    """What is wrong with a trainee's film."""

    MISSING = "missing"
    MISSING_TWO = "missing_two"
    SWAP = "swap"
    REPEAT = "repeat"
    WRONG_VERB = "wrong_verb"
    WRONG_TOOL = "wrong_tool"
    WRONG_TARGET = "wrong_target"
    OVER_TIME = "over_time"
    IDLE = "idle"
    FREEZE = "freeze"
    FREEZE_ONLY = "freeze_only"
    CUT_TAIL = "cut_tail"
    SKIP_START = "skip_start"
    WRONG_TASK = "wrong_task"


@dataclass(frozen=True, slots=True)
class Segment:
    """A performed step: when it is seen, and whether it is the gold's."""

    step_index: int
    span: TimeSpan
    is_extra: bool = False
    is_deviating: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """One step as this operator performs it, on the work clock (which stands during a freeze)."""

    step: WorkStep
    step_index: int
    start_sec: float
    end_sec: float
    at: tuple[float, float]
    rate: float
    reach: float
    warp: float
    is_extra: bool = False
    is_deviating: bool = False


@dataclass(frozen=True, slots=True)
class Execution:
    """Acts on the work clock, the work frame that each film frame shows, and what is seen.

    clock: (frames,) int64, index of the work frame per film frame; equal neighbours are a freeze.
    """

    acts: tuple[Act, ...]
    clock: NDArray[np.int64]
    segments: tuple[Segment, ...]
    truth: tuple[TrueEvent, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    step: WorkStep
    step_index: int
    stretch: float = 1.0
    pause_sec: float = 0.0
    is_extra: bool = False
    is_deviating: bool = False


@dataclass(frozen=True, slots=True)
class _Broken:
    """What is wrong, before it has a place in the film."""

    type: EventType
    step_index: int
    other_step_index: int | None = None
    detail: str | None = None


def plan_execution(
    procedure: Procedure,
    operator: Operator,
    rng: np.random.Generator,
    defect: Defect | None,
    rate_fps: float,
) -> Execution:
    """Draw one execution with at most one kind of defect.

    Raises InputError for a defect that needs another procedure (WRONG_TASK: see `film`).
    """
    if defect is Defect.WRONG_TASK:
        raise InputError("a wrong task is the film of another procedure; call film() for it")
    # The defect has its own stream: the same seed without it is the same person at work.
    chosen = np.random.default_rng(rng.integers(0, 1 << 62))
    items = [_Item(step, index) for index, step in enumerate(procedure.steps)]
    items, broken = _spoil(procedure, items, chosen, defect)
    acts = _acts(procedure, items, operator, rng)
    frame_count = round((acts[-1].end_sec + TRAIL_SEC) * rate_fps)
    clock = np.arange(frame_count)
    segments = tuple(
        Segment(a.step_index, TimeSpan(a.start_sec, a.end_sec), a.is_extra, a.is_deviating)
        for a in acts
    )
    if defect in (Defect.FREEZE, Defect.FREEZE_ONLY):
        clock, segments, frozen = _freeze(clock, segments, chosen, rate_fps, defect)
        return Execution(acts, clock, segments, (frozen,))
    if defect in (Defect.CUT_TAIL, Defect.SKIP_START):
        clock, segments, lost = _cut(clock, segments, chosen, rate_fps, defect)
        return Execution(acts, clock, segments, lost)
    return Execution(acts, clock, segments, _truth(broken, segments))


def _spoil(
    procedure: Procedure,
    items: list[_Item],
    rng: np.random.Generator,
    defect: Defect | None,
) -> tuple[list[_Item], list[_Broken]]:
    """The items with the defect in, and what is wrong."""
    count, items = len(items), list(items)
    at = int(rng.integers(0, count))
    match defect:
        case Defect.MISSING | Defect.MISSING_TWO:
            picked = rng.permutation(count)[: 1 if defect is Defect.MISSING else 2]
            gone = sorted(int(k) for k in picked)
            kept = [item for item in items if item.step_index not in gone]
            return kept, [_Broken(EventType.MISSING_STEP, k) for k in gone]
        case Defect.SWAP:
            at = int(rng.integers(0, count - 1))
            items[at], items[at + 1] = items[at + 1], items[at]
            return items, [_Broken(EventType.ORDER_SWAP, at, at + 1)]
        case Defect.REPEAT:
            place = min(count, at + 1 + int(rng.integers(0, 2)))
            again = replace(items[at], is_extra=True, stretch=float(rng.uniform(0.85, 1.1)))
            items.insert(place, again)
            return items, [_Broken(EventType.REPEATED_STEP, at)]
        case Defect.OVER_TIME:
            items[at] = replace(items[at], stretch=float(rng.uniform(2.2, 3.0)))
            return items, [_Broken(EventType.OVER_TIME, at)]
        case Defect.IDLE:
            at = int(rng.integers(1, count))
            items[at] = replace(items[at], pause_sec=float(rng.uniform(*IDLE_SEC)))
            return items, [_Broken(EventType.OVER_TIME, at, at - 1, "idle")]
        case Defect.WRONG_VERB | Defect.WRONG_TOOL | Defect.WRONG_TARGET:
            wrong = _wrong_step(procedure, items[at].step, rng, defect)
            items[at] = replace(items[at], step=wrong, is_deviating=True)
            return items, [_Broken(EventType.STEP_DEVIATION, at)]
        case _:
            return items, []


def _wrong_step(
    procedure: Procedure, step: WorkStep, rng: np.random.Generator, defect: Defect
) -> WorkStep:
    """The step done differently: other motion, other item, or at another spot."""
    if defect is Defect.WRONG_VERB:
        strong = (Verb.SCREW, Verb.WIPE, Verb.HAMMER, Verb.INSPECT)
        others = [verb for verb in strong if verb is not step.verb]
        return replace(step, verb=others[int(rng.integers(0, len(others)))])
    if defect is Defect.WRONG_TOOL:
        kind = procedure.slots[step.slot_index].made_for
        others_slot = [k for k, slot in enumerate(procedure.slots) if slot.made_for is not kind]
        return replace(step, slot_index=others_slot[int(rng.integers(0, len(others_slot)))])
    here = procedure.spots[step.spot_index].at
    distance = [np.hypot(s.at[0] - here[0], s.at[1] - here[1]) for s in procedure.spots]
    return replace(step, spot_index=int(np.argmax(distance)), support=None)


def _acts(
    procedure: Procedure, items: list[_Item], operator: Operator, rng: np.random.Generator
) -> tuple[Act, ...]:
    acts: list[Act] = []
    now = LEAD_SEC
    for item in items:
        now += float(rng.exponential(operator.pause_sec)) if operator.pause_sec > 0 else 0.0
        now += item.pause_sec
        jitter = float(np.exp(rng.normal(0, operator.step_jitter)))
        length = item.step.duration_sec / operator.tempo * jitter * item.stretch
        spot = procedure.spots[item.step.spot_index].at
        scatter = rng.normal(0, operator.scatter_units, 2)
        rate, reach = 1 + rng.uniform(-1, 1, 2) * operator.manner
        acts.append(
            Act(
                step=item.step,
                step_index=item.step_index,
                start_sec=now,
                end_sec=now + length,
                at=(float(spot[0] + scatter[0]), float(spot[1] + scatter[1])),
                rate=float(rate),
                reach=float(reach),
                warp=float(rng.uniform(-1, 1) * operator.warp),
                is_extra=item.is_extra,
                is_deviating=item.is_deviating,
            )
        )
        now += length
    return tuple(acts)


def _truth(broken: Sequence[_Broken], segments: tuple[Segment, ...]) -> tuple[TrueEvent, ...]:
    """Give every defect its place in the trainee's film."""
    return tuple(
        TrueEvent(
            item.type,
            item.step_index,
            _span(item, segments),
            item.other_step_index,
            _where(item.step_index, segments)
            if item.type is EventType.MISSING_STEP
            else item.detail,
        )
        for item in broken
    )


def _span(item: _Broken, segments: tuple[Segment, ...]) -> TimeSpan:
    """Where a defect is seen."""
    if item.type is EventType.MISSING_STEP:
        return _gap(item.step_index, segments)
    wanted = {item.step_index, item.other_step_index} - {None}
    shown = [s for s in segments if s.step_index in wanted]
    if item.detail == "idle":
        return TimeSpan(shown[0].span.end_sec, shown[-1].span.start_sec)
    if item.type is EventType.REPEATED_STEP:
        shown = [s for s in shown if s.is_extra]
    return TimeSpan(shown[0].span.start_sec, shown[-1].span.end_sec)


def _gap(index: int, segments: tuple[Segment, ...]) -> TimeSpan:
    """The instant at which a missing step should have begun."""
    before = [s.span.end_sec for s in segments if s.step_index < index]
    instant = max(before, default=0.0)
    return TimeSpan(instant, instant)


def _where(index: int, segments: tuple[Segment, ...]) -> str:
    indices = [s.step_index for s in segments]
    if index < min(indices):
        return "start"
    return "tail" if index > max(indices) else "inner"


def _freeze(
    clock: NDArray[np.int64],
    segments: tuple[Segment, ...],
    rng: np.random.Generator,
    rate_fps: float,
    defect: Defect,
) -> tuple[NDArray[np.int64], tuple[Segment, ...], TrueEvent]:
    """Let the picture stand for 4-7 s inside a step, or from the first frame to the last."""
    if defect is Defect.FREEZE_ONLY:
        still = np.full(round(STILL_SEC * rate_fps), len(clock) // 4, dtype=np.int64)
        return still, (), TrueEvent(EventType.FREEZE, None, TimeSpan(0.0, STILL_SEC))
    hit = segments[int(rng.integers(0, len(segments)))]
    moment = hit.span.start_sec + float(rng.uniform(0.3, 0.75)) * hit.span.duration_sec
    first, count = round(moment * rate_fps), round(float(rng.uniform(4, 7)) * rate_fps)
    moment, length = first / rate_fps, count / rate_fps
    clock = np.concatenate([clock[:first], np.full(count, clock[first]), clock[first:]])

    def later(time_sec: float) -> float:
        return time_sec + length if time_sec > moment else time_sec

    moved = tuple(
        replace(s, span=TimeSpan(later(s.span.start_sec), later(s.span.end_sec))) for s in segments
    )
    span = TimeSpan(moment, moment + length)
    return clock, moved, TrueEvent(EventType.FREEZE, hit.step_index, span)


def _cut(
    clock: NDArray[np.int64],
    segments: tuple[Segment, ...],
    rng: np.random.Generator,
    rate_fps: float,
    defect: Defect,
) -> tuple[NDArray[np.int64], tuple[Segment, ...], tuple[TrueEvent, ...]]:
    """Keep the first or last 50-78 %; steps of which less than half is left are missing."""
    total_sec = len(clock) / rate_fps
    is_tail = defect is Defect.CUT_TAIL
    edge = segments[-1].span.centre_sec if is_tail else total_sec - segments[0].span.centre_sec
    length = round(float(rng.uniform(0.5, 0.78)) * len(clock))
    length = min(length, round(edge * rate_fps) - 1)  # at least one step is really lost
    clock = clock[:length] if is_tail else clock[-length:]
    kept_sec = length / rate_fps
    start = 0.0 if is_tail else total_sec - kept_sec
    instant = kept_sec if is_tail else 0.0
    seen: list[Segment] = []
    lost: list[TrueEvent] = []
    for segment in segments:
        shown = segment.span.clamp(start, start + kept_sec)
        share = shown.duration_sec / segment.span.duration_sec
        if share > 0:
            span = TimeSpan(shown.start_sec - start, shown.end_sec - start)
            seen.append(replace(segment, span=span))
        if share < SHOWN_SHARE:
            lost.append(
                TrueEvent(
                    EventType.MISSING_STEP,
                    segment.step_index,
                    TimeSpan(instant, instant),
                    detail="tail" if is_tail else "start",
                )
            )
    return clock, tuple(seen), tuple(lost)
