"""Synthetic re-recordings of a gold: the same execution as another camera placement, light and
sensor would have shown it. They teach the step model what must not matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

ROTATION_DEG: Final = 4.0
LOG_SCALE: Final = 0.07
SHIFT_RATIO: Final = 8 / 320  # of the picture width
LOG_GAIN: Final = 0.18
LOG_WHITE_BALANCE: Final = 0.06
LOG_GAMMA: Final = 0.14
NOISE_LEVELS: Final = (1.0, 3.0)  # grey levels, standard deviation
_NOISE_PICTURES: Final = 4
_SEED: Final = 20260
FINGERPRINT: Final = (
    f"{ROTATION_DEG},{LOG_SCALE},{SHIFT_RATIO},{LOG_GAIN},{LOG_WHITE_BALANCE},{LOG_GAMMA},"
    f"{NOISE_LEVELS},{_SEED}"
)


@dataclass(frozen=True, slots=True, eq=False)
class Rerecording:
    """A fixed change of every frame: warp (2, 3) float32, colours (1, 256, 3) uint8 look-up,
    noise (k, h, w, 3) int16, used in turn."""

    warp: NDArray[np.float32]
    colours: NDArray[np.uint8]
    noise: NDArray[np.int16]

    def show(self, picture: NDArray[np.uint8], frame_index: int) -> NDArray[np.uint8]:
        """The (h, w, 3) picture as this recording has it, a new array."""
        size = (picture.shape[1], picture.shape[0])
        moved = cv2.warpAffine(picture, self.warp, size, borderMode=cv2.BORDER_REPLICATE)
        lit = cv2.LUT(moved, self.colours)
        noise = self.noise[frame_index % len(self.noise)]
        return np.asarray(cv2.add(lit, noise, dtype=cv2.CV_8U), np.uint8)


def draw_rerecording(number: int, width_px: int, height_px: int) -> Rerecording:
    """Re-recording `number` (1, 2, ...) for pictures of this size; the same at every call.

    Numbers 2k-1 and 2k share one draw with opposite signs, so that few of them surround the
    original instead of lying on one side of it.
    """
    rng = np.random.default_rng([_SEED, (number + 1) // 2])
    sign = 1.0 if number % 2 else -1.0
    # Away from zero: a change that is hardly one teaches nothing.
    strength = sign * rng.choice([-1.0, 1.0], 9) * rng.uniform(0.4, 1.0, 9)
    centre = (width_px / 2, height_px / 2)
    scale = float(np.exp(LOG_SCALE * strength[1]))
    turn = cv2.getRotationMatrix2D(centre, ROTATION_DEG * float(strength[0]), scale)
    warp = np.asarray(turn, np.float64)
    warp[:, 2] += SHIFT_RATIO * width_px * strength[2:4]
    gains = np.exp(LOG_GAIN * strength[4] + LOG_WHITE_BALANCE * strength[5:8])
    levels = np.arange(256)[:, None] * gains / 255
    curve = 255 * np.clip(levels, 0, 1) ** np.exp(LOG_GAMMA * strength[8])
    amount = rng.uniform(*NOISE_LEVELS)
    noise = rng.normal(0, amount, (_NOISE_PICTURES, height_px, width_px, 3))
    return Rerecording(
        warp=warp.astype(np.float32),
        colours=np.rint(curve).astype(np.uint8)[None],
        noise=np.rint(noise).astype(np.int16),
    )
