"""Pictures that stand for moments of a video: one small JPEG per second, taken in the one pass.

The strip is stored with the derived arrays; result pages and reports choose from it, so that no
upload is ever decoded again for a picture.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import DecodeError, NoFrames, StoreError
from sopilot.core.records import Keyframe, VideoInfo
from sopilot.core.timespan import TimeSpan
from sopilot.media.arrays import READ_ERRORS, ArrayFile, Pieces, whole, write_arrays
from sopilot.media.scaling import fit_size
from sopilot.media.spool import ByteSpool

THUMBNAIL_WIDTH_PX = 320
_JPEG_QUALITY = 80
MOST_THUMBNAILS = 3600
"""A strip never holds more pictures: longer videos get them 2, 4, 8 .. seconds apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Thumbnails of one video in time order.

    times_sec: (n,) float64, ascending, n >= 1. sharpness: (n,) float32, variance of the
    Laplacian. jpegs: n JPEG pictures.
    """

    times_sec: NDArray[np.float64]
    sharpness: NDArray[np.float32]
    jpegs: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """One npz without pickle; the same strip gives the same bytes."""
        stream = io.BytesIO()
        pictures = [np.frombuffer(jpeg, np.uint8) for jpeg in self.jpegs]
        sizes = [len(jpeg) for jpeg in self.jpegs]
        _write(stream, self.times_sec, self.sharpness, sizes, pictures)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, blob: bytes) -> Strip:
        """The strip that to_bytes wrote. Raises StoreError when the bytes are something else."""
        try:
            with ArrayFile(io.BytesIO(blob)) as arrays:
                data, ends = arrays.read("data").tobytes(), arrays.read("ends").tolist()
                starts = [0, *ends[:-1]]
                jpegs = tuple(data[a:b] for a, b in zip(starts, ends, strict=True))
                return cls(arrays.read("times_sec"), arrays.read("sharpness"), jpegs)
        except READ_ERRORS as error:
            raise StoreError(
                f"stored thumbnails ({len(blob)} bytes) cannot be read: {error}; ingest the video "
                "again"
            ) from error


class StripFile:
    """Stored thumbnails whose pictures stay in their file until they are asked for; read from one
    thread at a time. Raises StoreError where the file is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._arrays = ArrayFile(path)
            self.times_sec: NDArray[np.float64] = self._arrays.read("times_sec")
            self._ends: NDArray[np.int64] = self._arrays.read("ends")
        except READ_ERRORS as error:
            raise self._damaged(error) from error

    def __enter__(self) -> StripFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._arrays.__exit__()

    def __len__(self) -> int:
        return len(self.times_sec)

    def jpeg(self, place: int) -> bytes:
        """The picture at a place of `times_sec`."""
        first = int(self._ends[place - 1]) if place else 0
        try:
            return self._arrays.span("data", first, int(self._ends[place])).tobytes()
        except READ_ERRORS as error:
            raise self._damaged(error) from error

    def nearest(self, time_sec: float) -> int:
        """The place of the picture nearest to a time; the earlier of equals."""
        return int(np.argmin(np.abs(self.times_sec - time_sec)))

    def _damaged(self, error: Exception) -> StoreError:
        return StoreError(
            f"stored thumbnails ({self._path.name}) cannot be read: {error}; ingest the video again"
        )


def _write(
    target: Path | IO[bytes],
    times_sec: NDArray[np.float64],
    sharpness: NDArray[np.float32],
    sizes_bytes: Sequence[int],
    pictures: Iterable[NDArray[np.uint8]],
) -> None:
    ends = np.cumsum(sizes_bytes, dtype=np.int64)
    arrays = {
        "times_sec": whole(times_sec),
        "sharpness": whole(sharpness),
        "ends": whole(ends),
        "data": Pieces(np.dtype(np.uint8), (int(ends[-1]),), pictures),
    }
    write_arrays(target, arrays, compression_level=None)


class ThumbnailStrip:
    """Consumer of a decode pass: one JPEG per second, at most 320 px wide; the pictures wait on a
    temporary file."""

    pixel_format: Literal["bgr24"] = "bgr24"
    rate_fps = 1.0

    def __init__(self, most: int = MOST_THUMBNAILS) -> None:
        self._most = most
        self._every = 1
        self._times = array("d")
        self._sharpness = array("f")
        self._starts = array("q")
        self._sizes = array("q")
        self._spool = ByteSpool()

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """The upright size, at most 320 px wide and 640 px high."""
        longer_px = max(
            THUMBNAIL_WIDTH_PX, round(THUMBNAIL_WIDTH_PX * info.height_px / info.width_px)
        )
        return fit_size(info.width_px, info.height_px, min(longer_px, 2 * THUMBNAIL_WIDTH_PX))

    def wants(self, sample_index: int) -> bool:
        """Every sample, or every 2nd, 4th .. once the video has proved long."""
        return sample_index % self._every == 0

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """One bgr picture. Raises DecodeError when it cannot be written as JPEG, DiskFull."""
        done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not done:
            raise DecodeError(
                f"the frame at {time_sec:.1f} s ({picture.shape[1]}x{picture.shape[0]}) cannot be "
                "written as JPEG; convert the video to H.264"
            )
        gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        _, spread = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))
        self._times.append(time_sec)
        self._sharpness.append(float(spread[0, 0]) ** 2)
        self._starts.append(self._spool.size_bytes)
        self._sizes.append(data.nbytes)
        self._spool.append_bytes(data.tobytes())
        if len(self._times) > self._most:
            self._every *= 2
            # The pictures themselves stay where they are: at most as many again are left behind.
            for column in (self._times, self._sharpness, self._starts, self._sizes):
                del column[1::2]

    def finish(self) -> Strip:
        """The strip after the pass. Raises NoFrames when the pass gave no picture."""
        jpegs = tuple(picture.tobytes() for picture in self._pictures())
        return Strip(np.array(self._times), np.array(self._sharpness), jpegs)

    def write(self, path: Path) -> None:
        """finish().to_bytes() straight into a file, in the memory of one picture.

        Raises NoFrames, DiskFull.
        """
        pictures = self._pictures()
        _write(path, np.array(self._times), np.array(self._sharpness), self._sizes, pictures)

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        if not self._times:
            raise NoFrames("no thumbnail was taken: the video has no frame; record it again")
        places = zip(self._starts, self._sizes, strict=True)
        return (np.frombuffer(self._spool.read_bytes(*place), np.uint8) for place in places)


def choose_keyframe(strip: Strip, span: TimeSpan) -> Keyframe:
    """The thumbnail that stands for a span: the sharpest of its middle half, the middle one of
    equals; where the span is shorter than the strip's spacing, the nearest to its centre."""
    distances_sec = np.abs(strip.times_sec - span.centre_sec)
    inside = np.flatnonzero(distances_sec <= span.duration_sec / 4)
    if len(inside) == 0:
        chosen = int(np.argmin(distances_sec))
    else:
        # lexsort: last key first; sharper before nearer.
        order = np.lexsort((distances_sec[inside], -strip.sharpness[inside]))
        chosen = int(inside[order[0]])
    return Keyframe(float(strip.times_sec[chosen]), strip.jpegs[chosen])
