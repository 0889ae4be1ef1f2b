"""The decode pass against bare decoding and against OpenCV, on the 720p30 file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.footage import sample_720p
from benchmarks.harness import Options, Row, against, interleave, one_core
from sopilot.core.records import Limits, VideoInfo
from sopilot.media.decode import PixelFormat, run_pass
from sopilot.media.probe import probe

LIMITS = Limits(max_pixels=3840 * 2160, max_duration_sec=4 * 3600.0, min_duration_sec=1.0)
SAMPLE_RATE_FPS = 4.0
SAMPLE_SIZE_PX = (256, 256)
FRAME_SIZE_PX = (256, 144)


@dataclass(slots=True)
class PictureCounter:
    """The cheapest consumer: it only counts what it is given."""

    rate_fps: float | None
    wanted_px: tuple[int, int]
    pixel_format: PixelFormat = "bgr24"
    count: int = 0

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """The fixed size, whatever the video."""
        return self.wanted_px

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """Count one picture."""
        self.count += 1


def rows(options: Options) -> Iterator[Row]:
    """Sampling and scaling every frame, each against decode only; sampling against OpenCV."""
    path = sample_720p(options.folder)
    info = probe(path, LIMITS)
    works = (
        lambda: decode_only(path),
        lambda: _run_pass(path, info, SAMPLE_RATE_FPS, SAMPLE_SIZE_PX),
        lambda: _run_pass(path, info, None, FRAME_SIZE_PX),
        lambda: opencv_sampling(path),
    )
    with one_core():
        floor, sampled, every, opencv = interleave(works, options.rounds)
    floor_name, sampled_name = "decode only (PyAV)", "4 fps 256 px sampling"
    yield against(Row("decode", sampled_name, floor_name, target=1.12), sampled, floor)
    yield against(Row("decode", "every frame 256x144", floor_name, target=1.12), every, floor)
    yield against(Row("decode", sampled_name, "OpenCV grab/retrieve", target=0.95), sampled, opencv)


def decode_only(path: Path) -> int:
    """Frames of a file decoded by one thread and looked at by nobody: the floor."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def opencv_sampling(path: Path) -> int:
    """4 fps pictures as usual with OpenCV: grab every frame, retrieve and scale the wanted ones."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    count = 0
    try:
        while capture.grab():
            time_sec = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
            if time_sec * SAMPLE_RATE_FPS < count:
                continue
            found, picture = capture.retrieve()
            if found:
                cv2.resize(picture, SAMPLE_SIZE_PX, interpolation=cv2.INTER_AREA)
                count += 1
    finally:
        capture.release()
    return count


def _run_pass(path: Path, info: VideoInfo, rate_fps: float | None, size_px: tuple[int, int]) -> int:
    counter = PictureCounter(rate_fps, size_px)
    run_pass(path, info, [counter])
    return counter.count
