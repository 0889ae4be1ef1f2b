"""Opening a file with libav under the limits that untrusted input needs; used by probe and decode.

Only real video containers on the local disk are admitted: no playlists, no pictures, no network,
so a file can never make the reader open another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from sopilot.core.errors import BadUpload, ProbeError

# Names of libav demuxers: containers and elementary streams that hold moving pictures.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,"
    "asf,flv,live_flv,ogg,mxf,dv,rm,wtv,nut,mjpeg,yuv4mpegpipe"
)
_OPTIONS = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"}


def check_file(path: Path) -> int:
    """Size in bytes of a regular, non-empty file. Raises BadUpload otherwise."""
    if path.is_dir():
        raise BadUpload(f"{path} is a folder; give the path of one video file")
    if not path.is_file():
        raise BadUpload(f"{path}: no such file; check the path")
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise BadUpload(f"{path.name} is empty (0 bytes); upload the video again")
    return size_bytes


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first moving picture stream, set to one decoder thread.

    Raises BadUpload when the file holds no video, ProbeError when the container cannot be read.
    """
    check_file(path)
    try:
        container = av.open(
            str(path.resolve()), "r", container_options=_OPTIONS, metadata_errors="replace"
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise ProbeError(
            f"{path.name} cannot be read as a video ({_reason(error)}); upload a complete MP4, "
            "MOV, MKV, WebM, AVI or MPEG-TS file"
        ) from error
    try:
        yield container, _moving_stream(container, path.name)
    finally:
        container.close()


def _moving_stream(container: InputContainer, name: str) -> VideoStream:
    covers = 0
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            covers += 1
            continue
        if stream.codec_context is None:
            raise ProbeError(
                f"{name}: the video codec is unknown to this decoder; convert the file to H.264"
            )
        # One thread: the pass is deterministic and its CPU time is what it says.
        stream.codec_context.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        return stream
    found = "only a cover picture" if covers else "only sound" if container.streams.audio else ""
    raise BadUpload(
        f"{name} has no video stream{f' ({found})' if found else ''}; upload a video file"
    )


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    log = getattr(error, "log", None)
    detail = log[2].strip() if log else ""
    return f"{text}: {detail}" if detail else text
