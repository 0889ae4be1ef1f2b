"""Where the trainee's camera stands beside the gold's: the layout moved until it fits best.

Called by `sop.model` when a video is read. Only whole moves of the grid are tried; a turned or a
much nearer camera is left to the layout's own confidence. Source: docs/scoring.md 2.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from sopilot.align.evidence import ClassView, place, unit_rows
from sopilot.embed.layout import COLUMNS, LAYOUT_LENGTH, moved

LAYOUT = "layout"
REACH_CELLS = 2.0
STEP_CELLS = 0.5
LEAST_GAIN, LEAST_FIT = 0.03, 0.7
"""Confidence that a move must bring, so that a camera that did not move stays where it is, and
that it must reach, so that a layout that shows something else is not bent to fit."""

MIRROR_GAIN = 0.1
"""Confidence by which the mirrored layout must fit better than the video as it is."""

Rows = NDArray[np.float32]


Move = tuple[float, float]
STILL: Move = (0.0, 0.0)


def registered(name: str, view: ClassView, rows: Rows) -> tuple[Rows, Move]:
    """The rows (n, D) of a view, moved on the grid where that makes them likelier, and the move in
    cells (right, down).

    Other views, and layouts of another backend, are returned as they are.
    """
    if name != LAYOUT or rows.shape[1] != LAYOUT_LENGTH:
        return rows, STILL
    still = _confidence(view, rows)
    whole = _best(view, rows, _around(STILL, REACH_CELLS, 1.0))
    move = max(_best(view, rows, _around(whole[1], STEP_CELLS, STEP_CELLS)), whole)
    if move[0] < max(still + LEAST_GAIN, LEAST_FIT):
        return rows, STILL
    return moved(rows, *move[1]), move[1]


def is_mirrored(view: ClassView, rows: Rows) -> bool:
    """Whether the layout fits clearly better when left and right change places."""
    if rows.shape[1] != LAYOUT_LENGTH:
        return False
    turned = np.ascontiguousarray(rows.reshape(-1, COLUMNS)[:, ::-1]).reshape(rows.shape)
    fit = _confidence(view, turned)
    return fit >= LEAST_FIT and fit >= _confidence(view, rows) + MIRROR_GAIN


def _best(view: ClassView, rows: Rows, moves: Iterable[Move]) -> tuple[float, Move]:
    return max((_confidence(view, moved(rows, *move)), move) for move in moves)


def _around(middle: Move, reach: float, step: float) -> list[Move]:
    offsets = np.arange(-reach, reach + step / 2, step).tolist()
    return [(middle[0] + right, middle[1] + down) for right in offsets for down in offsets]


def _confidence(view: ClassView, rows: Rows) -> float:
    """Median best cosine to any class, relative to the gold's own clips."""
    cosines = unit_rows(place(view, rows)) @ view.directions
    return float(np.median(cosines.max(axis=1))) / view.own_similarity
