"""Small clips with known content, written by the shipped encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import Limits, VideoInfo
from sopilot.media.encode import VideoWriter

LIMITS = Limits(max_pixels=3840 * 2160, max_duration_sec=600.0, min_duration_sec=0.0)
Picture = NDArray[np.uint8]


def corner_picture(width_px: int, height_px: int, level: int = 0) -> Picture:
    """Blue left half, red grows with level, white upper left corner."""
    picture = np.full((height_px, width_px, 3), 30, np.uint8)
    picture[:, : width_px // 2, 0] = 200
    picture[:, :, 2] = min(255, level)
    picture[: height_px // 4, : width_px // 4] = 255
    return picture


def texture(width_px: int, height_px: int, seed: int = 0) -> Picture:
    """A photo-like texture: smooth and fine detail over the whole picture."""
    rng = np.random.default_rng(seed)
    total = np.full((height_px, width_px, 3), 118.0, np.float32)
    for cell_px, gain in ((2, 12.0), (6, 22.0), (24, 30.0), (80, 25.0)):
        grid = rng.normal(size=(height_px // cell_px + 3, width_px // cell_px + 3, 3))
        total += gain * cv2.resize(grid.astype(np.float32), (width_px, height_px))
    return np.clip(total, 0, 255).astype(np.uint8)


def ramp(width_px: int, height_px: int, count: int) -> Iterator[Picture]:
    """Frames whose red level tells their index: level = 5 x index."""
    for index in range(count):
        yield corner_picture(width_px, height_px, 5 * index)


def write_clip(
    path: Path,
    frames: Iterator[Picture] | Sequence[Picture] | None = None,
    times_sec: Sequence[float] | None = None,
    size_px: tuple[int, int] = (160, 96),
    fps: float = 10.0,
    count: int = 40,
    **options: Any,
) -> Path:
    """One file; 4 s of `ramp` unless frames are given."""
    with VideoWriter(path, size_px, fps=fps, **options) as writer:
        for index, picture in enumerate(frames or ramp(*size_px, count)):
            writer.write(picture, None if times_sec is None else times_sec[index])
    return path


class Keep:
    """A consumer that keeps copies of all it gets."""

    def __init__(
        self,
        rate_fps: float | None = None,
        size_px: tuple[int, int] | None = None,
        pixel_format: Any = "bgr24",
        look: Callable[[Picture], Any] = np.copy,
    ) -> None:
        self.rate_fps = rate_fps
        self.pixel_format = pixel_format
        self._size_px = size_px
        self._look = look
        self.times_sec: list[float] = []
        self.pictures: list[Any] = []

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        return self._size_px or (info.width_px, info.height_px)

    def take(self, time_sec: float, picture: Picture) -> None:
        self.times_sec.append(time_sec)
        self.pictures.append(self._look(picture))
