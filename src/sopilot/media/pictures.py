"""Pictures of the windows that a vision-language model is shown, taken in a decode pass.

A plan says how a video is divided and which of its samples stand for a window; `PictureStrip` takes
them into one file of JPEG pictures, `PictureFile` reads them window by window. Used by `library`
(in the one pass, or in a second one over the same bytes) and by whoever asks the model.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import DecodeError, DiskFull, InputError, StoreError
from sopilot.core.records import Keyframe, Producer, VideoInfo
from sopilot.core.timespan import TimeSpan, union
from sopilot.media.scaling import fit_size

_INDEX = "index.json"
_DATE = (1980, 1, 1, 0, 0, 0)
_ROUNDING = 1e-9
_GAP_SEC = 2.0
"""Spans nearer than that are read in one go: entering a file costs as much."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span that is shown in one call; index counts from 0 over the whole video."""

    index: int
    span: TimeSpan


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """Windows side by side from 0 on, and the pictures of each.

    rate_fps: samples per second. picture_count: of them, evenly spaced, the first and the last
    included. side_px: longer side. spans: only windows that meet one of them; empty = all. Raises
    InputError where a window would hold no sample.
    """

    rate_fps: float
    window_sec: float
    picture_count: int
    side_px: int = 448
    quality: int = 70
    spans: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.rate_fps * self.window_sec < 1 or self.picture_count < 1:
            raise InputError(
                f"a window of {self.window_sec} s at {self.rate_fps} pictures per second holds "
                "none; make the window longer or the rate higher"
            )

    @property
    def producer(self) -> Producer:
        """What such a file of pictures is keyed by."""
        settings = tuple((name, json.dumps(value)) for name, value in asdict(self).items())
        return Producer("pictures", "pictures-1", settings)

    def windows(self, duration_sec: float) -> list[Window]:
        """The windows of a video; the last one ends with it. O(windows)."""
        count = max(1, math.ceil(duration_sec / self.window_sec - _ROUNDING))
        edges = [min(index * self.window_sec, duration_sec) for index in range(count + 1)]
        edges[-1] = duration_sec
        spans = [TimeSpan(edges[index], edges[index + 1]) for index in range(count)]
        return [Window(i, span) for i, span in enumerate(spans) if self._is_asked(i)]

    def reach(self) -> list[TimeSpan]:
        """The windows that meet the spans, joined; ascending, apart from each other."""
        met = (self._met(*span) for span in self.spans)
        wide = [TimeSpan(i.start * self.window_sec, i.stop * self.window_sec) for i in met]
        return union(wide, gap_sec=_GAP_SEC)

    def window_of(self, sample_index: int) -> int | None:
        """The window whose picture this sample is; None where it is nobody's."""
        index = math.floor(sample_index / self.rate_fps / self.window_sec + _ROUNDING)
        first = self._first_sample(index)
        last = self._first_sample(index + 1) - 1
        if sample_index - first not in _chosen(last - first + 1, self.picture_count):
            return None
        return index if self._is_asked(index) else None

    def _first_sample(self, window_index: int) -> int:
        return math.ceil(window_index * self.window_sec * self.rate_fps - _ROUNDING)

    def _is_asked(self, window_index: int) -> bool:
        return not self.spans or any(window_index in self._met(*span) for span in self.spans)

    def _met(self, start_sec: float, end_sec: float) -> range:
        """Indices of the windows that share more than an edge with a span."""
        first = math.floor(start_sec / self.window_sec + _ROUNDING)
        return range(first, max(first + 1, math.ceil(end_sec / self.window_sec - _ROUNDING)))


def plan_of(values: Mapping[str, Any]) -> PicturePlan:
    """The plan that `core.records.plain` made a mapping of."""
    spans = tuple((float(a), float(b)) for a, b in values["spans"])
    return PicturePlan(**{**values, "spans": spans})


@lru_cache(maxsize=64)
def _chosen(sample_count: int, picture_count: int) -> frozenset[int]:
    """The places of the pictures among the samples of a window."""
    if picture_count == 1:
        return frozenset({(sample_count - 1) // 2})
    places = np.linspace(0, sample_count - 1, min(picture_count, sample_count))
    return frozenset(int(place) for place in np.round(places))


class PictureStrip:
    """Consumer of a decode pass that writes the pictures of a plan into a file, in the memory of
    one picture."""

    pixel_format: Literal["bgr24"] = "bgr24"

    def __init__(self, path: Path, plan: PicturePlan) -> None:
        """Raises DiskFull."""
        self._plan = plan
        self._sample_index = 0
        self._rows: list[dict[str, Any]] = []
        try:
            self._file = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        except OSError as error:
            raise _full(path, error) from error

    @property
    def rate_fps(self) -> float:
        """Samples per second, as the plan says."""
        return self._plan.rate_fps

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """The upright size, scaled down to the plan's longer side."""
        return fit_size(info.width_px, info.height_px, self._plan.side_px)

    def wants(self, sample_index: int) -> bool:
        """Whether the sample belongs to a window of the plan."""
        self._sample_index = sample_index
        return self._plan.window_of(sample_index) is not None

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """One bgr picture. Raises DecodeError when it cannot be written as JPEG, DiskFull."""
        quality = [cv2.IMWRITE_JPEG_QUALITY, self._plan.quality]
        done, data = cv2.imencode(".jpg", picture, quality)
        if not done:
            raise DecodeError(
                f"the frame at {time_sec:.1f} s ({picture.shape[1]}x{picture.shape[0]}) cannot be "
                "written as JPEG; convert the video to H.264"
            )
        jpeg = data.tobytes()
        name = f"{self._sample_index:08d}.jpg"
        self._write(name, jpeg)
        self._rows.append(
            {
                "window": self._plan.window_of(self._sample_index),
                "name": name,
                "time_sec": round(time_sec, 6),
                "sha256": hashlib.sha256(jpeg).hexdigest(),
            }
        )

    def close(self) -> None:
        """Write the index and finish the file. Raises DiskFull."""
        self._write(_INDEX, json.dumps(self._rows, separators=(",", ":")).encode())
        try:
            self._file.close()
        except OSError as error:
            raise _full(Path(str(self._file.filename)), error) from error

    def _write(self, name: str, data: bytes) -> None:
        try:
            self._file.writestr(zipfile.ZipInfo(name, _DATE), data)
        except OSError as error:
            raise _full(Path(str(self._file.filename)), error) from error


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture of a window. sha256: of the JPEG bytes."""

    frame: Keyframe
    sha256: str


class PictureFile:
    """The pictures of a plan by window; open once, read from one thread at a time.

    Raises StoreError where the file is not one that `PictureStrip` wrote.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = zipfile.ZipFile(path)
            rows: list[Mapping[str, Any]] = json.loads(self._file.read(_INDEX))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from error
        self._rows: dict[int, list[Mapping[str, Any]]] = {}
        for row in rows:
            self._rows.setdefault(int(row["window"]), []).append(row)
        self._in_time = rows
        self.picture_count = len(rows)

    def of(self, window_index: int) -> tuple[ShownPicture, ...]:
        """The pictures of a window in time order; none where the video showed nothing new."""
        return tuple(
            ShownPicture(self._read(row), str(row["sha256"]))
            for row in self._rows.get(window_index, ())
        )

    def nearest(self, time_sec: float) -> Keyframe | None:
        """The picture nearest to a time, the earlier of two; None where there is none at all."""
        after = bisect_left(self._in_time, time_sec, key=lambda row: row["time_sec"])
        near = self._in_time[max(0, after - 1) : after + 1]
        if not near:
            return None
        return self._read(min(near, key=lambda row: abs(row["time_sec"] - time_sec)))

    def _read(self, row: Mapping[str, Any]) -> Keyframe:
        try:
            return Keyframe(float(row["time_sec"]), self._file.read(row["name"]))
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _damaged(self, error: Exception) -> StoreError:
        return StoreError(
            f"the pictures in {self._path.name} cannot be read ({error}); analyse the video again"
        )


def _full(path: Path, error: OSError) -> DiskFull:
    return DiskFull(f"{path} cannot be written ({error.strerror}); free space, then retry")
