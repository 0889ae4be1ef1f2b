"""The wide view: where in the camera's picture something stands that is not background, and where
something moves, on a coarse grid."""

from __future__ import annotations

from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.embed.pictures import lab_of, shrunk
from sopilot.media.middle import median

COLUMNS: Final = 16
ROWS: Final = 9
CELLS: Final = COLUMNS * ROWS
SMALL_SIZE: Final = (64, 36)  # width, height of the pictures that are compared
LAYOUT_LENGTH: Final = 3 * CELLS
_BLUR: Final = 0.8  # of a cell; forgives small shifts of camera and hand


def small_lab(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(36, 64, 3) Lab version of a bgr picture."""
    return lab_of(shrunk(picture, *SMALL_SIZE))


def background_of(sample: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(36, 64, 3) temporal median of (n, 36, 64, 3) pictures: what moves is gone."""
    return median(sample).astype(np.uint8)


def motion_map(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(36, 64) share of movement, 0-1, between two small Lab pictures."""
    change = cv2.absdiff(before, after).sum(axis=2, dtype=np.float32)
    share: NDArray[np.float32] = np.clip((change - 8) / 40, 0, 1)
    return share


def motion_cells(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """(CELLS,) mean movement per grid cell."""
    return shrunk(motion, COLUMNS, ROWS).ravel()


def occupancy(labs: NDArray[np.uint8], background: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, CELLS) share, 0-1, of each cell that differs from the background."""
    weights = np.array([0.7, 1.0, 1.0], np.float32)
    difference = np.abs(labs.astype(np.float32) - background) @ weights
    share = np.clip((difference - 12) / 30, 0, 1)
    width, height = SMALL_SIZE
    cells = share.reshape(-1, ROWS, height // ROWS, COLUMNS, width // COLUMNS)
    means: NDArray[np.float32] = cells.mean(axis=(2, 4))
    return means.reshape(-1, CELLS)


def layout_of(occupied: NDArray[np.float32], motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, LAYOUT_LENGTH) of windows (n, rows, CELLS): root of the mean occupancy, its spread in
    time, root of the mean movement; each blurred on the grid."""
    parts = [np.sqrt(occupied.mean(axis=1)), occupied.std(axis=1), np.sqrt(motion.mean(axis=1))]
    return np.concatenate([part @ _grid_blur() for part in parts], axis=1)


def moved(rows: NDArray[np.float32], right_cells: float, down_cells: float) -> NDArray[np.float32]:
    """(n, LAYOUT_LENGTH) as a camera sees it that is turned by so many cells; edges repeat."""
    across = _line_shift(COLUMNS, right_cells)
    along = _line_shift(ROWS, down_cells)
    maps = rows.reshape(-1, ROWS, COLUMNS)
    return np.asarray(along @ maps @ across.T, np.float32).reshape(len(rows), -1)


def _line_shift(count: int, cells: float) -> NDArray[np.float32]:
    """(count, count) matrix that moves a line of cells, linear in between."""
    places = np.clip(np.arange(count) - cells, 0, count - 1)
    lower = np.minimum(places.astype(np.int64), count - 2)
    share = (places - lower).astype(np.float32)
    matrix = np.zeros((count, count), np.float32)
    matrix[np.arange(count), lower] = 1 - share
    matrix[np.arange(count), lower + 1] += share
    return matrix


@cache
def _grid_blur() -> NDArray[np.float32]:
    """(CELLS, CELLS) matrix of the Gaussian blur of one grid."""
    cells = np.eye(CELLS, dtype=np.float32).reshape(CELLS, ROWS, COLUMNS)
    blurred = [cv2.GaussianBlur(cell, (0, 0), _BLUR).ravel() for cell in cells]
    return np.stack(blurred)
