"""The peers that the product must beat: colour-motion DTW, and duration alone.

Colour-motion is what the first demonstrator did: 12 numbers per clip of 4 s, of length one, cosine
distance, plain dynamic time warping. Neither reports deviations: an alarm is a good film that does
not pass.
"""

from __future__ import annotations

import io
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import VideoInfo

PASS_SCORE: Final = 60.0
RATE_FPS: Final = 4.0
CLIP_SEC: Final = 4.0
SIZE_PX: Final = (64, 36)
ROW_LENGTH: Final = 12

Rows = NDArray[np.float32]


class ColourRows:
    """A frame consumer that gives the 12 numbers of every clip."""

    rate_fps: float | None = RATE_FPS
    pixel_format: Literal["bgr24"] = "bgr24"

    def __init__(self) -> None:
        self._clips: list[Rows] = []
        self._frames: list[Rows] = []

    def size_px(self, _info: VideoInfo) -> tuple[int, int]:
        return SIZE_PX

    def take(self, _time_sec: float, picture: NDArray[np.uint8]) -> None:
        self._frames.append(picture.astype(np.float32) / 255.0)
        if len(self._frames) == round(CLIP_SEC * RATE_FPS):
            self._clips.append(describe(np.stack(self._frames)))
            self._frames = []

    def finish(self) -> bytes:
        """The rows (n, 12) as an npy file; a rest of a second or more is a clip of its own."""
        if len(self._frames) >= RATE_FPS:
            self._clips.append(describe(np.stack(self._frames)))
        rows = np.array(self._clips, np.float32).reshape(-1, ROW_LENGTH)
        target = io.BytesIO()
        np.save(target, rows)
        return target.getvalue()


def describe(frames: Rows) -> Rows:
    """(n, h, w, 3) frames 0-1, n >= 2 -> 12 numbers: means and deviations of the colours, mean,
    deviation and largest of the motion, slope, mean and deviation of the brightness."""
    colours = frames.reshape(-1, 3)
    brightness = frames.mean(axis=(1, 2, 3))
    motion = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    slope = np.polyfit(np.linspace(0.0, 1.0, len(brightness)), brightness, 1)[0]
    numbers = [
        *colours.mean(axis=0),
        *colours.std(axis=0),
        motion.mean(),
        motion.std(),
        motion.max(),
        slope,
        brightness.mean(),
        brightness.std(),
    ]
    return np.array(numbers, np.float32)


def colour_score(gold: Rows, trainee: Rows) -> float:
    """0-100: 100 x (1 - mean cosine distance along the cheapest path); 0 without a clip."""
    if not len(gold) or not len(trainee):
        return 0.0
    cost = 1.0 - _unit(gold) @ _unit(trainee).T
    return float(np.clip(100.0 * (1.0 - warping_cost(cost)), 0.0, 100.0))


def duration_score(gold_sec: float, trainee_sec: float) -> float:
    """0-100: the shorter duration as a percentage of the longer one."""
    longer = max(gold_sec, trainee_sec)
    return 100.0 * min(gold_sec, trainee_sec) / longer if longer > 0 else 0.0


def warping_cost(cost: NDArray[np.floating]) -> float:
    """Mean cost per cell of the cheapest monotone path through (n, m) costs.

    Moves: diagonal, up, left, each costs the cell it enters. Source: Sakoe & Chiba 1978.
    """
    n, m = cost.shape
    totals = np.full((n + 1, m + 1), np.inf)
    steps = np.zeros((n + 1, m + 1), np.int64)
    totals[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            before = min(
                ((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda cell: float(totals[cell])
            )
            totals[i, j] = totals[before] + cost[i - 1, j - 1]
            steps[i, j] = steps[before] + 1
    return float(totals[n, m] / steps[n, m])


def _unit(rows: Rows) -> Rows:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-9), np.float32)
