"""Media files that a camera, a broken disk or a careless person makes, written by name."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
import numpy as np

from sopilot.media.encode import VideoWriter

SIZE_PX, FPS, LENGTH_SEC = (192, 108), 10, 8
_HEADER_BYTES = 1024


def write(
    path: Path, *, count: int = FPS * LENGTH_SEC, times_sec: Sequence[float] = (), **options: Any
) -> None:
    """A block that moves over a textured ground, FPS frames per second or at these times."""
    ground = np.random.default_rng(5).integers(40, 210, (SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
    with VideoWriter(path, SIZE_PX, fps=FPS, **options) as writer:
        for index in range(count):
            picture = ground.copy()
            picture[20:60, 10 + index % 120 : 40 + index % 120] = (30, 220, 90)
            writer.write(picture, times_sec[index] if times_sec else None)


def plain(path: Path) -> None:
    """An ordinary MP4, whatever the name says."""
    part = path.with_suffix(".part.mp4")
    write(part)
    part.rename(path)


def one_frame(path: Path) -> None:
    """A video of a tenth of a second."""
    write(path, count=1)


def ten_bit(path: Path) -> None:
    """More levels than a picture in memory has."""
    write(path, pixel_format="yuv420p10le")


def interlaced(path: Path) -> None:
    """Two fields in every frame, the upper one first."""
    write(path, options={"x264-params": "interlaced=1:tff=1"})


def variable_rate(path: Path) -> None:
    """5 to 33 frames per second, by turns."""
    draw = random.Random(3)
    steps = (draw.choice([0.03, 0.1, 0.2]) for _ in range(FPS * LENGTH_SEC))
    write(path, times_sec=list(accumulate(steps)))


def rotated(path: Path) -> None:
    """Held upright: the track says a quarter turn."""
    write(path, rotation_deg=90)


def large(path: Path) -> None:
    """One picture of 8000 x 8000 that lasts four seconds."""
    with VideoWriter(path, (8000, 8000), fps=0.25) as writer:
        writer.write(np.full((8000, 8000, 3), 90, np.uint8))


def long_black(path: Path) -> None:
    """Three hours of black, a frame every two seconds."""
    with VideoWriter(path, (96, 64), fps=0.5) as writer:
        for _ in range(3 * 3600 // 2):
            writer.write(np.zeros((64, 96, 3), np.uint8))


def audio_only(path: Path) -> None:
    """Thirteen seconds of silence without a picture."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("aac", rate=16_000, layout="mono")
        for index in range(200):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.sample_rate, frame.pts = 16_000, 1024 * index
            frame.time_base = Fraction(1, 16_000)
            frame.planes[0].update(bytes(4096))
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def empty(path: Path) -> None:
    """No byte at all."""
    path.touch()


def text(path: Path) -> None:
    """Words in a file that calls itself a video."""
    path.write_text("no video\n" * 500)


def truncated(whole: bytes, percent: int) -> bytes:
    """The first `percent` of a file."""
    return whole[: len(whole) * percent // 100]


def flipped(whole: bytes, seed: int) -> bytes:
    """The file with one to eight bits of its first kilobyte, or of its index, turned over."""
    draw = random.Random(seed)
    body = bytearray(whole)
    start = draw.choice([0, whole.index(b"moov")])
    for _ in range(draw.randint(1, 8)):
        body[start + draw.randrange(_HEADER_BYTES)] ^= 1 << draw.randrange(8)
    return bytes(body)
