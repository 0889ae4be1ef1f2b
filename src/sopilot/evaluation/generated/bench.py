"""The still part of a film: bench, product, trays and clutter with their soft shadows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.evaluation.generated.canvas import (
    MARGIN_UNITS,
    Canvas,
    canvas_size_px,
    cast_shadow,
    new_mask,
    placed,
    tone,
)
from sopilot.evaluation.generated.items import draw_item
from sopilot.evaluation.generated.procedure import (
    HEIGHT_UNITS,
    WIDTH_UNITS,
    Colour,
    Point,
    Procedure,
    Verb,
    from_hsv,
)

Picture = NDArray[np.uint8]

BODY = (98.0, 44.0, 222.0, 126.0)
"""The product's housing: left, top, right, bottom."""
TRAY: Point = (25.0, 16.0)


def paint_bench(procedure: Procedure, px_per_unit: float) -> Picture:
    """Everything that never moves, clutter left out; (h, w, 3) uint8 of the canvas size."""
    rng = np.random.default_rng([procedure.seed, 12])
    pixels = _surface(rng, procedure.bench, px_per_unit)
    canvas = Canvas(pixels, px_per_unit)
    shadow = new_mask(px_per_unit, (3.0, 4.0))
    for target in (shadow, None):
        if target is None:
            cast_shadow(pixels, shadow, 2.2, 0.45)
        painted = target or canvas
        for slot in procedure.slots:
            _tray(painted, slot.at)
        _housing(painted, procedure, np.random.default_rng([procedure.seed, 13]))
    return pixels


def add_clutter(pixels: Picture, px_per_unit: float, count: int, seed: int) -> None:
    """Put `count` things that belong to nothing on the bench's edge, in place."""
    canvas = Canvas(pixels, px_per_unit)
    for index in range(count):
        shadow = new_mask(px_per_unit, (2.5, 3.5))
        for target in (shadow, canvas):
            _thing(target, np.random.default_rng([seed, index]))
            if target is shadow:
                cast_shadow(pixels, shadow, 2.0, 0.4)


def add_items(
    pixels: Picture,
    procedure: Procedure,
    px_per_unit: float,
    taken: tuple[int, ...],
    held: int | None,
) -> None:
    """Put the items that lie in their trays there, in place; parts lie in threes."""
    canvas = Canvas(pixels, px_per_unit)
    shadow = new_mask(px_per_unit, (1.5, 2.0))
    for target in (shadow, canvas):
        for index, slot in enumerate(procedure.slots):
            if slot.made_for is Verb.PLACE:
                places = ((-14.0, -4.0), (-1.0, 3.0), (10.0, -4.0))
                for place in places[min(len(places), taken.count(index)) :]:
                    draw_item(target, slot, np.add(slot.at, place) - (4, 0), slot.angle_rad, 0.9)
            elif index != held and index not in taken:
                start = placed([(-6.0, 0.0)], slot.at, slot.angle_rad)[0]
                draw_item(target, slot, start, slot.angle_rad)
        if target is shadow:
            cast_shadow(pixels, shadow, 1.2, 0.45)


def _surface(rng: np.random.Generator, bench: int, px_per_unit: float) -> Picture:
    """Wood, brushed steel or a cutting mat, with light that falls off to the corners."""
    height, width = canvas_size_px(px_per_unit)
    base, stretch, amount = (
        (from_hsv(rng.uniform(10, 20), 90, 165), (1.5, 40.0), 9.0),
        (from_hsv(rng.uniform(95, 115), 18, 150), (0.8, 60.0), 6.0),
        (from_hsv(rng.uniform(70, 112), 75, 112), (3.0, 3.0), 4.0),
    )[bench]
    picture = np.zeros((height, width, 3), np.float32) + np.array(base, np.float32)
    for scale in (1.0, 3.0, 9.0):
        rows = max(2, int(height / (stretch[0] * scale * px_per_unit)))
        columns = max(2, int(width / (stretch[1] * scale * px_per_unit)))
        grain = rng.normal(0, amount, (rows, columns)).astype(np.float32)
        picture += cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    lamp = rng.uniform(0.3, 0.7, 2)
    far = np.hypot(xs / width - lamp[0], (ys / height - lamp[1]) * 0.7)
    picture *= (1.12 - 0.42 * far)[..., None]
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    canvas = Canvas(pixels, px_per_unit)
    spacing = 20.0 if bench == 2 else 64.0
    ink = tone(base, 1.25 if bench == 2 else 0.72)
    right, bottom = WIDTH_UNITS + MARGIN_UNITS, HEIGHT_UNITS + MARGIN_UNITS
    for x in np.arange(-20.0, right, spacing) if bench == 2 else ():
        canvas.line([(x, -MARGIN_UNITS), (x, bottom)], ink, 0.5)
    for y in np.arange(-12.0, bottom, spacing) if bench != 1 else ():
        canvas.line([(-MARGIN_UNITS, y), (right, y)], ink, 0.5)
    return pixels


def _box(
    canvas: Canvas, left: float, top: float, right: float, bottom: float, colour: Colour
) -> None:
    """A rectangle with rounded corners."""
    r = min(4.0, (right - left) / 4, (bottom - top) / 4)
    inner = [
        (left + r, top + r),
        (right - r, top + r),
        (right - r, bottom - r),
        (left + r, bottom - r),
    ]
    canvas.fill(inner, colour)
    canvas.line([*inner, inner[0]], colour, 2 * r)


def _tray(canvas: Canvas, at: Point) -> None:
    wide, high = TRAY
    x, y = at
    _box(canvas, x - wide, y - high, x + wide, y + high, (104, 102, 100))
    _box(canvas, x - wide + 1.5, y - high + 1.5, x + wide - 1.5, y + high - 1.5, (66, 64, 64))
    _box(canvas, x - wide + 3, y - high + 4, x + wide - 2.5, y + high - 2.5, (82, 80, 79))


def _housing(canvas: Canvas, procedure: Procedure, rng: np.random.Generator) -> None:
    left, top, right, bottom = BODY
    colour = procedure.product_colour
    _box(canvas, left - 2.5, top - 2.5, right + 2.5, bottom + 2.5, tone(colour, 0.55))
    _box(canvas, left, top, right, bottom, colour)
    canvas.line([(left + 3, top + 1.2), (right - 3, top + 1.2)], tone(colour, 1.3), 1.2)
    _box(canvas, left + 7, top + 7, right - 7, bottom - 7, tone(colour, 0.86))
    for x, y in (
        (left + 4, top + 4),
        (right - 4, top + 4),
        (left + 4, bottom - 4),
        (right - 4, bottom - 4),
    ):
        canvas.oval((x, y), (2.2, 2.2), 0, tone(colour, 0.45))
        canvas.oval((x - 0.3, y - 0.3), (1.4, 1.4), 0, (176, 174, 170))
    for _ in range(7):
        x, y = rng.uniform(left + 10, right - 30), rng.uniform(top + 9, bottom - 18)
        shade = tone(colour, float(rng.choice([0.6, 0.72, 1.18])))
        _box(canvas, x, y, x + rng.uniform(8, 24), y + rng.uniform(4, 10), shade)
    for pipe in range(2):
        y = top + 24 + 34 * pipe + rng.uniform(-4, 4)
        canvas.line([(left + 9, y), (right - 9, y + rng.uniform(-5, 5))], tone(colour, 0.62), 2.0)
    for spot in procedure.spots:
        canvas.oval(spot.at, (9.5, 8.0), 0, tone(colour, 0.58))
        canvas.oval(spot.at, (8.3, 6.8), 0, tone(colour, float(rng.uniform(0.75, 1.2))))
        canvas.oval(spot.at, (4.2, 3.6), 0, tone(colour, 0.5), 0.8)


def _thing(canvas: Canvas, rng: np.random.Generator) -> None:
    """A mug, a pen, a note or a box, somewhere at the edge where nobody works."""
    corner = (
        (rng.uniform(-8, 320), -6.0),
        (4.0, rng.uniform(128, 178)),
        (316.0, rng.uniform(128, 178)),
    )
    at = np.array(corner[int(rng.integers(0, 3))])
    colour = from_hsv(rng.uniform(0, 180), rng.uniform(30, 190), rng.uniform(60, 220))
    turn, kind = float(rng.uniform(0, 3.1)), int(rng.integers(0, 4))
    if kind == 0:
        canvas.oval(at, (11, 11), 0, colour)
        canvas.oval(at, (9, 9), 0, tone(colour, 0.55))
        canvas.oval(at, (8, 8), 0, (28, 42, 60))
    elif kind == 1:
        canvas.line(placed([(-16, 0), (14, 0)], at, turn), colour, 2.6)
        canvas.line(placed([(14, 0), (17, 0)], at, turn), (40, 40, 40), 1.4)
    else:
        wide, high = rng.uniform(10, 20), rng.uniform(7, 13)
        pale = (228, 232, 234) if kind == 2 else colour
        corners = [(-wide, -high), (wide, -high), (wide, high), (-wide, high)]
        canvas.fill(placed(corners, at, turn), pale)
        for row in (-0.5, 0.0, 0.5):
            canvas.line(
                placed([(-wide * 0.7, high * row), (wide * 0.6, high * row)], at, turn),
                tone(pale, 0.7),
                0.6,
            )
