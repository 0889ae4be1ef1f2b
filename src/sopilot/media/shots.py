"""Hard cuts of a video, found on every frame of the one decode pass.

The content value of a frame is its mean HSV distance from the frame before (PySceneDetect's
content detector, threshold 27); a cut must also stand out from its neighbours, so that fast
motion is no cut (the adaptive detector there: ratio >= 3 to the mean of two frames on each side).
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import VideoInfo
from sopilot.core.timespan import TimeSpan
from sopilot.media.scaling import fit_size

CONTENT_THRESHOLD = 27.0
# A cut between similar pictures may stay below the threshold when all around is still.
_LEAST_CONTENT = 15.0
_ADAPTIVE_RATIO = 3.0
_WINDOW_FRAMES = 2
_MIN_SHOT_SEC = 0.5
_SIDE_PX = 64


class ShotMeter:
    """Consumer of a decode pass that finds the cuts; one per video. O(cuts) memory."""

    pixel_format: Literal["bgr24"] = "bgr24"
    rate_fps: None = None

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=2 * _WINDOW_FRAMES + 1)
        self._cuts_sec: list[float] = []

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """The upright size with the longer side at most 64 px."""
        return fit_size(info.width_px, info.height_px, _SIDE_PX)

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """One bgr picture."""
        now = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV), dtype=np.uint8)
        content = 0.0 if self._before is None else content_value(self._before, now)
        self._before = now
        self._recent.append((time_sec, content))
        if len(self._recent) == self._recent.maxlen:
            self._judge(_WINDOW_FRAMES)

    def finish(self, duration_sec: float) -> list[TimeSpan]:
        """The shots, ascending, covering [0, duration]; one shot where nothing was cut."""
        # The last frames have fewer neighbours behind them.
        first = _WINDOW_FRAMES if len(self._recent) == self._recent.maxlen else 0
        for index in range(first + 1, len(self._recent)):
            self._judge(index)
        edges = [0.0, *(cut for cut in self._cuts_sec if cut < duration_sec), duration_sec]
        return [TimeSpan(a, b) for a, b in pairwise(edges)]

    def _judge(self, index: int) -> None:
        time_sec, content = self._recent[index]
        if content < _LEAST_CONTENT:
            return
        around = [
            value
            for place, (_, value) in enumerate(self._recent)
            if place != index and abs(place - index) <= _WINDOW_FRAMES
        ]
        local = sum(around) / len(around) if around else 0.0
        stands_out = content >= _ADAPTIVE_RATIO * max(local, 1e-6)
        is_clear = content >= CONTENT_THRESHOLD or content >= 2 * _ADAPTIVE_RATIO * local
        last_sec = self._cuts_sec[-1] if self._cuts_sec else 0.0
        if stands_out and is_clear and time_sec - last_sec >= _MIN_SHOT_SEC:
            self._cuts_sec.append(time_sec)


def content_value(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> float:
    """Mean absolute distance 0-255 of two HSV pictures (h, w, 3), hue on its circle of 180."""
    difference = cv2.absdiff(before, now)
    hue = difference[..., 0]
    np.minimum(hue, 180 - hue, out=hue)
    return float(sum(cv2.mean(difference)[:3])) / 3.0
