"""Frames to a video file through PyAV; used by the generator, the demo, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sopilot.core.errors import InputError

# Fine enough for every usual rate: 90 kHz is the clock of MPEG.
_CLOCK_HZ = 90_000
_AUDIO_RATE_HZ = 44_100
_AUDIO_BLOCK = 1024


class VideoWriter:
    """Writes bgr frames into one video file; the file is complete when the context ends.

    The container follows the file's ending (.mp4, .mkv, .avi, .ts). Constant rate: give `fps` and
    write(picture). Variable rate: write(picture, time_sec) with ascending times; `fps` is then
    the nominal rate. Deterministic: one thread, same frames give the same bytes.
    """

    def __init__(
        self,
        path: Path,
        size_px: tuple[int, int],
        *,
        fps: float = 30.0,
        codec: str = "libx264",
        pixel_format: str | None = None,
        crf: int = 23,
        gop_frames: int = 60,
        options: Mapping[str, str] | None = None,
        rotation_deg: int = 0,
        with_audio: bool = False,
        faststart: bool = True,
    ) -> None:
        """size_px: (width, height). pixel_format None: yuv420p, or yuv444p for an odd size.

        rotation_deg: counter-clockwise turn that a player must apply (display matrix).
        with_audio: a silent AAC or MP3 track. faststart: index before the data (mp4).
        """
        width_px, height_px = size_px
        if width_px < 1 or height_px < 1 or not 0 < fps <= 1000:
            raise InputError(
                f"cannot write {width_px}x{height_px} at {fps} fps; need sizes >= 1, fps in 0-1000"
            )
        self._size_px = (width_px, height_px)
        self._rate = Fraction(fps).limit_denominator(1001)
        container_options = {"movflags": "+faststart"} if faststart and _is_mov(path) else {}
        self._container: OutputContainer = av.open(str(path), "w", options=container_options)
        odd = bool((width_px | height_px) & 1)
        self._stream = cast(VideoStream, self._container.add_stream(codec, rate=self._rate))
        self._stream.width, self._stream.height = width_px, height_px
        self._stream.pix_fmt = pixel_format or ("yuv444p" if odd else "yuv420p")
        context = self._stream.codec_context
        context.gop_size = gop_frames
        context.thread_count = 1
        # MPEG-4 part 2 and AVI want the frame rate itself as clock.
        fine = codec.startswith("libx26") or codec == "ffv1"
        self._clock = Fraction(1, _CLOCK_HZ) if fine else 1 / self._rate
        context.time_base = self._clock
        self._stream.time_base = self._clock
        context.options = _codec_options(codec, crf, options)
        if codec.startswith("mpeg"):
            context.bit_rate = max(1_000_000, int(width_px * height_px * fps / 4))
        if rotation_deg % 360:
            self._stream.set_display_rotation(rotation_deg)
        self._audio: AudioStream | None = None
        if with_audio:
            audio_codec = "mp3" if path.suffix.lower() == ".avi" else "aac"
            audio = cast(AudioStream, self._container.add_stream(audio_codec, rate=_AUDIO_RATE_HZ))
            audio.layout = "mono"
            self._audio = audio
        self._frame_count = 0
        self._last_pts = -1
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, picture: NDArray[np.uint8], time_sec: float | None = None) -> None:
        """Append one frame: (height, width, 3) uint8 bgr. time_sec None = frame count / fps."""
        width_px, height_px = self._size_px
        if picture.shape != (height_px, width_px, 3) or picture.dtype != np.uint8:
            raise InputError(
                f"a frame must be ({height_px}, {width_px}, 3) uint8, got {picture.shape} "
                f"{picture.dtype}; resize it first"
            )
        if time_sec is None:
            time_sec = float(self._frame_count / self._rate)
        pts = round(Fraction(time_sec) / self._clock)
        if pts <= self._last_pts:
            raise InputError(
                f"frame {self._frame_count} at {time_sec} s does not come after the one before it"
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        frame.pts = pts
        frame.time_base = self._clock
        self._container.mux(self._stream.encode(frame))
        self._last_pts = pts
        self._frame_count += 1

    def close(self) -> None:
        """Flush the encoder and finish the file; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._frame_count:
            self._container.mux(self._stream.encode(None))
            if self._audio is not None:
                self._write_silence(self._audio)
        self._container.close()

    def _write_silence(self, audio: AudioStream) -> None:
        seconds = float((self._last_pts + 1) * self._clock)
        block = np.zeros((1, _AUDIO_BLOCK), dtype=np.float32)
        for index in range(int(seconds * _AUDIO_RATE_HZ / _AUDIO_BLOCK) + 1):
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate = _AUDIO_RATE_HZ
            frame.pts = index * _AUDIO_BLOCK
            self._container.mux(audio.encode(frame))
        self._container.mux(audio.encode(None))


def _is_mov(path: Path) -> bool:
    return path.suffix.lower() in {".mp4", ".mov", ".m4v"}


def _codec_options(codec: str, crf: int, options: Mapping[str, str] | None) -> dict[str, str]:
    chosen: dict[str, str] = {}
    if codec in {"libx264", "libx265"}:
        # Without B-frames: with them x264 gave equal bytes in 7 of 14 runs only.
        chosen = {"preset": "veryfast", "crf": str(crf), "bf": "0"}
    if codec == "libx265":
        chosen["x265-params"] = "log-level=none:pools=1:frame-threads=1"
    return {**chosen, **(options or {})}
