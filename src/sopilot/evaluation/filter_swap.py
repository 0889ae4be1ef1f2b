"""A drawn filter change in four steps, and five ways to do it wrong: the films of a first rollout.

They take the place of footage until there is some: `sopilot films` writes them, `sopilot gate`
holds a service against them. Frames are drawn one by one; equal arguments give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError
from sopilot.media.encode import VideoWriter

SIZE_PX: Final = (320, 180)
RATE_FPS: Final = 12.0
USUAL_SEC: Final = 24.0
DURATION_SEC: Final = (16.0, 240.0)
"""Shorter steps than 4 s can hardly be proven missing; longer ones show nothing more."""

Picture = NDArray[np.uint8]
_Point = tuple[float, float]
_Colour = tuple[int, int, int]


class Act(StrEnum):
    """What is done in one step; FORCED is the wrong way to do SWAP."""

    REMOVE = "remove"
    CLEAN = "clean"
    SWAP = "swap"
    CHECK = "check"
    FORCED = "forced"


Plan = tuple[tuple[Act, float], ...]

PLANS: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        "gold": ((Act.REMOVE, 1.0), (Act.CLEAN, 1.0), (Act.SWAP, 1.0), (Act.CHECK, 1.0)),
        "missing": ((Act.REMOVE, 1.0), (Act.SWAP, 1.0), (Act.CHECK, 2.0)),
        "swap": ((Act.REMOVE, 1.0), (Act.SWAP, 1.0), (Act.CLEAN, 1.0), (Act.CHECK, 1.0)),
        "deviation": ((Act.REMOVE, 1.0), (Act.CLEAN, 1.0), (Act.FORCED, 1.0), (Act.CHECK, 1.0)),
        "time_over": ((Act.REMOVE, 0.85), (Act.CLEAN, 1.9), (Act.SWAP, 0.65), (Act.CHECK, 0.6)),
        "mixed": ((Act.REMOVE, 1.0), (Act.SWAP, 1.2), (Act.CLEAN, 1.0), (Act.CHECK, 0.8)),
    }
)
"""Film by name: its acts with their lengths in quarters of the film."""

_HOUSING: Final = (120, 55, 200, 125)  # left, top, right, bottom
_SEAT: Final[_Point] = (160.0, 90.0)
_BIN: Final[_Point] = (45.0, 120.0)
_CLOTH: Final[_Point] = (275.0, 125.0)
_TRAY: Final[_Point] = (272.0, 50.0)
_SCRAP: Final[_Point] = (110.0, 155.0)
_PROBE: Final[_Point] = (45.0, 40.0)
_LAMP: Final[_Point] = (190.0, 64.0)
_REST: Final[_Point] = (225.0, 168.0)
_ELBOW: Final[_Point] = (245.0, 220.0)

_SOURCE: Final[Mapping[Act, _Point]] = MappingProxyType(
    {
        Act.REMOVE: _SEAT,
        Act.CLEAN: _CLOTH,
        Act.SWAP: _TRAY,
        Act.CHECK: _PROBE,
        Act.FORCED: _SCRAP,
    }
)
_LEFT_THERE: Final = frozenset({Act.SWAP, Act.FORCED})
_REACHED, _CARRIED, _WORKED = 0.15, 0.3, 0.8


@dataclass(frozen=True, slots=True)
class _State:
    """What lies where. held: the item in the hand; seat: what sits in the housing."""

    hand: _Point
    held: Act | None
    turn_rad: float
    seat: Act | None
    is_removed: bool
    is_clean: bool
    is_lit: bool


def write_film(path: Path, plan: Plan, duration_sec: float = USUAL_SEC) -> None:
    """Write a film of the acts. Raises InputError for a length outside DURATION_SEC."""
    least, most = DURATION_SEC
    if not least <= duration_sec <= most:
        raise InputError(
            f"the films would be {duration_sec:g} s long; give {least:g} to {most:g} seconds"
        )
    with VideoWriter(path, SIZE_PX, fps=RATE_FPS, crf=20) as writer:
        for picture in frames(plan, duration_sec):
            writer.write(picture)


def frames(plan: Plan, duration_sec: float) -> Iterator[Picture]:
    """(180, 320, 3) uint8 bgr pictures, RATE_FPS a second."""
    quarter = duration_sec / sum(length for _, length in plan)
    bench = _bench()
    done: list[Act] = []
    begin, number = 0.0, 0
    for act, length in plan:
        end = begin + length * quarter
        while number / RATE_FPS < end - 1e-9:
            now = number / RATE_FPS
            yield _draw(bench, _state(act, (now - begin) / (end - begin), now - begin, done))
            number += 1
        done.append(act)
        begin = end


def _state(act: Act, share: float, clock_sec: float, done: list[Act]) -> _State:
    """The hand on its way through an act, share 0-1, and what is there so far."""
    seat = next((a for a in reversed(done) if a in _LEFT_THERE), None)
    if seat is None and Act.REMOVE not in done:
        seat = Act.REMOVE
    source = _SOURCE[act]
    goal = _BIN if act is Act.REMOVE else _SEAT
    held: Act | None = act if _REACHED <= share < _WORKED else None
    turn = 0.0
    if share < _REACHED:
        hand = _between(_REST, source, share / _REACHED)
    elif act is Act.REMOVE:
        hand, turn = _unscrewed(share, clock_sec)
        seat = None if share > 0.55 else seat
    elif share < _CARRIED:
        hand = _between(source, goal, (share - _REACHED) / (_CARRIED - _REACHED))
    elif share < _WORKED:
        (dx, dy), turn = _stroke(act, clock_sec, (share - _CARRIED) / (_WORKED - _CARRIED))
        hand = (goal[0] + dx, goal[1] + dy)
    elif act in _LEFT_THERE:
        seat = act
        hand = _between(goal, _REST, (share - _WORKED) / (1 - _WORKED))
    elif share < 0.9:
        held = act
        hand = _between(goal, source, (share - _WORKED) / (0.9 - _WORKED))
    else:
        hand = _between(source, _REST, (share - 0.9) / 0.1)
    return _State(
        hand,
        held,
        turn,
        seat,
        Act.REMOVE in done or (act is Act.REMOVE and share >= _WORKED),
        Act.CLEAN in done or (act is Act.CLEAN and share > 0.6),
        Act.CHECK in done or (act is Act.CHECK and share > 0.6),
    )


def _unscrewed(share: float, clock_sec: float) -> tuple[_Point, float]:
    """Turned loose in its seat, carried to the bin, hand back."""
    if share < 0.55:
        turn = 7.0 * clock_sec
        return (_SEAT[0] + 7 * np.cos(turn), _SEAT[1] + 7 * np.sin(turn)), turn
    if share < _WORKED:
        return _between(_SEAT, _BIN, (share - 0.55) / (_WORKED - 0.55)), 0.0
    return _between(_BIN, _REST, (share - _WORKED) / (1 - _WORKED)), 0.0


def _stroke(act: Act, clock_sec: float, share: float) -> tuple[_Point, float]:
    """Offset from the seat, and turn of the item."""
    match act:
        case Act.CLEAN:
            return (30 * np.sin(5.5 * clock_sec), 22 * np.sin(0.9 * clock_sec)), 0.3
        case Act.SWAP:
            return (0.0, -16 * max(0.0, np.sin(3.2 * clock_sec)) ** 2), 0.0
        case Act.FORCED:
            lift = abs(np.sin(6.5 * clock_sec))
            return (24 * lift, -34 * lift), 0.9 * lift
        case _:
            return (38 * (2 * share - 1), 26 * np.sin(6.3 * share)), 0.6 * share


def _between(start: _Point, end: _Point, share: float) -> _Point:
    smooth = float(np.clip(share, 0, 1)) ** 2 * (3 - 2 * float(np.clip(share, 0, 1)))
    return (start[0] + (end[0] - start[0]) * smooth, start[1] + (end[1] - start[1]) * smooth)


def _bench() -> Picture:
    """The bench without what moves."""
    grain = np.random.default_rng(24).normal(0, 5, (SIZE_PX[1], SIZE_PX[0], 1))
    picture = np.clip(np.array([92, 104, 98]) + grain, 0, 255).astype(np.uint8)
    left, top, right, bottom = _HOUSING
    _box(picture, (left, top, right, bottom), (120, 118, 122))
    for x, y in ((left, top), (right, top), (left, bottom), (right, bottom)):
        _disc(picture, (x, y), 4, (70, 70, 76))
    _box(picture, (20, 98, 70, 142), (52, 60, 58))
    _box(picture, (248, 104, 302, 146), (74, 80, 88))
    _box(picture, (244, 26, 300, 74), (74, 80, 88))
    _box(picture, (20, 24, 70, 56), (74, 80, 88))
    return picture


def _draw(bench: Picture, state: _State) -> Picture:
    picture = bench.copy()
    _disc(picture, _SEAT, 25, (150, 148, 150) if state.is_clean else (78, 96, 112))
    _disc(picture, _LAMP, 5, (80, 220, 90) if state.is_lit else (50, 50, 60))
    if state.seat is not None:
        _item(picture, state.seat, _SEAT, 0.0)
    if state.is_removed:
        _item(picture, Act.REMOVE, _BIN, 0.4)
    for act, place in _SOURCE.items():
        waits = state.held is not act and state.seat is not act
        if act is not Act.REMOVE and waits:
            _item(picture, act, place, 0.0)
    if state.held is not None:
        _item(picture, state.held, (state.hand[0], state.hand[1] - 8), state.turn_rad)
    _line(picture, _ELBOW, state.hand, 17, (120, 84, 52))
    _disc(picture, state.hand, 10, (128, 164, 214))
    return picture


def _item(picture: Picture, act: Act, at: _Point, turn_rad: float) -> None:
    """What is taken in an act: the old filter, cloth, new filter, probe, or a part that is none."""
    match act:
        case Act.REMOVE | Act.SWAP:
            _disc(picture, at, 17, (60, 92, 122) if act is Act.REMOVE else (236, 240, 238))
            for spoke in range(3):
                angle = turn_rad + spoke * np.pi / 3
                across, down = 14 * np.cos(angle), 14 * np.sin(angle)
                start, end = (at[0] - across, at[1] - down), (at[0] + across, at[1] + down)
                _line(picture, start, end, 2, (40, 52, 66))
        case Act.CLEAN:
            _turned_box(picture, at, (34, 22), turn_rad, (196, 150, 60))
        case Act.CHECK:
            _turned_box(picture, at, (40, 8), turn_rad, (60, 200, 220))
        case Act.FORCED:
            _turned_box(picture, at, (30, 20), turn_rad, (190, 70, 200))


def _disc(picture: Picture, at: _Point, radius: float, colour: _Colour) -> None:
    cv2.circle(picture, _fixed(at), round(radius * 16), colour, -1, cv2.LINE_AA, 4)


def _line(picture: Picture, start: _Point, end: _Point, width: int, colour: _Colour) -> None:
    cv2.line(picture, _fixed(start), _fixed(end), colour, width, cv2.LINE_AA, 4)


def _box(picture: Picture, corners: tuple[int, int, int, int], colour: _Colour) -> None:
    left, top, right, bottom = corners
    cv2.rectangle(picture, (left, top), (right, bottom), colour, -1)
    cv2.rectangle(picture, (left, top), (right, bottom), (40, 44, 46), 1)


def _turned_box(
    picture: Picture, at: _Point, size: _Point, turn_rad: float, colour: _Colour
) -> None:
    corners = cv2.boxPoints((at, size, float(np.degrees(turn_rad))))
    cv2.fillConvexPoly(picture, np.rint(corners * 16).astype(np.int32), colour, cv2.LINE_AA, 4)


def _fixed(at: _Point) -> tuple[int, int]:
    """Sixteenths of a pixel, as OpenCV's shift of 4 takes them."""
    return round(at[0] * 16), round(at[1] * 16)
