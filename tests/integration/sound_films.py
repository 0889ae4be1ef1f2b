"""Films with a tone at known times."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_RATE_HZ = 22_050
_FPS = 10


def write_film(
    path: Path,
    length_sec: float,
    tones: Sequence[tuple[float, float]] | None,
    *,
    sound_from: float = 0.0,
) -> Path:
    """Moving noise, and a tone of 440 Hz in each span; None = no sound track. sound_from: seconds
    at which the track begins."""
    dice = np.random.default_rng(2)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=_FPS)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        sound = None
        if tones is not None:
            sound = container.add_stream("aac", rate=_RATE_HZ)
            sound.layout = "mono"
        for index in range(round(length_sec * _FPS)):
            pixels = dice.integers(0, 255, (96, 160, 3)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, _FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            _write_tones(container, sound, length_sec, tones or (), sound_from)
    return path


def _write_tones(
    container: av.container.OutputContainer,
    sound: av.AudioStream,
    length_sec: float,
    tones: Sequence[tuple[float, float]],
    sound_from: float,
) -> None:
    times = np.arange(round(length_sec * _RATE_HZ)) / _RATE_HZ
    is_loud = np.zeros(len(times), bool)
    for start, end in tones:
        is_loud |= (times >= start) & (times < end)
    wave = (np.sin(2 * np.pi * 440 * times) * 12_000 * is_loud).astype(np.int16)
    first = round(sound_from * _RATE_HZ)
    for start in range(first, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "s16", "mono")
        frame.sample_rate, frame.pts = _RATE_HZ, start
        frame.time_base = Fraction(1, _RATE_HZ)
        container.mux(sound.encode(frame))
    container.mux(sound.encode(None))
