"""The input of the decode and ingest benchmarks: a seeded 720p30 H.264 file, and longer copies.

As in the measurements behind the targets: scrolling photo-like textures, moving overlays, a zoom,
hard cuts, temporal sensor noise; x264 veryfast, crf 23, GOP 60, 2 B-frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.media.encode import VideoWriter

WIDTH_PX, HEIGHT_PX, FPS = 1280, 720, 30
CUT_FRAMES = (240, 390, 600, 900, 1200, 1350, 1500)
LENGTH_SEC = 60
SMALL_FPS, SMALL_LENGTH_SEC = 12, 40
_SEED = 20
_CANVAS_PX = (1440, 2560)
_NOISE_SIGMA = 6.0
_NOISE_COUNT = 6


def sample_720p(folder: Path) -> Path:
    """The 60 s file; made once per folder (about 50 CPU s)."""
    return _made(folder / "720p30-60s.mp4", (WIDTH_PX, HEIGHT_PX), FPS, LENGTH_SEC)


def small_sample(folder: Path) -> Path:
    """40 s at 320x180 and 12 fps, as from a cheap camera: the same scenes, scaled down."""
    return _made(folder / "180p12-40s.mp4", (320, 180), SMALL_FPS, SMALL_LENGTH_SEC)


def repeated(source: Path, count: int) -> Path:
    """The file `count` times in a row by stream copy, beside the source."""
    path = source.with_name(f"{source.stem}-x{count}.mp4")
    if not path.exists():
        _copy_streams([source] * count, path, title="")
    return path


def renamed(source: Path, target: Path, title: str) -> Path:
    """The same pictures in other bytes: a stream copy with this title in its metadata."""
    _copy_streams([source], target, title)
    return target


def _made(path: Path, size_px: tuple[int, int], fps: int, length_sec: int) -> Path:
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.part.mp4")
    scene = _Scene()
    with VideoWriter(part, size_px, fps=fps, options={"bf": "2"}) as writer:
        for index in range(fps * length_sec):
            picture = scene.picture(index * FPS // fps)
            if size_px != (WIDTH_PX, HEIGHT_PX):
                picture = np.asarray(
                    cv2.resize(picture, size_px, interpolation=cv2.INTER_AREA), np.uint8
                )
            writer.write(picture)
    part.rename(path)
    return path


def _copy_streams(sources: Sequence[Path], path: Path, title: str) -> None:
    part = path.with_name(f"{path.stem}.part.mp4")
    offset = Fraction(0)
    with av.open(str(part), "w") as target:
        target.metadata["title"] = title
        stream = None
        for source in sources:
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                base = video.time_base or Fraction(1, 90_000)
                shift = round(offset / base)
                for packet in container.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    target.mux(packet)
                offset += (video.duration or 0) * base
    part.rename(path)


class _Scene:
    """Pictures of the sample in order; holds the textures and the noise fields."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(_SEED)
        self._textures = [self._texture() for _ in range(len(CUT_FRAMES))]
        # The cut at frame 1200 shows the same photo again from another place.
        self._textures.insert(5, self._textures[4])
        shape = (HEIGHT_PX + 64, WIDTH_PX + 64, 3)
        self._noise = [
            np.rint(self._random.normal(0, _NOISE_SIGMA, shape)).astype(np.int16)
            for _ in range(_NOISE_COUNT)
        ]

    def picture(self, index: int) -> NDArray[np.uint8]:
        """(720, 1280, 3) uint8 bgr frame number index."""
        shot = int(np.searchsorted(CUT_FRAMES, index, side="right"))
        start = 0 if shot == 0 else CUT_FRAMES[shot - 1]
        view = self._zoom(shot, index - start) if shot == 3 else self._scroll(shot, index - start)
        self._overlays(view, shot, index)
        top, left = (int(value) for value in self._random.integers(0, 64, 2))
        noise = self._noise[index % _NOISE_COUNT]
        window = noise[top : top + HEIGHT_PX, left : left + WIDTH_PX]
        return np.clip(view.astype(np.int16) + window, 0, 255).astype(np.uint8)

    def _texture(self) -> NDArray[np.uint8]:
        """A picture with the 1/f spectrum of photographs and a few hard edges."""
        height_px, width_px = _CANVAS_PX
        total = np.zeros((height_px, width_px, 3), np.float32)
        for level in range(2, 11):
            size = (2**level * 16 // 9, 2**level)
            grid = self._random.normal(0, 1, (size[1], size[0], 3)).astype(np.float32)
            grid += 2 * grid.mean(axis=2, keepdims=True)
            total += cv2.resize(grid, (width_px, height_px), interpolation=cv2.INTER_CUBIC) * (
                24 / 2 ** (level / 2)
            )
        picture = np.clip(total + 120, 0, 255).astype(np.uint8)
        for _ in range(40):
            x, y = (int(value) for value in self._random.integers(0, (width_px, height_px)))
            colour = tuple(int(value) for value in self._random.integers(30, 220, 3))
            cv2.rectangle(picture, (x, y), (x + 90 + y % 160, y + 60 + x % 120), colour, -1)
        return picture

    def _scroll(self, shot: int, age: int) -> NDArray[np.uint8]:
        texture = self._textures[shot]
        limit_y, limit_x = _CANVAS_PX[0] - HEIGHT_PX, _CANVAS_PX[1] - WIDTH_PX
        left = int(limit_x / 2 + 0.45 * limit_x * np.sin(0.004 * age + shot))
        top = int(limit_y / 2 + 0.45 * limit_y * np.cos(0.003 * age + 2 * shot))
        return texture[top : top + HEIGHT_PX, left : left + WIDTH_PX].copy()

    def _zoom(self, shot: int, age: int) -> NDArray[np.uint8]:
        factor = 1.0 + 0.002 * age
        height_px, width_px = int(HEIGHT_PX / factor), int(WIDTH_PX / factor)
        window = self._textures[shot][300 : 300 + height_px, 400 : 400 + width_px]
        return np.asarray(cv2.resize(window, (WIDTH_PX, HEIGHT_PX)), np.uint8)

    def _overlays(self, view: NDArray[np.uint8], shot: int, index: int) -> None:
        for number in range(3):
            x = int(640 + 480 * np.sin(0.021 * index * (1 + 0.3 * number) + number))
            y = int(360 + 240 * np.cos(0.017 * index * (1 + 0.2 * number) + shot))
            colour = (60 + 60 * number, 200 - 50 * number, 90 + 40 * (shot % 3))
            cv2.ellipse(view, (x, y), (70, 34), (index * 2 + 40 * number) % 360, 0, 360, colour, -1)
