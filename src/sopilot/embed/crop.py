"""The close view: what is seen and how it moves in a square around the centre of activity."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.embed.framing import AS_SEEN, Framing
from sopilot.embed.hog import EDGE_LENGTH, FLOW_LENGTH, edge_histogram, flow_histogram
from sopilot.embed.pictures import grey_of, lab_of, shrunk
from sopilot.media.middle import median

CROP_RATIO: Final = 0.78  # side of the square, share of the picture's shorter side
_SIDE: Final = 64
_FLOW_SIDE: Final = 32
TONE_SIDE: Final = 24
FOREGROUND_SIDE: Final = 12
COLOUR_SIDE: Final = 4
FOREGROUND_LENGTH: Final = FOREGROUND_SIDE**2
COLOUR_LENGTH: Final = COLOUR_SIDE**2 * 3
SEEN_LENGTH: Final = EDGE_LENGTH + FLOW_LENGTH + COLOUR_LENGTH
CROP_LENGTH: Final = SEEN_LENGTH + FOREGROUND_LENGTH
TONE_STEPS: Final = 64  # stored tone steps per unit
_TONE_WEIGHTS: Final = np.array([-0.12, 0.6, 0.6], np.float32)  # of L, a, b: warm and dark
_COLOUR_UNIT: Final = 30.0


def tone_of(lab: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(...) float32 how much redder, yellower and darker a Lab pixel (..., 3) is than black.

    Skin and gloves stand out of the scene's median tone. Source: docs/scoring.md 1.
    """
    tone: NDArray[np.float32] = lab.astype(np.float32) @ _TONE_WEIGHTS
    return tone


def tone_level(sample: NDArray[np.uint8]) -> float:
    """The tone that divides foreground from scene in (n, h, w, 3) Lab pictures of one video.

    Otsu's threshold over the tone relative to the scene's median colour.
    """
    scene = float(tone_of(median(sample.reshape(-1, 3)).astype(np.uint8)))
    scaled = np.clip((tone_of(sample) - scene) * 4 + 64, 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    return scene + (float(level) - 64) / 4


def seen_in_crop(
    picture: NDArray[np.uint8],
    flow: NDArray[np.float32],
    centre: tuple[float, float],
    framing: Framing = AS_SEEN,
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """(SEEN_LENGTH,) edges, movement and colours of the square around `centre` (x, y in pixels)
    of an (h, w, 3) bgr picture, and its tone map (TONE_SIDE, TONE_SIDE) in 1 / TONE_STEPS."""
    side = CROP_RATIO * min(picture.shape[:2])
    at = (centre[0] + framing.right_ratio * side, centre[1] + framing.down_ratio * side)
    square = _cut(picture, at, side, _SIDE, framing)
    moved = _cut(flow, at, side, _FLOW_SIDE, framing)
    if framing != AS_SEEN:
        moved = moved @ framing.matrix.T.astype(np.float32)
    lab = lab_of(square)
    colours = shrunk(lab, COLOUR_SIDE, COLOUR_SIDE)
    seen = np.concatenate(
        [
            edge_histogram(grey_of(square)),
            flow_histogram(moved),
            (colours.astype(np.float32).ravel() - 128) / _COLOUR_UNIT,
        ]
    )
    return seen, np.rint(tone_of(shrunk(lab, TONE_SIDE, TONE_SIDE)) * TONE_STEPS).astype(np.int16)


def foreground(tones: NDArray[np.int16], level: float) -> NDArray[np.float32]:
    """(n, FOREGROUND_LENGTH) soft foreground share per place, 0-1, of (n, s, s) tone maps."""
    above = np.clip(tones.astype(np.float32) / TONE_STEPS - level, -12, 12)
    soft = 1 / (1 + np.exp(-above))
    part = TONE_SIDE // FOREGROUND_SIDE
    cells = soft.reshape(-1, FOREGROUND_SIDE, part, FOREGROUND_SIDE, part)
    means: NDArray[np.float32] = cells.mean(axis=(2, 4))
    return means.reshape(-1, FOREGROUND_LENGTH)


def _cut(
    picture: NDArray[Any],
    centre: tuple[float, float],
    side_px: float,
    out_px: int,
    framing: Framing,
) -> NDArray[Any]:
    move = np.empty((2, 3))
    move[:, :2] = framing.matrix * (out_px / side_px)
    move[:, 2] = out_px / 2 - 0.5 - move[:, :2] @ (np.array(centre) - 0.5)
    size = (out_px, out_px)
    cut: NDArray[Any] = cv2.warpAffine(
        picture, move.astype(np.float32), size, borderMode=cv2.BORDER_REPLICATE
    )
    return cut
