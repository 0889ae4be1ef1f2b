"""The temporal character of the movement: how fast its amount and its centre swing."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sopilot.embed.layout import SMALL_SIZE

BANDS_HZ: Final = ((0.3, 0.8), (0.8, 1.6), (1.6, 2.6), (2.6, 5.1))
RHYTHM_LENGTH: Final = 3 * len(BANDS_HZ) + 3
_POINTS: Final = 32


def motion_track(motion: NDArray[np.float32]) -> tuple[float, float, float]:
    """Centre x, y (0-1) and mean (0-1) of one (36, 64) map of movement."""
    width, height = SMALL_SIZE
    columns, rows = motion.sum(axis=0), motion.sum(axis=1)
    # Half a pixel of movement in the middle: a still picture has its centre there.
    total = float(columns.sum()) + 0.5
    x = (float(columns @ (np.arange(width) + 0.5)) / width + 0.25) / total
    y = (float(rows @ (np.arange(height) + 0.5)) / height + 0.25) / total
    return x, y, float(motion.mean())


def rhythm_of(track: NDArray[np.float64], frame_rate_fps: float) -> NDArray[np.float64]:
    """(RHYTHM_LENGTH,) of a (k, 3) motion track: log energy of x, y and amount per frequency
    band, spread of x and y, log of the mean amount."""
    swings = (track - track.mean(axis=0)) * np.hanning(len(track))[:, None]
    power = np.abs(np.fft.rfft(swings, max(_POINTS, len(track)), axis=0)) ** 2
    frequency = np.fft.rfftfreq(max(_POINTS, len(track)), 1 / frame_rate_fps)
    bands = [
        np.log(1e-6 + power[(frequency >= low) & (frequency < high)].sum(axis=0))
        for low, high in BANDS_HZ
    ]
    spread = track[:, :2].std(axis=0) * 30
    amount = np.log(1e-4 + track[:, 2].mean())
    return np.concatenate([np.stack(bands, axis=1).ravel(), spread, [amount]]) / 4
