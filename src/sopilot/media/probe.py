"""File to VideoInfo: what the container says, checked against the limits before any real decoding.

Called by `library.ingest` inside the limited child, and by the CLI. At most the first picture is
decoded (the rotation is only known from it); frame times are read from packets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sopilot.core.errors import BadUpload, NoFrames, ProbeError
from sopilot.core.records import Limits, VideoInfo
from sopilot.media.container import check_file, open_video

_HASH_BLOCK_BYTES = 1 << 20
# Packets read to tell constant from variable frame rate when the container states a duration.
_VFR_PACKET_COUNT = 600
# Adjacent frame distances may differ by this much (time base rounding) in a constant rate.
_VFR_TOLERANCE_SEC = 0.0025
_FIRST_FRAME_PACKET_COUNT = 300
DEFAULT_FPS = 25.0


def hash_file(path: Path) -> str:
    """SHA-256 of the file's bytes, hex. O(size) time, 1 MiB memory. Raises BadUpload."""
    check_file(path)
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def probe(path: Path, limits: Limits, sha256: str | None = None) -> VideoInfo:
    """Describe a video file, or refuse it.

    sha256: known hash of the bytes; None = computed here.
    Raises BadUpload (missing, folder, empty, no video, outside the limits), ProbeError (container
    unreadable) or NoFrames (a video stream without a single frame).
    """
    size_bytes = check_file(path)
    with open_video(path) as (container, stream):
        width_px, height_px = _check_size(stream, limits, path.name)
        timing = _read_timing(container, stream)
        if timing.packet_count == 0:
            raise NoFrames(f"{path.name} has a video stream without any frame; record it again")
        _check_duration(timing.duration_sec, limits, path.name)
        pixel_format = stream.codec_context.pix_fmt or "unknown"
        codec = stream.codec_context.name
        has_audio = bool(container.streams.audio)
    rotation_deg = _read_rotation(path)
    if rotation_deg in (90, 270):
        width_px, height_px = height_px, width_px
    return VideoInfo(
        width_px=width_px,
        height_px=height_px,
        rotation_deg=rotation_deg,
        fps=timing.fps,
        is_vfr=timing.is_vfr,
        duration_sec=timing.duration_sec,
        codec=codec,
        pixel_format=pixel_format,
        has_audio=has_audio,
        size_bytes=size_bytes,
        sha256=sha256 or hash_file(path),
    )


@dataclass(frozen=True, slots=True)
class _Timing:
    """Frame times as the packets tell them; fps is the true mean rate."""

    packet_count: int
    duration_sec: float
    fps: float
    is_vfr: bool


def _check_size(stream: VideoStream, limits: Limits, name: str) -> tuple[int, int]:
    width_px, height_px = stream.codec_context.width, stream.codec_context.height
    if width_px <= 0 or height_px <= 0:
        raise ProbeError(
            f"{name}: the picture size is {width_px}x{height_px}; the file is damaged or cut off, "
            "upload it again"
        )
    if width_px * height_px > limits.max_pixels:
        raise BadUpload(
            f"{name} is {width_px}x{height_px} = {width_px * height_px} pixels, allowed are "
            f"{limits.max_pixels}; scale it down or raise SOPILOT_MAX_PIXELS"
        )
    return width_px, height_px


def _check_duration(duration_sec: float, limits: Limits, name: str) -> None:
    if duration_sec > limits.max_duration_sec:
        raise BadUpload(
            f"{name} lasts {duration_sec:.1f} s, allowed are {limits.max_duration_sec:.0f} s; "
            "cut it into parts or raise SOPILOT_MAX_VIDEO_SECONDS"
        )
    if duration_sec < limits.min_duration_sec:
        raise BadUpload(
            f"{name} lasts {duration_sec:.2f} s, at least {limits.min_duration_sec:.1f} s are "
            "needed; record a longer video or lower SOPILOT_MIN_VIDEO_SECONDS"
        )


def _read_timing(container: InputContainer, stream: VideoStream) -> _Timing:
    stated_sec = _stated_duration(container, stream)
    times: list[float] = []
    packet_count = 0
    last_end_sec = first_sec = None
    for packet in _packets(container, stream):
        packet_count += 1
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None and packet.time_base is not None:
            base = float(packet.time_base)
            start, end = stamp * base, (stamp + (packet.duration or 0)) * base
            first_sec = start if first_sec is None else min(first_sec, start)
            last_end_sec = end if last_end_sec is None else max(last_end_sec, end)
            if len(times) < _VFR_PACKET_COUNT:
                times.append(start)
        if stated_sec is not None and packet_count >= _VFR_PACKET_COUNT:
            break
    times.sort()
    steps = [after - before for before, after in pairwise(times)]
    fps = _frame_rate(stream, steps)
    read_sec = (last_end_sec - first_sec) if first_sec is not None and last_end_sec else 0.0
    # A raw stream without time stamps still has its packets.
    read_sec = max(read_sec, (times[-1] - times[0] + 1 / fps) if times else packet_count / fps)
    # B-frames at the cut of the look-ahead leave holes; the outermost distances say nothing.
    inner = steps[: max(1, len(steps) - 8)]
    is_vfr = bool(inner) and max(inner) - min(inner) > _VFR_TOLERANCE_SEC
    return _Timing(packet_count, stated_sec if stated_sec is not None else read_sec, fps, is_vfr)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    """Packets with content, up to the end or to the first place that cannot be read."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError:
        return


def _stated_duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        # Matroska counts from 0, not from its first frame.
        late_sec = max(0, container.start_time or 0) / av.time_base
        late_sec = late_sec if "matroska" in container.format.name else 0.0
        return max(0.0, container.duration / av.time_base - late_sec)
    return None


def _frame_rate(stream: VideoStream, steps: list[float]) -> float:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < float(rate) <= 1000:
            return float(rate)
    mean_sec = sum(steps) / len(steps) if steps else 0.0
    return 1.0 / mean_sec if mean_sec > 0.001 else DEFAULT_FPS


def _read_rotation(path: Path) -> int:
    """Degrees counter-clockwise, 0/90/180/270, by which a decoded picture must be turned."""
    with open_video(path) as (container, stream):
        for count, packet in enumerate(_packets(container, stream)):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                frames = []
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    return round(frame.rotation / 90) * 90 % 360
            if count >= _FIRST_FRAME_PACKET_COUNT:
                break
    return 0
