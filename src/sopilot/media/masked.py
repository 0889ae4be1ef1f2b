"""The masked copy of a video, written while it is decoded for everything else.

A consumer of `decode.run_pass`: what it gets is masked already.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import VideoInfo
from sopilot.media.encode import VideoWriter
from sopilot.media.probe import DEFAULT_FPS
from sopilot.media.scaling import fit_size

_LONGER_SIDE_PX = 1920


class MaskedCopy:
    """Writes every frame as H.264 into an MP4 file without sound, at the original times.

    Pictures keep their size up to 1920 px on the longer side; sizes are even, as players need.
    """

    pixel_format: Literal["bgr24"] = "bgr24"
    rate_fps = None

    def __init__(self, path: Path, info: VideoInfo) -> None:
        fps = info.fps if 0 < info.fps <= 1000 else DEFAULT_FPS
        self._writer = VideoWriter(path, self.size_px(info), fps=fps)

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """The upright size, even."""
        width_px, height_px = fit_size(info.width_px, info.height_px, _LONGER_SIDE_PX)
        return max(2, width_px // 2 * 2), max(2, height_px // 2 * 2)

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """One bgr picture."""
        self._writer.write(picture, time_sec)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
