"""Overlapping clip windows over a duration; used by `embed` to cut a video into clips.

Cut by presentation time, never by frame count, so the same content at another frame rate gives
the same clips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError


def clip_spans(duration_sec: float, window_sec: float, hop_sec: float) -> NDArray[np.float64]:
    """Windows that cover [0, duration] : (n, 2) float64, start and end seconds, n >= 1.

    Windows start every hop_sec; the last one ends at the duration and keeps the full window
    length where the video is long enough; a shorter video gives one window [0, duration].
    Raises InputError unless duration > 0 and 0 < hop <= window.
    """
    if not (duration_sec > 0 and 0 < hop_sec <= window_sec):
        raise InputError(
            f"clips need duration > 0 and 0 < hop <= window, got duration {duration_sec} s, "
            f"hop {hop_sec} s, window {window_sec} s"
        )
    if duration_sec <= window_sec:
        return np.array([[0.0, duration_sec]])
    last_start_sec = duration_sec - window_sec
    # A rest below rounding is no hop of its own; any longer one is, or the last window would grow.
    count = int(np.floor(last_start_sec / hop_sec + 1e-9)) + 1
    starts = np.arange(count) * hop_sec
    if last_start_sec - starts[-1] > 1e-6 * hop_sec:
        starts = np.append(starts, last_start_sec)
    ends = np.minimum(starts + window_sec, duration_sec)
    ends[-1] = duration_sec  # also where the last hop was left out
    return np.stack([starts, ends], axis=1)
