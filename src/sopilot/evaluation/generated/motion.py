"""Where the hands, the tool and the effects are in every frame of an execution.

Times and acts in, one `Pose` per work frame out; nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sopilot.evaluation.generated.execution import Act, Execution
from sopilot.evaluation.generated.nuisance import Operator
from sopilot.evaluation.generated.procedure import Point, Procedure, Verb, WorkStep

Vector = NDArray[np.float64]

REST_RIGHT: Vector = np.array([222.0, 158.0])
REST_LEFT: Vector = np.array([97.0, 160.0])
ELBOW_RIGHT: Vector = np.array([236.0, 212.0])
ELBOW_LEFT: Vector = np.array([84.0, 212.0])

TOOL_LENGTH: dict[Verb, float] = {
    Verb.PLACE: 9.0,
    Verb.SCREW: 22.0,
    Verb.WIPE: 5.0,
    Verb.PRESS: 13.0,
    Verb.HAMMER: 24.0,
    Verb.INSPECT: 24.0,
    Verb.SPRAY: 20.0,
}
"""Units from the fist to the working end, by the verb that the item is made for."""

REACHED, CARRIED, WORKED, RETURNED = 0.14, 0.29, 0.80, 0.92
"""Shares of a step at which the hand has the item, is at the spot, is done, has put it back."""
EFFECT_AT = 0.62


@dataclass(frozen=True, slots=True)
class Pose:
    """One frame's state. curl: 0 = open hand, 1 = fist; turn: item against the arm, radians."""

    right: Vector
    left: Vector
    right_curl: float
    left_curl: float
    flex: float
    held_slot: int | None
    turn_rad: float
    mist: float
    done: tuple[Act, ...]
    taken: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Stroke:
    """Offset of the working end across and along the arm (units), turn and finger flex (0-1)."""

    x: float
    y: float
    turn: float = 0.0
    flex: float = 0.0


def _place(wave: float, share: float, reach: float) -> _Stroke:
    settle = (1 - share) ** 2
    return _Stroke(
        0.5 * reach * settle * np.cos(wave), 0.4 * reach * settle * np.sin(wave), 0.5 * settle
    )


def _screw(wave: float, _share: float, reach: float) -> _Stroke:
    cycle = (wave / (2 * np.pi)) % 1.0
    roll = cycle / 0.7 if cycle < 0.7 else (1 - cycle) / 0.3
    sway = 0.32 * reach
    return _Stroke(sway * np.cos(wave), sway * np.sin(wave), 0.9 * (roll - 0.5), 0.5 * roll)


def _wipe(wave: float, _share: float, reach: float) -> _Stroke:
    return _Stroke(2.1 * reach * np.sin(0.6 * wave), 3.5 * np.sin(0.13 * wave), 0.25, 0.1)


def _press(wave: float, _share: float, reach: float) -> _Stroke:
    push = max(0.0, np.sin(0.36 * wave)) ** 2
    return _Stroke(0.0, 0.8 * reach * (1 - push) - 0.2 * reach, 0.0, 0.35 * push)


def _hammer(wave: float, _share: float, reach: float) -> _Stroke:
    cycle = (0.8 * wave / np.pi) % 1.0
    lift = np.sin(np.pi * cycle**0.7)
    return _Stroke(-0.5 * reach * lift, 1.5 * reach * lift, 0.75 * lift, 0.1)


def _inspect(wave: float, _share: float, reach: float) -> _Stroke:
    return _Stroke(
        1.1 * reach * np.sin(0.13 * wave),
        0.6 * reach * np.sin(0.1 * wave),
        0.2 * np.sin(0.1 * wave),
    )


def _spray(wave: float, share: float, reach: float) -> _Stroke:
    pull = 0.5 + 0.5 * np.sin(0.9 * wave)
    return _Stroke(1.4 * reach * (2 * share - 1), reach + 1.5 * np.sin(0.4 * wave), 0.2, 0.4 * pull)


STROKES: dict[Verb, Callable[[float, float, float], _Stroke]] = {
    Verb.PLACE: _place,
    Verb.SCREW: _screw,
    Verb.WIPE: _wipe,
    Verb.PRESS: _press,
    Verb.HAMMER: _hammer,
    Verb.INSPECT: _inspect,
    Verb.SPRAY: _spray,
}


def poses(
    procedure: Procedure,
    execution: Execution,
    operator: Operator,
    rng: np.random.Generator,
    rate_fps: float,
) -> list[Pose]:
    """One Pose per work frame (not per film frame: a freeze repeats work frames)."""
    frame_count = int(execution.clock.max()) + 1
    tremor = smooth_noise(rng, frame_count, operator.tremor_units, 0.35 * rate_fps)
    drift = smooth_noise(rng, frame_count, 1.5 * operator.tremor_units, 2.5 * rate_fps)
    flutter = smooth_noise(rng, frame_count, 0.15, 0.5 * rate_fps)[:, 0]
    left = REST_LEFT.copy()
    follow = 1 - 0.65 ** (10 / rate_fps)
    frames: list[Pose] = []
    for index in range(frame_count):
        time_sec = index / rate_fps
        pose = _pose_at(procedure, execution.acts, time_sec)
        left = left + follow * (pose.left - left)
        frames.append(
            Pose(
                right=pose.right + tremor[index] + (drift[index] if pose.held_slot is None else 0),
                left=left + 0.6 * tremor[(index * 7) % frame_count] + drift[::-1][index],
                right_curl=pose.right_curl,
                left_curl=pose.left_curl,
                flex=pose.flex + flutter[index],
                held_slot=pose.held_slot,
                turn_rad=pose.turn_rad,
                mist=pose.mist,
                done=pose.done,
                taken=pose.taken,
            )
        )
    return frames


def smooth_noise(rng: np.random.Generator, count: int, sd: float, length: float) -> Vector:
    """(count, 2) noise of the given spread that forgets itself within `length` samples."""
    keep = float(np.exp(-1 / max(length, 1e-6)))
    fresh = rng.normal(0, sd * np.sqrt(1 - keep * keep), (count, 2))
    out = np.zeros((count, 2))
    for index in range(1, count):
        out[index] = keep * out[index - 1] + fresh[index]
    return out


def grip_of(tip: Vector, length: float) -> Vector:
    """Where the fist is when the working end of an item is at `tip`."""
    along = tip - ELBOW_RIGHT
    result: Vector = tip - along / np.hypot(*along) * length
    return result


def _pose_at(procedure: Procedure, acts: tuple[Act, ...], time_sec: float) -> Pose:
    now = next((act for act in acts if act.start_sec <= time_sec < act.end_sec), None)
    done = tuple(act for act in acts if _worked_share(act, time_sec) > EFFECT_AT)
    used = tuple(
        act.step.slot_index
        for act in acts
        if act.step.verb is Verb.PLACE and _worked_share(act, time_sec) > REACHED
    )
    if now is None:
        return Pose(REST_RIGHT, REST_LEFT, 0.35, 0.3, 0.0, None, 0.0, 0.0, done, used)
    return _working(procedure, now, time_sec, done, used)


def _worked_share(act: Act, time_sec: float) -> float:
    """How far an act is, 0-1, after the operator's uneven pace; monotone in time."""
    share = min(max((time_sec - act.start_sec) / (act.end_sec - act.start_sec), 0.0), 1.0)
    return share + act.warp * share * (1 - share)


def _working(
    procedure: Procedure, act: Act, time_sec: float, done: tuple[Act, ...], used: tuple[int, ...]
) -> Pose:
    step, share = act.step, _worked_share(act, time_sec)
    slot = procedure.slots[step.slot_index]
    shelf = np.add(slot.at, (3.0, 7.0))
    tip = np.array(act.at)
    fist = grip_of(tip, TOOL_LENGTH[slot.made_for])
    held: int | None = step.slot_index
    curl, flex, turn, mist = 0.8, 0.0, 0.0, 0.0
    if share < REACHED:
        right = _move(REST_RIGHT, shelf, share / REACHED)
        held, curl = None, 0.35 - 0.3 * np.sin(np.pi * share / REACHED)
    elif share < CARRIED:
        right = _move(shelf, fist, (share - REACHED) / (CARRIED - REACHED))
    elif share < WORKED:
        stroke = _stroke(act, time_sec, (share - CARRIED) / (WORKED - CARRIED))
        right = np.add(fist, (stroke.x, stroke.y))
        turn, flex = stroke.turn, stroke.flex
        mist = 1.0 if step.verb is Verb.SPRAY else 0.0
    else:
        right, held, curl = _leave(step, fist, shelf, share)
    is_busy = step.support is not None and 0.12 < share < 0.85
    left = np.array(step.support) if is_busy and step.support else REST_LEFT
    left_curl = 0.15 if is_busy else 0.3
    return Pose(right, left, curl, left_curl, flex, held, turn, mist, done, used)


def _stroke(act: Act, time_sec: float, share: float) -> _Stroke:
    step = act.step
    wave = 2 * np.pi * step.rate_hz * act.rate * (time_sec - act.start_sec)
    ramp = min(1.0, 8 * share, 8 * (1 - share))
    stroke = STROKES[step.verb](wave, share, step.reach_units * act.reach)
    return _Stroke(ramp * stroke.x, ramp * stroke.y, ramp * stroke.turn, stroke.flex)


def _leave(
    step: WorkStep, fist: Vector, shelf: Vector, share: float
) -> tuple[Vector, int | None, float]:
    """Back to rest: by way of the slot, or straight when the part stays on the product."""
    if step.verb is Verb.PLACE:
        return _move(fist, REST_RIGHT, (share - WORKED) / (1 - WORKED)), None, 0.2
    if share < RETURNED:
        right = _move(fist, shelf, (share - WORKED) / (RETURNED - WORKED))
        return right, step.slot_index, 0.8
    return _move(shelf, REST_RIGHT, (share - RETURNED) / (1 - RETURNED)), None, 0.2


def _move(start: Vector | Point, end: Vector | Point, share: float) -> Vector:
    """Minimum-jerk way between two points, a little bowed (Flash & Hogan 1985)."""
    start_at, end_at = np.asarray(start, np.float64), np.asarray(end, np.float64)
    s = min(max(share, 0.0), 1.0)
    eased = s * s * s * (10 - 15 * s + 6 * s * s)
    way = end_at - start_at
    bow = np.array([-way[1], way[0]]) * 0.08 * np.sin(np.pi * eased)
    result: Vector = start_at + way * eased + bow
    return result
