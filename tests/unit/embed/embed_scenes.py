"""A made-up film of a moving hand, and the features that the default backend gives it."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import Role, VideoInfo
from sopilot.embed.base import VideoFeatures
from sopilot.embed.color_motion import ColorMotionConsumer, ColorMotionEmbedder

WIDTH, HEIGHT = 192, 108
_RNG = np.random.default_rng(11)
_TABLE = cv2.GaussianBlur(_RNG.integers(60, 180, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 2)
_HAND = cv2.GaussianBlur(_RNG.integers(0, 255, (30, 36, 3), np.uint8), (0, 0), 1.5) // 2 + (
    20,
    40,
    110,
)
Picture = NDArray[np.uint8]


def info(width: int = WIDTH, height: int = HEIGHT) -> VideoInfo:
    return VideoInfo(width, height, 0, 10, False, 10, "h264", "yuv420p", False, 1, "")


def _scene(index: int) -> Picture:
    """A hand that circles fast over the table and wanders slowly across it."""
    picture = _TABLE.copy()
    turn = index / 10 * 2 * np.pi
    x = int(80 + 45 * np.sin(index / 37) + 12 * np.cos(turn * (0.5 + index % 80 / 100)))
    y = int(38 + 20 * np.cos(index / 23) + 12 * np.sin(turn * 0.7))
    picture[y : y + 30, x : x + 36] = _HAND
    return picture


SCENE = [_scene(index) for index in range(140)]


def fed(pictures: Iterable[Picture], role: Role) -> tuple[ColorMotionConsumer, float]:
    """A consumer that took the pictures, and their duration in seconds."""
    consumer = ColorMotionEmbedder().consumer(info(), role)
    count = 0
    for picture in pictures:
        picture.setflags(write=False)
        consumer.take(count / 10, picture)
        count += 1
    return consumer, count / 10


def features_of(pictures: Iterable[Picture], role: Role = Role.TRAINEE) -> VideoFeatures:
    consumer, duration_sec = fed(pictures, role)
    return consumer.finish(duration_sec)
