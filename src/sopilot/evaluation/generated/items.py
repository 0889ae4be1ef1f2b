"""How tools, parts and the marks that steps leave behind are drawn.

Every item lies along +x with the grip at the origin; its working end is TOOL_LENGTH away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sopilot.evaluation.generated.canvas import MARGIN_UNITS, Canvas, placed, tone
from sopilot.evaluation.generated.motion import TOOL_LENGTH
from sopilot.evaluation.generated.procedure import Colour, Effect, Point, Slot, Verb

STEEL: Colour = (176, 172, 166)
DARK: Colour = (52, 50, 50)


def _beside(at: NDArray[np.float64], x: float, y: float) -> Point:
    return float(at[0]) + x, float(at[1]) + y


def _box(x0: float, y0: float, x1: float, y1: float) -> list[Point]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _round(radius: float, count: int, teeth: float = 0.0) -> list[Point]:
    """A circle of `count` corners around (0, 0); teeth > 0 makes a gear."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radii = radius * (1 + teeth * np.sign(np.sin(8 * angles + 0.2)))
    return [
        (float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radii, angles, strict=True)
    ]


def draw_item(canvas: Canvas, slot: Slot, at: Any, turn_rad: float, size: float = 1.0) -> None:
    """Draw the item of a slot with its grip at `at`, pointing along turn_rad."""
    _DRAW[slot.made_for](canvas, slot, np.asarray(at, np.float64), turn_rad, size)


def _shape(
    canvas: Canvas, points: list[Point], at: Any, turn: float, size: float, colour: Colour
) -> None:
    outline = canvas.mapped(placed(points, at, turn, size))
    canvas.fill(outline, colour)
    if not canvas.is_mask:
        canvas.line(outline, tone(colour, 0.55), 0.5, closed=True)


def _part(canvas: Canvas, slot: Slot, at: Any, turn: float, size: float) -> None:
    body = (
        _round(6.2, 48, 0.13),
        _box(-7.5, -5, 7.5, 5),
        [(-8.0, -2.5), (-3, -5.5), (3, -5.5), (8, -2.5), (8, 2.5), (3, 5.5), (-3, 5.5), (-8, 2.5)],
    )[slot.variant]
    middle = placed([(5.0, 0.0)], at, turn, size)[0]
    _shape(canvas, body, middle, turn, size, slot.colour)
    canvas.oval(middle, (2.6 * size, 2.6 * size), 0, tone(slot.colour, 0.45))
    shine = placed([(-4.5, -3.2), (3.5, -3.2)], middle, turn, size)
    canvas.line(shine, tone(slot.colour, 1.35), 0.8)


def _screwdriver(canvas: Canvas, slot: Slot, at: Any, turn: float, size: float) -> None:
    canvas.line(placed([(4, 0), (22, 0)], at, turn, size), tone(STEEL, 0.6), 2.4 * size)
    canvas.line(placed([(4, 0), (21, 0)], at, turn, size), STEEL, 1.4 * size)
    handle: list[Point] = [(-12, -2.6), (-9, -3.6), (2, -3.2), (5, -1.8)]
    handle += [(x, -y) for x, y in reversed(handle)]
    _shape(canvas, handle, at, turn, size, slot.colour)
    canvas.line(placed([(-9, -1.4), (2, -1.2)], at, turn, size), tone(slot.colour, 1.4), 0.8)


def _cloth(canvas: Canvas, slot: Slot, at: Any, turn: float, size: float) -> None:
    cloth: list[Point] = [
        (-8.5, -7), (-2, -8.5), (5, -7), (11, -8), (12.5, -1), (11, 6.5), (4, 8), (-3, 6.8),
        (-9, 8), (-10, 0),
    ]  # fmt: skip
    pale = tone(slot.colour, 1.15)
    _shape(canvas, cloth, at, turn, size, pale)
    for fold in (((-7.0, -4), (3, 1), (9, -3)), ((-6.0, 4), (2, 5), (8, 2))):
        canvas.line(placed(fold, at, turn, size), tone(pale, 0.82), 1.0)


def _stamp(canvas: Canvas, slot: Slot, at: Any, turn: float, size: float) -> None:
    _shape(canvas, _box(2, -1.8, 10, 1.8), at, turn, size, STEEL)
    _shape(canvas, _box(9, -5, 13, 5), at, turn, size, tone(slot.colour, 0.7))
    knob = placed([(-2.0, 0.0)], at, turn, size)[0]
    canvas.oval(knob, (5.4 * size, 5.4 * size), 0, tone(slot.colour, 0.6))
    canvas.oval(knob, (4.6 * size, 4.6 * size), 0, slot.colour)
    canvas.oval(_beside(knob, -1.2, -1.4), (1.6 * size, 1.2 * size), 0, tone(slot.colour, 1.35))


def _mallet(canvas: Canvas, slot: Slot, at: Any, turn: float, size: float) -> None:
    canvas.line(placed([(-11, 0), (20, 0)], at, turn, size), (58, 88, 124), 3.2 * size)
    canvas.line(placed([(-11, -0.7), (19, -0.7)], at, turn, size), (84, 122, 164), 1.0 * size)
    _shape(canvas, _box(17, -8, 25, 8), at, turn, size, slot.colour)
    canvas.line(placed([(18.6, -6.5), (18.6, 6.5)], at, turn, size), tone(slot.colour, 1.35), 1.0)


def _magnifier(canvas: Canvas, slot: Slot, at: Any, turn: float, size: float) -> None:
    canvas.line(placed([(-10, 0), (14, 0)], at, turn, size), tone(slot.colour, 0.8), 3.0 * size)
    ring = placed([(22.0, 0.0)], at, turn, size)[0]
    canvas.oval(ring, (8.2 * size, 8.2 * size), 0, tone(STEEL, 0.6), 2.0 * size)
    canvas.oval(ring, (8.2 * size, 8.2 * size), 0, slot.colour, 1.2 * size)
    canvas.line(placed([(18, -3), (21, -5)], at, turn, size), (245, 242, 238), 0.8)


def _bottle(canvas: Canvas, slot: Slot, at: Any, turn: float, size: float) -> None:
    body: list[Point] = [(-11, -5.5), (-8, -6.6), (5, -6.6), (8, -3), (8, 3), (5, 6.6), (-8, 6.6)]
    body.append((-11, 5.5))
    _shape(canvas, body, at, turn, size, slot.colour)
    _shape(canvas, _box(-6, -4, 2, 4), at, turn, size, tone(slot.colour, 1.4))
    _shape(canvas, _box(8, -2, 14, 2), at, turn, size, DARK)
    canvas.line(placed([(11, -2), (18, -1)], at, turn, size), (190, 190, 196), 1.4 * size)


_DRAW = {
    Verb.PLACE: _part,
    Verb.SCREW: _screwdriver,
    Verb.WIPE: _cloth,
    Verb.PRESS: _stamp,
    Verb.HAMMER: _mallet,
    Verb.INSPECT: _magnifier,
    Verb.SPRAY: _bottle,
}


def draw_effect(canvas: Canvas, effect: Effect, slot: Slot, at: Any) -> None:
    """Draw what a finished step left at a point of the product."""
    point = np.asarray(at, np.float64)
    match effect:
        case Effect.PART:
            draw_item(canvas, slot, point - placed([(4.5, 0)], (0, 0), 0.35), 0.35, 0.9)
        case Effect.HEAD:
            canvas.oval(point, (3.4, 3.4), 0, tone(STEEL, 0.55))
            canvas.oval(point, (2.7, 2.7), 0, tone(STEEL, 1.15))
            canvas.line([_beside(point, -1.8, 0.9), _beside(point, 1.8, -0.9)], DARK, 0.7)
        case Effect.LAMP:
            canvas.oval(_beside(point, 9.0, -8.0), (3.6, 3.6), 0, (60, 120, 60))
            canvas.oval(_beside(point, 9.0, -8.0), (2.6, 2.6), 0, (110, 245, 130))
        case Effect.PIN:
            canvas.oval(_beside(point, -3.0, -2.0), (2.4, 2.4), 0, (60, 110, 150))
            canvas.oval(_beside(point, -3.0, -2.0), (1.6, 1.6), 0, (120, 190, 225))
        case Effect.CLEAN:
            blend(canvas, point, (15.0, 7.0), (236, 236, 232), 0.30)
        case Effect.WET:
            blend(canvas, point, (13.0, 6.5), tone(slot.colour, 0.55), 0.62)
        case Effect.NOTHING:
            return


def blend(
    canvas: Canvas, at: NDArray[np.float64], radii: Point, colour: Colour, share: float
) -> None:
    """A soft-edged patch laid over the picture with the given cover, 0-1."""
    pad = 1.5
    low, high = at - np.array(radii) * pad, at + np.array(radii) * pad
    x0, y0, x1, y1 = (
        round(v * canvas.px_per_unit) for v in (*(low + _margin(canvas)), *(high + _margin(canvas)))
    )
    x0, y0 = max(x0, 0), max(y0, 0)
    window = canvas.pixels[y0:y1, x0:x1]
    if window.size == 0:
        return
    ys, xs = np.mgrid[0 : window.shape[0], 0 : window.shape[1]]
    nx = (xs / max(1, window.shape[1] - 1) - 0.5) * 2 * pad
    ny = (ys / max(1, window.shape[0] - 1) - 0.5) * 2 * pad
    cover = share * np.clip(2.2 - 2 * np.hypot(nx, ny), 0, 1)[..., None]
    mixed = window * (1 - cover) + np.array(colour) * cover
    canvas.pixels[y0:y1, x0:x1] = np.round(mixed).astype(np.uint8)


def _margin(canvas: Canvas) -> NDArray[np.float64]:
    return np.array(canvas.offset) + MARGIN_UNITS


def draw_mist(canvas: Canvas, at: Any, turn_rad: float, strength: float) -> None:
    """The spray in front of a nozzle."""
    nozzle = TOOL_LENGTH[Verb.SPRAY]
    for reach, radius in ((3.0, 3.5), (8.0, 6.0)):
        middle = placed([(nozzle + reach, 0.0)], at, turn_rad)[0]
        blend(canvas, middle, (radius, radius), (245, 242, 240), 0.35 * strength)
