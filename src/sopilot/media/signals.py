"""Cheap signals of a video, eight times a second: how much moves, how bright it is, where the
camera looks. Taken in the one decode pass; what is found without a model rests on them.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import StoreError
from sopilot.core.records import VideoInfo
from sopilot.media.arrays import READ_ERRORS, ArrayFile, whole, write_arrays
from sopilot.media.scaling import fit_size

RATE_FPS = 8.0
SIDE_PX = 160
_CHANGED_LEVELS = 12
# A shift of the whole picture changes most of it: only then is one looked for, for that costs as
# much as all the rest.
_LEAST_CHANGED_RATIO = 0.04
_LEAST_DIFFERENCE = 1.5
_MOST_SHIFT_RATIO = 0.25
# A shift is believed when it takes away this much of the difference in the middle one of so many
# tiles: what moves through a picture leaves most tiles as they were, and they would become worse.
_TILES = (6, 4)
_EXPLAINED_RATIO = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """Samples at most RATE_FPS a second, n >= 1; all but times_sec are float32 of shape (n,).

    motion: mean absolute grey difference 0-255 to the sample before, after a shift of the camera
    and a change of the light are taken out. changed: share of pixels 0-1 that differ by more than
    12 levels then. luma: mean grey 0-255. light: by how many levels the whole picture became
    brighter (median of the differences). shift: how far the picture moved as a whole, as a share of
    its diagonal. alike: correlation -1 to 1 with the sample before. The first sample has no
    difference: 0, and 1 for alike.
    """

    times_sec: NDArray[np.float64]
    motion: NDArray[np.float32]
    changed: NDArray[np.float32]
    luma: NDArray[np.float32]
    light: NDArray[np.float32]
    shift: NDArray[np.float32]
    alike: NDArray[np.float32]
    duration_sec: float

    @property
    def interval_sec(self) -> float:
        """Seconds between two samples."""
        if len(self.times_sec) < 2:
            return 1.0 / RATE_FPS
        return float(np.median(np.diff(self.times_sec)))

    @classmethod
    def from_file(cls, path: Path) -> Signals:
        """What `SignalMeter.write` wrote. Raises StoreError when the file is something else."""
        try:
            with path.open("rb") as stream, ArrayFile(stream) as arrays:
                found = {name: arrays.read(name) for name in _ARRAYS}
                return cls(**found, duration_sec=float(arrays.read("duration_sec")[0]))
        except READ_ERRORS as error:
            raise StoreError(
                f"stored signals ({path.name}) cannot be read: {error}; ingest the video again"
            ) from error


_ARRAYS = tuple(item.name for item in fields(Signals) if item.name != "duration_sec")


class SignalMeter:
    """Consumer of a decode pass; one per video. Memory: seven numbers a sample."""

    pixel_format: Literal["gray"] = "gray"

    def __init__(self, source_fps: float = RATE_FPS) -> None:
        """source_fps: of the video; a slower one only repeats its frames, in which nothing moves,
        so it lowers the rate."""
        self.rate_fps = min(RATE_FPS, source_fps) if source_fps > 0 else RATE_FPS
        self._before: NDArray[np.uint8] | None = None
        self._rows = {name: array("d") for name in _ARRAYS}

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """The upright size with the longer side at most 160 px."""
        return fit_size(info.width_px, info.height_px, SIDE_PX)

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """One grey picture."""
        before, self._before = self._before, picture
        values = {"times_sec": time_sec, "luma": float(cv2.mean(picture)[0]), "alike": 1.0}
        if before is not None and before.shape == picture.shape:
            values |= _compared(before, picture)
        for name, row in self._rows.items():
            row.append(values.get(name, 0.0))

    def finish(self, duration_sec: float) -> Signals:
        """The signals after the pass."""
        rows = {name: np.array(row, np.float32) for name, row in self._rows.items()}
        del rows["times_sec"]
        times_sec = np.array(self._rows["times_sec"], np.float64)
        return Signals(times_sec=times_sec, duration_sec=duration_sec, **rows)

    def write(self, path: Path, duration_sec: float) -> None:
        """finish() into a file; the same signals give the same bytes. Raises DiskFull."""
        made = self.finish(duration_sec)
        arrays = {name: whole(getattr(made, name)) for name in _ARRAYS}
        arrays["duration_sec"] = whole(np.array([duration_sec], np.float64))
        write_arrays(path, arrays, compression_level=6)


def _compared(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> dict[str, float]:
    """What became of the picture from one sample to the next."""
    light, motion, changed = _difference(before, now)
    shift = 0.0
    if changed >= _LEAST_CHANGED_RATIO and motion >= _LEAST_DIFFERENCE:
        dx, dy = _shift(before, now)
        if dx or dy:
            parts = _overlap(before, now, dx, dy)
            if _in_most_tiles(*parts) < (1.0 - _EXPLAINED_RATIO) * _in_most_tiles(before, now):
                light, motion, changed = _difference(*parts)
                shift = float(np.hypot(dx, dy) / np.hypot(*now.shape))
    alike = 1.0
    if abs(light) >= 3.0 or changed >= 0.3:
        alike = float(cv2.matchTemplate(now, before, cv2.TM_CCOEFF_NORMED)[0, 0])
        alike = alike if np.isfinite(alike) and abs(alike) <= 1.0 else 0.0
    return {"light": light, "motion": motion, "changed": changed, "shift": shift, "alike": alike}


def _difference(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> tuple[float, float, float]:
    """(light, motion, changed) of two pictures of one size."""
    difference = now.astype(np.int16)
    difference -= before
    # The middle of every third pixel of every third row: whole levels, and near enough.
    light = int(np.median(difference[::3, ::3]))
    distances = np.abs(difference - light)
    changed = float(np.count_nonzero(distances > _CHANGED_LEVELS)) / difference.size
    return float(light), float(distances.mean()), changed


def _in_most_tiles(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> float:
    """Mean absolute grey difference of the middle tile."""
    tiles = cv2.resize(cv2.absdiff(before, now), _TILES, interpolation=cv2.INTER_AREA)
    return float(np.median(tiles))


def _shift(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> tuple[int, int]:
    """Whole pixels by which the picture moved right and down; (0, 0) where none is plausible.

    Looked for on every second pixel each way, at a quarter of the cost.
    """
    height, width = now.shape
    rows, columns = 2 * _even(height // 2), 2 * _even(width // 2)
    one, other = (
        np.ascontiguousarray(item[:rows:2, :columns:2], np.float32) for item in (before, now)
    )
    (dx, dy), _ = cv2.phaseCorrelate(one, other, _window(one.shape[1], one.shape[0]))
    dx, dy = 2.0 * dx, 2.0 * dy
    if abs(dx) > _MOST_SHIFT_RATIO * width or abs(dy) > _MOST_SHIFT_RATIO * height:
        return 0, 0
    return round(dx), round(dy)


@lru_cache(maxsize=8)
def _even(length: int) -> int:
    """The greatest even length up to this that OpenCV transforms without padding: padded to an odd
    one, its centre lies half a pixel off."""
    return next(n for n in range(length // 2 * 2, 0, -2) if cv2.getOptimalDFTSize(n) == n)


@lru_cache(maxsize=4)
def _window(width: int, height: int) -> NDArray[np.float32]:
    return np.asarray(cv2.createHanningWindow((width, height), cv2.CV_32F), np.float32)


def _overlap(
    before: NDArray[np.uint8], now: NDArray[np.uint8], dx: int, dy: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The parts of both pictures that show the same place."""
    height, width = now.shape
    first = before[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
    second = now[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
    return first, second
