"""Overlapping clip windows over frame times; used by `embed` to cut a video into clips.

Cut by presentation time, never by frame count, so the same content at another frame rate gives
the same clips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    # A last hop shorter than a thousandth would repeat the window before it.
    count = int(np.floor(last_start_sec / hop_sec + 1e-9)) + 1
    starts = np.arange(count) * hop_sec
    if last_start_sec - starts[-1] > 1e-3 * hop_sec:
        starts = np.append(starts, last_start_sec)
    ends = np.minimum(starts + window_sec, duration_sec)
    ends[-1] = duration_sec  # also where the last hop was left out
    return np.stack([starts, ends], axis=1)


def clip_windows(
    times_sec: ArrayLike, window_sec: float, hop_sec: float, duration_sec: float | None = None
) -> list[range]:
    """Index ranges of the frames inside each clip window, in order.

    times_sec: (n,) ascending, first >= 0. duration_sec: end of the last frame; None = last time
    plus the last frame distance. A window without a frame (a gap in a variable-rate video) gets
    the frame shown at its start. Raises InputError for no times or times that step back.
    """
    times = np.asarray(times_sec, dtype=np.float64)
    if times.ndim != 1 or len(times) == 0 or bool(np.any(np.diff(times) < 0)):
        raise InputError(
            f"clip windows need ascending frame times, got {len(times)}; decode the video again"
        )
    if duration_sec is None:
        duration_sec = float(times[-1] + (times[-1] - times[-2] if len(times) > 1 else window_sec))
    spans = clip_spans(duration_sec, window_sec, hop_sec)
    # Half a millisecond absorbs the rounding of container time stamps.
    starts = np.searchsorted(times, spans[:, 0] - 5e-4, side="left")
    ends = np.searchsorted(times, spans[:, 1] - 5e-4, side="left")
    windows = []
    for first, last in zip(starts, ends, strict=True):
        if last > first:
            windows.append(range(int(first), int(last)))
        else:
            shown = max(0, int(first) - 1)
            windows.append(range(shown, shown + 1))
    return windows
