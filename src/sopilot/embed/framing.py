"""Other ways to cut the close view out of the same picture: moved, turned, closer or wider.

A centre of activity is never quite the same twice. Reading a trainee in a few framings averages
that out; a gold is learned in more and stronger ones. They cost little, since the movement is
computed once. Source: docs/scoring.md 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

READ_COUNT: Final = 2
"""The first so many framings are mild and are taken of every video; golds get all."""
STRENGTHS: Final = ((0.06, 5.0, 0.06), (0.07, 12.0, 0.14), (0.07, 12.0, 0.14), (0.11, 25.0, 0.28))
"""Largest shift (share of the square's side), turn in degrees, and logarithm of the zoom, of each
pair of framings."""
_SEED: Final = 77
FINGERPRINT: Final = f"{STRENGTHS},{_SEED}"


@dataclass(frozen=True, slots=True)
class Framing:
    """How a square is cut: shift as share of its side, turn, and zoom (> 0 = closer)."""

    right_ratio: float = 0.0
    down_ratio: float = 0.0
    turn_deg: float = 0.0
    log_zoom: float = 0.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 2) rotation times zoom, from picture to square."""
        angle = np.deg2rad(self.turn_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.asarray(np.exp(self.log_zoom) * turn)


AS_SEEN: Final = Framing()


def draw_framings() -> tuple[Framing, ...]:
    """The framings beside `AS_SEEN`, the same at every call; two of a pair are opposites."""
    rng = np.random.default_rng(_SEED)
    framings: list[Framing] = []
    for shift, turn, zoom in STRENGTHS:
        drawn = rng.choice([-1.0, 1.0], 4) * rng.uniform(0.5, 1.0, 4)
        values = (drawn * np.array([shift, shift, turn, zoom])).tolist()
        framings += [Framing(*values), Framing(*(-value for value in values))]
    return tuple(framings)
