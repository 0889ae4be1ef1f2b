"""One sequential decode pass that feeds every consumer of a video; the only reader of pictures.

A consumer names a rate, a size and a pixel format. Scaling happens inside libav straight from the
decoded frame; consumers with equal wishes share one conversion. Memory does not grow with length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sopilot.core.errors import DecodeError, InputError, NoFrames
from sopilot.core.records import Progress, VideoInfo, no_progress
from sopilot.core.timespan import TimeSpan
from sopilot.media import mask as masks
from sopilot.media.container import open_video
from sopilot.media.face_cover import FaceCover, Shown
from sopilot.media.faces import search_size
from sopilot.media.mask import Mask
from sopilot.media.probe import DEFAULT_FPS

PixelFormat = Literal["bgr24", "gray"]

# A frame may lie this much after a sample time and still count as shown at it: millisecond
# containers (Matroska) round their time stamps.
_STAMP_TOLERANCE_SEC = 1e-3
_VFR_TOLERANCE_SEC = 2.5e-3
_PROGRESS_FRAMES = 64
# Pictures that wait for the consumers of every sample: their code runs twice as fast over several
# in a row as between two frames of the decoder, which empties the processor's caches.
_MOST_WAITING = 32
_MOST_WAITING_BYTES = 4 << 20
# Less than this share of what the container promised counts as a truncated file.
_LEAST_DECODED_RATIO = 0.9
_LEAST_MISSING_SEC = 1.0
_MOST_DAMAGED_RATIO = 0.05


class FrameConsumer(Protocol):
    """Takes the pictures of one pass."""

    @property
    def rate_fps(self) -> float | None:
        """None = every decoded frame; else pictures at k / rate_fps seconds."""

    @property
    def pixel_format(self) -> PixelFormat:
        """bgr24: (h, w, 3) pictures; gray: (h, w)."""

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """(width, height) of the pictures wanted from the upright video."""

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """One picture, shown at time_sec. It is shared: do not write to it, copy to keep it."""


@runtime_checkable
class SelectiveConsumer(FrameConsumer, Protocol):
    """A sampled consumer that leaves out some pictures, which then cost nothing."""

    def wants(self, sample_index: int) -> bool:
        """Whether the picture at sample_index / rate_fps is to be taken."""


@dataclass(frozen=True, slots=True)
class PassSummary:
    """What one pass found. Times are presentation times; first_sec is the container's stamp that
    became 0; duration_sec ends with the last frame's own duration."""

    frame_count: int
    first_sec: float
    duration_sec: float
    is_vfr: bool


def run_pass(
    path: Path,
    info: VideoInfo,
    consumers: Sequence[FrameConsumer],
    mask: Mask | None = None,
    progress: Progress = no_progress,
) -> PassSummary:
    """Decode the whole video once and give every consumer its pictures in time order.

    A sampled consumer gets, for each k / rate_fps < duration, the frame shown at that time (the
    last one not later); a slower source repeats frames. Raises NoFrames when nothing can be
    decoded, DecodeError when the file is damaged or much shorter than its container promises,
    and whatever `progress` raises. O(frames) time, O(1) memory.
    """
    feeds = _group(consumers, info, mask)
    cover = _face_cover(info) if mask is not None and mask.has_face_blur else None
    clock = _Clock(info)
    damage = _Damage()
    pending: VideoFrame | None = None
    with open_video(path) as (container, stream):
        for frame in _frames(container, stream, damage):
            start_sec = clock.place(frame)
            if pending is not None:
                _feed(feeds, cover, pending, clock.previous_sec, start_sec)
            pending = frame
            if clock.frame_count % _PROGRESS_FRAMES == 0:
                progress(min(1.0, start_sec / max(info.duration_sec, 1e-6)))
        if pending is None:
            raise NoFrames(
                f"{path.name}: not a single frame could be decoded; the file is damaged, "
                "record or upload it again"
            )
        duration_sec = clock.end_sec(pending)
        _feed(feeds, cover, pending, clock.last_sec, duration_sec)
        _finish(feeds, cover)
    _check_complete(path.name, info, duration_sec, clock.frame_count, damage)
    progress(1.0)
    return PassSummary(clock.frame_count, clock.first_sec, duration_sec, clock.is_vfr)


def run_span(
    path: Path,
    info: VideoInfo,
    span: TimeSpan,
    consumers: Sequence[FrameConsumer],
    mask: Mask | None = None,
    progress: Progress = no_progress,
) -> None:
    """Like `run_pass`, but only for what is shown within a span: enters the file at the sync frame
    before it, where the container can.

    Times are those of the whole video, sample indices too. Raises NoFrames where the span shows
    nothing. O(frames from the sync frame on) time.
    """
    if not _read_span(path, info, span, consumers, mask, progress, may_seek=True):
        # The container led to a frame behind the start, or its frames carry no times.
        _read_span(path, info, span, consumers, mask, progress, may_seek=False)


def _read_span(
    path: Path,
    info: VideoInfo,
    span: TimeSpan,
    consumers: Sequence[FrameConsumer],
    mask: Mask | None,
    progress: Progress,
    *,
    may_seek: bool,
) -> bool:
    """Whether the span could be read; False before any consumer got a picture."""
    feeds = _group(consumers, info, mask)
    for feed in feeds:
        feed.skip_to(span.start_sec)
    cover = _face_cover(info) if mask is not None and mask.has_face_blur else None
    clock = _Clock(info)
    pending: VideoFrame | None = None
    with open_video(path) as (container, stream):
        frames = _frames(container, stream, _Damage())
        first = next(frames, None)
        if first is None:
            raise NoFrames(f"{path.name}: not a single frame could be decoded; record it again")
        clock.place(first)
        if may_seek and _enter(container, stream, clock.first_sec + span.start_sec):
            entered = next(frames, None)
            stamp_sec = None if entered is None else _stamp_sec(entered)
            if stamp_sec is None or stamp_sec - clock.first_sec > span.start_sec + 1e-3:
                return False
            assert entered is not None
            clock.jump(stamp_sec - clock.first_sec)
            first = entered
        pending = first
        for number, frame in enumerate(frames):
            start_sec = clock.place(frame)
            if start_sec > span.start_sec:
                _feed(feeds, cover, pending, clock.previous_sec, min(start_sec, span.end_sec))
            pending = frame
            if start_sec >= span.end_sec:
                break
            if number % _PROGRESS_FRAMES == 0:
                progress(0.0)
        else:
            _feed(feeds, cover, pending, clock.last_sec, clock.end_sec(pending))
        _finish(feeds, cover)
    return True


_LEAST_SEEK_SEC = 2.0


def _enter(container: InputContainer, stream: VideoStream, stamp_sec: float) -> bool:
    """Go to the sync frame before a time of the container; False where it stays at the start."""
    if stream.time_base is None or stamp_sec < _LEAST_SEEK_SEC:
        return False
    try:
        container.seek(int(stamp_sec / stream.time_base), stream=stream, backward=True)
    except av.error.FFmpegError:
        return False
    return True


class _Clock:
    """Presentation times that start at 0 and always grow."""

    def __init__(self, info: VideoInfo) -> None:
        self._interval_sec = 1.0 / info.fps if info.fps > 0 else 1.0 / DEFAULT_FPS
        # The probe admitted this duration; stamps far beyond it are damage, and would make a
        # sampled consumer repeat one frame without end.
        self._latest_sec = 2.0 * info.duration_sec + 60.0
        self._shortest_sec = float("inf")
        self._longest_sec = 0.0
        self.first_sec = 0.0
        self.previous_sec = 0.0
        self.last_sec = 0.0
        self.frame_count = 0

    def place(self, frame: VideoFrame) -> float:
        """Seconds from the first frame; a missing or backward stamp follows the one before."""
        stamp_sec = _stamp_sec(frame)
        if self.frame_count == 0:
            self.first_sec = stamp_sec or 0.0
            self.frame_count = 1
            return 0.0
        time_sec = -1.0 if stamp_sec is None else stamp_sec - self.first_sec
        if time_sec <= self.last_sec:
            time_sec = self.last_sec + self._interval_sec
        if time_sec > self._latest_sec:
            raise DecodeError(
                f"a frame is stamped {time_sec:.1f} s, the container promised "
                f"{self._latest_sec / 2 - 30:.1f} s; the file is damaged, upload it again"
            )
        step_sec = time_sec - self.last_sec
        self._shortest_sec = min(self._shortest_sec, step_sec)
        self._longest_sec = max(self._longest_sec, step_sec)
        self.previous_sec, self.last_sec = self.last_sec, time_sec
        self.frame_count += 1
        return time_sec

    def jump(self, time_sec: float) -> None:
        """Go on from a frame at this time: what lies before it was not read."""
        self.previous_sec = self.last_sec = time_sec

    def end_sec(self, frame: VideoFrame) -> float:
        """End of the last frame: its own duration, or the usual frame distance."""
        shown_sec = 0.0
        if frame.duration and frame.time_base is not None:
            shown_sec = float(frame.duration * frame.time_base)
        if not 0 < shown_sec <= max(1.0, self._longest_sec):
            shown_sec = self._interval_sec
        return self.last_sec + shown_sec

    @property
    def is_vfr(self) -> bool:
        """Whether frame distances differ by more than stamps are rounded."""
        return self._longest_sec - self._shortest_sec > _VFR_TOLERANCE_SEC


def _stamp_sec(frame: VideoFrame) -> float | None:
    if frame.time is not None:
        return frame.time
    if frame.dts is None or frame.time_base is None:
        return None
    return float(frame.dts * frame.time_base)


@dataclass(slots=True)
class _Damage:
    """Packets read, and those that the decoder refused or marked as corrupt."""

    packet_count: int = 0
    bad_count: int = 0
    read_error: str = ""


def _frames(
    container: InputContainer, stream: VideoStream, damage: _Damage
) -> Iterator[VideoFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            # What was read so far still counts; _check_complete decides whether it is enough.
            damage.read_error = error.strerror or str(error)
            packet = None
        if packet is None:
            return
        damage.packet_count += 1
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except MemoryError:
            raise
        except av.error.FFmpegError:
            damage.bad_count += 1
            continue
        for frame in frames:
            if isinstance(frame, VideoFrame):
                damage.bad_count += frame.is_corrupt
                yield frame


def _face_cover(info: VideoInfo) -> FaceCover:
    size_px = search_size(info.width_px, info.height_px)
    scaler = VideoReformatter()
    return FaceCover(
        size_px, lambda frame: _upright(scaler, frame, size_px, info.rotation_deg, "bgr24")
    )


def _upright(
    scaler: VideoReformatter,
    frame: VideoFrame,
    size_px: tuple[int, int],
    rotation_deg: int,
    pixel_format: str,
    kernel: Interpolation = Interpolation.AREA,
) -> NDArray[np.uint8]:
    """The frame at a size and format, turned upright. Raises DecodeError."""
    width_px, height_px = size_px
    if rotation_deg in (90, 270):
        width_px, height_px = height_px, width_px
    try:
        scaled = scaler.reformat(
            frame,
            width=width_px,
            height=height_px,
            format=pixel_format,
            interpolation=kernel,
            threads=1,
        )
    except MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise DecodeError(
            f"a frame ({frame.format.name}, {frame.width}x{frame.height}) cannot be "
            f"converted: {error}; convert the video to 8-bit H.264"
        ) from error
    picture = np.asarray(scaled.to_ndarray(), dtype=np.uint8)
    if rotation_deg:
        picture = np.ascontiguousarray(np.rot90(picture, rotation_deg // 90))
    return picture


@dataclass(slots=True)
class _Feed:
    """Consumers that share one conversion: same size, format and rate."""

    rate_fps: float | None
    size_px: tuple[int, int]
    pixel_format: PixelFormat
    rotation_deg: int
    mask: Mask | None
    scaler: VideoReformatter
    next_index: int = 0
    _waiting: list[tuple[float, NDArray[np.uint8]]] = field(default_factory=list)
    _waiting_bytes: int = 0
    _take_all: list[FrameConsumer] = field(default_factory=list)
    _choosers: list[SelectiveConsumer] = field(default_factory=list)

    def add(self, consumer: FrameConsumer) -> None:
        """Let a consumer take part."""
        # Asked once: a look at a protocol costs as much as scaling a picture.
        if isinstance(consumer, SelectiveConsumer) and self.rate_fps is not None:
            self._choosers.append(consumer)
        else:
            self._take_all.append(consumer)

    def skip_to(self, time_sec: float) -> None:
        """Begin with the first sample at or after a time."""
        if self.rate_fps is not None:
            self.next_index = max(0, ceil((time_sec - _STAMP_TOLERANCE_SEC) * self.rate_fps))

    def _convert(self, shown: Shown) -> NDArray[np.uint8]:
        """The frame at the wanted size and format, upright and masked."""
        # Sampled pictures are few: pay for area averaging, which does not alias.
        kernel = Interpolation.FAST_BILINEAR if self.rate_fps is None else Interpolation.AREA
        name = "bgr24" if self.pixel_format == "bgr24" else "gray8"
        picture = _upright(self.scaler, shown.frame, self.size_px, self.rotation_deg, name, kernel)
        for mask in (shown.faces, self.mask):
            if mask is not None:
                masks.apply(mask, picture)
        picture.flags.writeable = False
        return picture

    def deliver(self, shown: Shown) -> None:
        """Give the frame to every consumer that wants it; those of every sample may get it later,
        in order, at the latest with `flush`."""
        picture: NDArray[np.uint8] | None = None
        for time_sec, choosers in self._wishes(shown.start_sec, shown.end_sec):
            if picture is None and (choosers or self._take_all):
                picture = self._convert(shown)
            for consumer in choosers:
                assert picture is not None
                consumer.take(time_sec, picture)
            if self._take_all:
                assert picture is not None
                self._wait(time_sec, picture)

    def _wait(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        self._waiting.append((time_sec, picture))
        self._waiting_bytes += picture.nbytes
        if len(self._waiting) >= _MOST_WAITING or self._waiting_bytes >= _MOST_WAITING_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand over what waits."""
        for consumer in self._take_all:
            for time_sec, picture in self._waiting:
                consumer.take(time_sec, picture)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _wishes(
        self, start_sec: float, end_sec: float
    ) -> Iterator[tuple[float, list[SelectiveConsumer]]]:
        if self.rate_fps is None:
            yield start_sec, []
            return
        stop = ceil((end_sec - _STAMP_TOLERANCE_SEC) * self.rate_fps)
        for index in range(self.next_index, stop):
            yield index / self.rate_fps, [item for item in self._choosers if item.wants(index)]
        self.next_index = max(self.next_index, stop)


def _group(consumers: Sequence[FrameConsumer], info: VideoInfo, mask: Mask | None) -> list[_Feed]:
    feeds: dict[tuple[float | None, tuple[int, int], PixelFormat], _Feed] = {}
    for consumer in consumers:
        size_px, rate_fps = consumer.size_px(info), consumer.rate_fps
        if min(size_px) < 1 or (rate_fps is not None and not rate_fps > 0):
            raise InputError(f"a consumer wants {size_px} px at {rate_fps} fps; both must be > 0")
        key = (rate_fps, size_px, consumer.pixel_format)
        if key not in feeds:
            feeds[key] = _Feed(
                rate_fps,
                size_px,
                consumer.pixel_format,
                info.rotation_deg,
                mask,
                VideoReformatter(),
            )
        feeds[key].add(consumer)
    return list(feeds.values())


def _feed(
    feeds: list[_Feed],
    cover: FaceCover | None,
    frame: VideoFrame,
    start_sec: float,
    end_sec: float,
) -> None:
    """Deliver the frame; with a face cover, those frames that are ready now."""
    if cover is None:
        _deliver(feeds, (Shown(frame, start_sec, end_sec),))
    else:
        _deliver(feeds, cover.take(frame, start_sec, end_sec))


def _finish(feeds: list[_Feed], cover: FaceCover | None) -> None:
    """Deliver the frames that a face cover kept back, and every picture that waits."""
    _deliver(feeds, cover.rest() if cover is not None else ())
    for feed in feeds:
        feed.flush()


def _deliver(feeds: list[_Feed], frames: Iterable[Shown]) -> None:
    for shown in frames:
        for feed in feeds:
            feed.deliver(shown)


def _check_complete(
    name: str, info: VideoInfo, duration_sec: float, frame_count: int, damage: _Damage
) -> None:
    missing_sec = info.duration_sec - duration_sec
    allowed_sec = max(_LEAST_MISSING_SEC, (1 - _LEAST_DECODED_RATIO) * info.duration_sec)
    if missing_sec > allowed_sec:
        raise DecodeError(
            f"{name} is cut off: {duration_sec:.1f} s of {info.duration_sec:.1f} s "
            f"({frame_count} frames) could be decoded{_because(damage)}; upload the complete file",
            {"decoded_sec": round(duration_sec, 3), "promised_sec": round(info.duration_sec, 3)},
        )
    if damage.bad_count > _MOST_DAMAGED_RATIO * damage.packet_count:
        raise DecodeError(
            f"{name} is damaged: {damage.bad_count} of {damage.packet_count} packets could not "
            "be decoded; upload the file again",
            {"bad_packets": damage.bad_count, "packets": damage.packet_count},
        )


def _because(damage: _Damage) -> str:
    return f" ({damage.read_error})" if damage.read_error else ""
