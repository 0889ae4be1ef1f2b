"""The same pictures recorded another time: camera, light, sensor, rate, size, codec.

Frames in, a file out; memory does not grow with the length. Called by `copies`, `handwash` and
`unusual`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.media.encode import VideoWriter

Picture = NDArray[np.uint8]

SHAKE_SEC = 0.5
"""How long a shaking camera takes to be somewhere else."""


@dataclass(frozen=True, slots=True)
class Retake:
    """One way to record; the defaults change nothing.

    fps None: the source's. speed: 2 = twice as fast. size: factor on (width, height), even pixels
    result. gain: per channel, bgr. zoom > 1 loses the edges. shift, shake: shares of the width,
    shake the largest. lead_in_sec: the first picture stands so long, with its sensor noise.
    """

    name: str
    fps: float | None = None
    speed: float = 1.0
    size: tuple[float, float] = (1.0, 1.0)
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    zoom: float = 1.0
    rotation_deg: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    shake: float = 0.0
    noise_sd: float = 0.0
    lead_in_sec: float = 0.0
    is_mirrored: bool = False
    crf: int = 23
    seed: int = 0


LEAD_IN_NOISE_SD = 5.0


def draw_retake(rng: np.random.Generator, number: int) -> Retake:
    """A re-recording by the same fixed camera: its light, its place by a little, its noise."""

    def around(width: float) -> float:
        return float(rng.uniform(-width, width))

    brightness = 1 + around(0.22)
    blue, green, red = (brightness * (1 + around(0.07)) for _ in range(3))
    return Retake(
        name=f"again-{number}",
        gain=(blue, green, red),
        gamma=1 + around(0.15),
        zoom=1 + around(0.05),
        rotation_deg=around(2.0),
        shift=(around(8 / 320), around(5 / 320)),
        shake=float(rng.uniform(0, 2 / 320)),
        noise_sd=float(rng.uniform(0.8, 4.3)),
        crf=int(rng.integers(22, 34)),
        seed=int(rng.integers(0, 1 << 30)),
    )


def frames(path: Path) -> Iterator[Picture]:
    """(h, w, 3) uint8 bgr pictures of a file, in order."""
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def rate_of(path: Path) -> float:
    """Mean pictures per second."""
    with av.open(str(path)) as container:
        return float(container.streams.video[0].average_rate or 0)


def record(pictures: Iterable[Picture], fps: float, path: Path, retake: Retake) -> None:
    """Write pictures of a constant rate as the retake shows them. H.264, same input same bytes."""
    shown_fps = fps if retake.fps is None else retake.fps
    # Output picture n shows source picture floor(n x step).
    step = fps * retake.speed / shown_fps
    writer: VideoWriter | None = None
    camera: Callable[[Picture, bool], Picture] | None = None
    try:
        for index, picture in enumerate(pictures):
            if writer is None or camera is None:
                size_px = _size_px(picture, retake)
                writer = VideoWriter(path, size_px, fps=shown_fps, crf=retake.crf)
                camera = _camera(picture, size_px, shown_fps, retake)
                for _ in range(round(retake.lead_in_sec * shown_fps)):
                    writer.write(camera(picture, True))
            for _ in range(ceil((index + 1) / step - 1e-9) - ceil(index / step - 1e-9)):
                writer.write(camera(picture, False))
    finally:
        if writer is not None:
            writer.close()


def _size_px(picture: Picture, retake: Retake) -> tuple[int, int]:
    height, width = picture.shape[:2]
    wide, high = retake.size
    return 2 * round(width * wide / 2), 2 * round(height * high / 2)


def _camera(
    sample: Picture, size_px: tuple[int, int], fps: float, retake: Retake
) -> Callable[[Picture, bool], Picture]:
    """What turns a picture into the retake's; called once per output picture, in order."""
    height, width = sample.shape[:2]
    rng = np.random.default_rng([retake.seed, 41])
    wander = _wander(rng, retake.shake * width, SHAKE_SEC * fps)
    still = cv2.getRotationMatrix2D((width / 2, height / 2), retake.rotation_deg, retake.zoom)
    still[:, 2] += np.array(retake.shift) * width
    curve = _curve(retake)
    is_moved = retake.shake > 0 or not np.allclose(still, np.eye(2, 3))
    quick = cv2.INTER_AREA if size_px[0] < width else cv2.INTER_LINEAR

    def show(picture: Picture, is_lead_in: bool) -> Picture:
        seen = picture[:, ::-1] if retake.is_mirrored else picture
        if is_moved:
            way = still.copy()
            way[:, 2] += next(wander)
            seen = cv2.warpAffine(seen, way, (width, height), borderMode=cv2.BORDER_REPLICATE)
        if size_px != (width, height):
            seen = cv2.resize(seen, size_px, interpolation=quick)
        if curve is not None:
            seen = cv2.LUT(seen, curve)
        noise_sd = max(retake.noise_sd, LEAD_IN_NOISE_SD if is_lead_in else 0.0)
        if noise_sd > 0:
            noise = np.rint(rng.normal(0, noise_sd, seen.shape)).astype(np.int16)
            seen = cv2.add(seen, noise, dtype=cv2.CV_8U)
        return np.asarray(seen, np.uint8)

    return show


def _curve(retake: Retake) -> NDArray[np.uint8] | None:
    """(1, 256, 3) look-up of gain and gamma, None = they change nothing."""
    if retake.gain == (1.0, 1.0, 1.0) and retake.gamma == 1.0:
        return None
    level = np.clip(np.arange(256)[:, None] / 255 * np.array(retake.gain), 0, 1)
    curve: NDArray[np.uint8] = np.rint(255 * level**retake.gamma).astype(np.uint8)
    return curve[None]


def _wander(
    rng: np.random.Generator, largest_px: float, frames_apart: float
) -> Iterator[NDArray[np.float64]]:
    """Offsets (x, y) of a shaking camera, smooth over `frames_apart` pictures."""
    keep = float(np.exp(-1.0 / max(frames_apart, 1e-6)))
    place = np.zeros(2)
    while True:
        place = keep * place + np.sqrt(1 - keep * keep) * rng.normal(0, largest_px / 2, 2)
        yield np.clip(place, -largest_px, largest_px)
