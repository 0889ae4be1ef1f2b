"""How arms, hands and fingers are drawn: overlapping rounded strokes, dark rim, light on top."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np

from sopilot.evaluation.generated.canvas import Canvas, placed, tone
from sopilot.evaluation.generated.motion import Vector
from sopilot.evaluation.generated.procedure import Colour

_BASES = ((1.5, -5.6), (3.0, -2.0), (2.8, 1.7), (1.0, 5.0))
_LENGTHS = (9.5, 11.0, 10.4, 8.2)
_FANS = (-0.22, -0.06, 0.08, 0.24)
_WRIST = ((-16, 0), (-8, 0))
_KNUCKLES = ((2.0, -4.6), (3.0, -1.6), (2.7, 1.5), (1.4, 4.2), (-4.0, -1.5))
"""Four knuckles and the light on the back of the hand."""
_PALM = ((-13, -5), (-9, -7.2), (-2, -7.8), (3, -6.4), (4.5, 0), (2.5, 5.8), (-3, 7), (-13, 5.2))


def draw_arm(canvas: Canvas, elbow: Vector, hand: Vector, sleeve: Colour, size: float) -> float:
    """Draw the sleeve from beyond the picture to the wrist; returns its direction, radians."""
    way = hand - elbow
    turn = float(np.arctan2(way[1], way[0]))
    length = float(np.hypot(*way)) - 13 * size
    back, wide, narrow = -40.0, 15.5 * size, 8.6 * size
    body = [(back, -wide), (length, -narrow), (length, narrow), (back, wide)]
    canvas.fill(placed(body, elbow, turn), sleeve)
    if canvas.is_mask:
        return turn
    shade = [(back, wide * 0.35), (length, narrow * 0.45), (length, narrow), (back, wide)]
    light = [
        (back, -wide * 0.7),
        (length, -narrow * 0.7),
        (length, -narrow * 0.3),
        (back, -wide * 0.2),
    ]
    cuff = [
        (length - 4, -narrow * 1.08),
        (length, -narrow),
        (length, narrow),
        (length - 4, narrow * 1.08),
    ]
    creases = [
        [(length - fold, -narrow * 0.8), (length - fold + 3, 0), (length - fold - 2, narrow)]
        for fold in (9.0, 16.0, 27.0)
    ]
    marks = canvas.mapped(
        placed([*shade, *light, *cuff, *chain.from_iterable(creases)], elbow, turn)
    )
    canvas.fill(marks[:4], tone(sleeve, 0.78))
    canvas.fill(marks[4:8], tone(sleeve, 1.13))
    for first in (12, 15, 18):
        canvas.line(marks[first : first + 3], tone(sleeve, 0.82), 0.9)
    canvas.fill(marks[8:12], tone(sleeve, 0.66))
    return turn


def draw_hand(
    canvas: Canvas,
    at: Vector,
    turn_rad: float,
    *,
    skin: Colour,
    size: float,
    curl: float,
    flex: float,
    thumb_side: int,
) -> None:
    """Draw a hand from above, its grip at `at`.

    curl: 0 = flat and spread, 1 = fist; flex: how far the fingers work, about 0-1; thumb_side:
    -1 = thumb towards -y (a right hand pointing along +x), +1 = the mirror image.
    """
    frame = np.array([*_WRIST, *_PALM, *_thumb(curl, flex), *_fingers(curl, flex), *_KNUCKLES])
    frame *= (size, -size * thumb_side)
    frame[:, 0] -= 5.0 * size
    marks = canvas.mapped(placed(frame, at, turn_rad))
    wrist, palm, thumb = marks[:2], marks[2:10], marks[10:13]
    fingers = [marks[first : first + 3] for first in (13, 16, 19, 22)]
    rim = tone(skin, 0.62)
    canvas.line(wrist, rim, 11.6 * size)
    for stroke in (*fingers, thumb):
        canvas.line(stroke, rim, 4.7 * size)
    canvas.line(palm, rim, 2.4 * size, closed=True)
    canvas.fill(palm, skin)
    if canvas.is_mask:
        return
    canvas.line(wrist, tone(skin, 0.94), 10.4 * size)
    canvas.line(palm, skin, 1.4 * size, closed=True)
    canvas.line(thumb, skin, 3.6 * size)
    for index, stroke in enumerate(fingers):
        canvas.line(stroke, tone(skin, 1.0 - 0.03 * index), 3.5 * size)
        canvas.line(stroke[1:], tone(skin, 1.10), 1.2 * size)
    for knuckle in marks[25:29]:
        canvas.oval(knuckle, (1.3 * size, 1.1 * size), turn_rad, tone(skin, 0.9))
    canvas.oval(marks[29], (4.2 * size, 3.0 * size), turn_rad, tone(skin, 1.05))


def _fingers(curl: float, flex: float) -> list[tuple[float, float]]:
    """Base, middle joint and tip of each finger, in the hand's own frame."""
    out: list[tuple[float, float]] = []
    for index, ((x, y), length, fan) in enumerate(zip(_BASES, _LENGTHS, _FANS, strict=True)):
        bent = min(1.0, max(0.0, curl + 0.35 * flex * (1 if index % 2 == 0 else -0.6)))
        spread = fan * (1 - bent) * 1.3 - 0.5 * fan * bent
        reach = length * (1 - 0.52 * bent)
        joint = (x + 0.55 * reach * math.cos(spread), y + 0.55 * reach * math.sin(spread))
        inward = spread - math.copysign(1, y) * 0.5 * bent
        tip = (
            joint[0] + 0.45 * reach * math.cos(inward),
            joint[1] + 0.45 * reach * math.sin(inward),
        )
        out += [(x - 2, y), joint, tip]
    return out


def _thumb(curl: float, flex: float) -> list[tuple[float, float]]:
    bent = min(1.0, max(0.0, curl + 0.2 * flex))
    tip = (4.0 + 2.5 * bent, 10.5 - 6.0 * bent)
    return [(-8.0, 4.5), (-2.0 + bent, 9.4 - 1.8 * bent), tip]
