"""A picture that takes lengths in units and paints with anti-aliased, sub-pixel precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.evaluation.generated.procedure import HEIGHT_UNITS, WIDTH_UNITS, Colour, Point

MARGIN_UNITS = 28.0
"""Bench beyond the picture on every side: room for shift, shake, zoom and rotation."""
_FRACTION_BITS = 4

Mapped = NDArray[np.int32]
Points = Sequence[Any] | NDArray[Any]


class Canvas:
    """pixels: (h, w, 3) or (h, w) uint8, painted in place; a (h, w) canvas takes silhouettes.

    px_per_unit: its scale. offset: units that everything painted is moved by. Points are (n, 2)
    in units, or what `mapped` made of them.
    """

    __slots__ = ("_origin", "_scale", "is_mask", "offset", "pixels", "px_per_unit")

    def __init__(
        self, pixels: NDArray[np.uint8], px_per_unit: float, offset: Point = (0.0, 0.0)
    ) -> None:
        self.pixels = pixels
        self.px_per_unit = px_per_unit
        self.offset = offset
        self.is_mask = pixels.ndim == 2
        self._scale = px_per_unit * (1 << _FRACTION_BITS)
        # + 0.5: the cast to int below then rounds.
        self._origin = (np.array(offset) + MARGIN_UNITS) * self._scale + 0.5

    def mapped(self, points: Points) -> Mapped:
        """(n, 2) int32, the points in this canvas's finest steps."""
        if isinstance(points, np.ndarray) and points.dtype == np.int32:
            return points
        steps: Mapped = (np.asarray(points, np.float64) * self._scale + self._origin).astype(
            np.int32
        )
        return steps

    def fill(self, points: Points, colour: Colour) -> None:
        """A filled polygon."""
        cv2.fillPoly(
            self.pixels, [self.mapped(points)], self._ink(colour), cv2.LINE_AA, _FRACTION_BITS
        )

    def line(self, points: Points, colour: Colour, width: float, closed: bool = False) -> None:
        """A polyline with round ends; width in units, at least one pixel."""
        cv2.polylines(
            self.pixels,
            [self.mapped(points)],
            closed,
            self._ink(colour),
            max(1, round(width * self.px_per_unit)),
            cv2.LINE_AA,
            _FRACTION_BITS,
        )

    def oval(
        self, at: Points, radii: Point, turn_rad: float, colour: Colour, width: float = 0
    ) -> None:
        """An ellipse around one point, filled, or a ring of `width` units."""
        x, y = self.mapped(at)
        wide, high = (max(1, int(radius * self._scale)) for radius in radii)
        cv2.ellipse(
            self.pixels,
            (int(x), int(y)),
            (wide, high),
            float(np.degrees(turn_rad)),
            0.0,
            360.0,
            self._ink(colour),
            -1 if width <= 0 else max(1, round(width * self.px_per_unit)),
            cv2.LINE_AA,
            _FRACTION_BITS,
        )

    def _ink(self, colour: Colour) -> Colour:
        return (255.0, 255.0, 255.0) if self.is_mask else colour


def canvas_size_px(px_per_unit: float) -> tuple[int, int]:
    """(height, width) in pixels of a canvas that holds the bench with its margin."""
    height = round((HEIGHT_UNITS + 2 * MARGIN_UNITS) * px_per_unit)
    return height, round((WIDTH_UNITS + 2 * MARGIN_UNITS) * px_per_unit)


def new_mask(px_per_unit: float, offset: Point) -> Canvas:
    """An empty shadow mask; everything painted on it is moved by `offset` units."""
    return Canvas(np.zeros(canvas_size_px(px_per_unit), np.uint8), px_per_unit, offset)


def cast_shadow(target: NDArray[np.uint8], mask: Canvas, softness: float, depth: float) -> None:
    """Darken (h, w, 3) uint8 `target` in place by a blurred mask; depth 0-1 at full cover."""
    sigma = softness * mask.px_per_unit
    soft = cv2.GaussianBlur(mask.pixels, (0, 0), sigma)
    light = cv2.LUT(soft, np.round(255 - depth * np.arange(256)).astype(np.uint8))
    light = cv2.resize(light, (target.shape[1], target.shape[0]), interpolation=cv2.INTER_LINEAR)
    cv2.multiply(target, cv2.merge([light, light, light]), dst=target, scale=1 / 255)


def tone(colour: Colour, factor: float) -> Colour:
    """A colour made darker (< 1) or lighter (> 1), within 0-255."""
    blue, green, red = (min(255.0, max(0.0, channel * factor)) for channel in colour)
    return blue, green, red


def placed(
    points: Sequence[Point] | NDArray[np.float64], at: Any, turn_rad: float, size: float = 1.0
) -> NDArray[np.float64]:
    """Points of a shape around the origin, scaled, turned and moved; (n, 2)."""
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    turned = np.asarray(points, np.float64) @ np.array([[cos, sin], [-sin, cos]]) * size
    result: NDArray[np.float64] = turned + np.asarray(at, np.float64)
    return result
