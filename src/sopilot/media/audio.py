"""The sound of a video as numbers on the video's own clock, for whoever recognises speech.

Sample k of the file that is written was heard at k / 16000 s of the video: sound that begins later
or has holes is filled with silence, what lies before the first picture is cut off.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Final

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from sopilot.core.errors import DecodeError
from sopilot.core.records import Progress, no_progress
from sopilot.media.container import open_video

RATE_HZ: Final = 16_000
"""What speech models are trained on."""
_SLACK_SEC: Final = 0.05
"""By which stamps may be off without sound being moved."""
_PROGRESS_FRAMES: Final = 500


def write_sound(
    path: Path, target: Path, duration_sec: float, progress: Progress = no_progress
) -> bool:
    """Write the first sound track as 16-bit mono samples; False where there is none.

    duration_sec: of the video; what is heard after it is left out. Raises MediaError.
    O(length) time, O(1) memory.
    """
    with open_video(path) as (container, stream):
        if not container.streams.audio:
            return False
        sound = container.streams.audio[0]
        zero_sec = 0.0
        if stream.start_time is not None and stream.time_base is not None:
            zero_sec = float(stream.start_time * stream.time_base)
        most = round(duration_sec * RATE_HZ)
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        with target.open("wb") as file:
            written = 0
            try:
                for number, frame in enumerate(container.decode(sound)):
                    written = _put(file, frame, resampler, zero_sec, written, most)
                    if written >= most:
                        break
                    if number % _PROGRESS_FRAMES == 0:
                        progress(min(1.0, written / max(most, 1)))
            except av.error.FFmpegError as error:
                if written == 0:
                    raise DecodeError(
                        f"the sound of {path.name} cannot be read ({error}); import a transcript"
                    ) from error
                # What was heard up to the damage is kept: the pictures are judged by themselves.
    return True


def _put(
    file: IO[bytes],
    frame: AudioFrame,
    resampler: AudioResampler,
    zero_sec: float,
    written: int,
    most: int,
) -> int:
    """Write a frame at its place; how many samples there are now."""
    samples = np.concatenate(
        [np.asarray(part.to_ndarray(), np.int16).ravel() for part in resampler.resample(frame)]
        or [np.zeros(0, np.int16)]
    )
    if frame.time is not None and len(samples):
        place = round((frame.time - zero_sec) * RATE_HZ)
        off = place - written
        if off > _SLACK_SEC * RATE_HZ:
            written += _silence(file, min(off, most - written))
        elif off < -_SLACK_SEC * RATE_HZ:
            samples = samples[-off:]
    samples = samples[: max(0, most - written)]
    file.write(samples.tobytes())
    return written + len(samples)


def _silence(file: IO[bytes], count: int) -> int:
    """Write so many samples of nothing, second by second."""
    second = np.zeros(RATE_HZ, np.int16).tobytes()
    for first in range(0, count, RATE_HZ):
        file.write(second[: 2 * min(RATE_HZ, count - first)])
    return max(0, count)
