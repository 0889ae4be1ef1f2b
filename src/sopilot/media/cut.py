"""A short video cut from a longer one: the frames of a span, their times counted from its start.

A consumer of `decode.run_span`; what it gets is masked already.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import VideoInfo
from sopilot.core.timespan import TimeSpan
from sopilot.media.masked import MaskedCopy


class CutClip:
    """Writes the frames within a span as `MaskedCopy` writes a whole video."""

    pixel_format: Literal["bgr24"] = "bgr24"
    rate_fps = None

    def __init__(self, path: Path, info: VideoInfo, span: TimeSpan) -> None:
        self._copy = MaskedCopy(path, info)
        self._span = span
        self.frame_count = 0

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """As the masked copy's."""
        return self._copy.size_px(info)

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """One bgr picture; what was shown before the span began counts from its start."""
        shown_sec = max(0.0, time_sec - self._span.start_sec)
        self._copy.take(shown_sec, picture)
        self.frame_count += 1

    def close(self) -> None:
        """Finish the file."""
        self._copy.close()
