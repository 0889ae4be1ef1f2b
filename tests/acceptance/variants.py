"""Variants of a real video with known truth: harmless copies, and recordings that must not pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.media.encode import VideoWriter

Picture = NDArray[np.uint8]
Frames = list[Picture]


def read_frames(path: Path) -> tuple[Frames, float]:
    """All frames as bgr and the mean rate; for short test videos only."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 0)
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(stream)], rate


def write(path: Path, frames: Frames, fps: float, crf: int = 23) -> Path:
    height_px, width_px = frames[0].shape[:2]
    with VideoWriter(path, (width_px, height_px), fps=fps, crf=crf) as writer:
        for frame in frames:
            writer.write(np.ascontiguousarray(frame))
    return path


def retimed(frames: Frames, source_fps: float, fps: float, speed: float = 1.0) -> Frames:
    """The same content shown at another rate, `speed` times as fast."""
    count = round(len(frames) / source_fps / speed * fps)
    return [frames[min(len(frames) - 1, int(k / fps * speed * source_fps))] for k in range(count)]


def _each(change: Callable[[Picture], Picture]) -> Callable[[Frames], Frames]:
    return lambda frames: [change(frame) for frame in frames]


def brighter(factor: float) -> Callable[[Frames], Frames]:
    return _each(lambda f: np.clip(f.astype(np.float32) * factor, 0, 255).astype(np.uint8))


def shifted(dx_px: int, dy_px: int) -> Callable[[Frames], Frames]:
    matrix = np.array([[1, 0, dx_px], [0, 1, dy_px]], dtype=np.float32)

    def move(frame: Picture) -> Picture:
        size = (frame.shape[1], frame.shape[0])
        moved = cv2.warpAffine(frame, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, dtype=np.uint8)

    return _each(move)


def noise(frames: Frames) -> Frames:
    random = np.random.default_rng(7)
    return [random.integers(0, 256, frame.shape, dtype=np.uint8) for frame in frames]


def harmless(gold: Path, folder: Path) -> Iterator[tuple[str, Path, float]]:
    """(name, file, points it may lose) of copies that show the same work."""
    frames, fps = read_frames(gold)
    yield "re-encoded", write(folder / "crf34.mp4", frames, fps, crf=34), 2.0
    for rate in (10, 25, 30, 60):
        yield f"{rate} fps", write(folder / f"{rate}.mp4", retimed(frames, fps, rate), rate), 2.0
    for name, change in {
        "15 % brighter": brighter(1.15),
        "15 % darker": brighter(0.85),
        "shifted 10 px": shifted(10, 0),
        "shifted 10 px down": shifted(0, 10),
    }.items():
        yield name, write(folder / f"{name}.mp4".replace(" ", "-"), change(frames), fps), 5.0
    for speed in (0.9, 1.1):
        quicker = retimed(frames, fps, fps, speed)
        yield f"speed {speed}", write(folder / f"speed-{speed}.mp4", quicker, fps), 5.0


def hopeless(gold: Path, other_task: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """(name, file) of recordings that do not show the work."""
    frames, fps = read_frames(gold)
    yield "wrong task", other_task
    yield "frozen", write(folder / "frozen.mp4", [frames[0]] * len(frames), fps)
    yield "reversed", write(folder / "reversed.mp4", frames[::-1], fps)
    yield "noise", write(folder / "noise.mp4", noise(frames), fps)
    yield "black", write(folder / "black.mp4", [np.zeros_like(f) for f in frames], fps)
