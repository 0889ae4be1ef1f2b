"""What tests of incidents share: videos of known truth, and eyes that see it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vlm_server import Asked, burn_clock, clocks, red_share

from sopilot.media.encode import VideoWriter

FPS = 20.0
SIZE = (320, 180)
RED_SEEN = 0.01
"""Share of red pixels from which a picture shows the square."""


def write_scene(
    path: Path,
    red_sec: Sequence[tuple[float, float]] = (),
    length_sec: float = 12.0,
    *,
    has_clock: bool = True,
    dark_from_sec: float | None = None,
) -> Path:
    """A hall in which something always moves; a red square stands there during `red_sec`, and every
    frame carries its own time."""
    dice = np.random.default_rng(5)
    wall = np.kron(dice.integers(60, 150, (18, 32, 3)).astype(np.uint8), np.ones((10, 10, 1)))
    with VideoWriter(path, SIZE, fps=FPS) as writer:
        for index in range(round(length_sec * FPS)):
            time_sec = index / FPS
            pixels = wall.astype(np.uint8)
            left = int(100 + 60 * np.sin(2 * time_sec))
            pixels[120:150, left : left + 30] = 230
            if any(first <= time_sec < last for first, last in red_sec):
                pixels[60:110, 200:260] = (0, 0, 255)
            if dark_from_sec is not None and time_sec >= dark_from_sec:
                pixels = (pixels * 0.1).astype(np.uint8)
            if has_clock:
                burn_clock(pixels, time_sec)
            writer.write(pixels)
    return path


def red_ratio(asked: Asked) -> float:
    """Share of the pictures that show the red square."""
    seen = [red_share(item.pixels) > RED_SEEN for item in asked.pictures]
    return sum(seen) / max(1, len(seen))


def sees_red(asked: Asked, kind: str = "FALLING_LOAD", least: float = 0.3) -> Any:
    """An answer of the wanted form about the red square, if at least this share of the pictures
    shows it; a model that averages misses what is shorter."""
    assert asked.schema is not None
    fields = asked.schema["properties"]
    if set(fields) == {"domain"}:
        return {"domain": "production"}
    is_red = red_ratio(asked) >= least
    risk = 0.9 if is_red else 0.1
    text = "A red square stands on the floor" if is_red else "The hall is as usual"
    if "has_event" in fields:
        return {"has_event": is_red, "description": text, "risk_score": risk}
    ids = asked.schema["$defs"]["Answers"]["required"]
    return {
        "window": fields["window"]["minimum"],
        "caption": text,
        "answers": {name: is_red and name == kind for name in ids},
        "risk_score": risk,
    }


def stated_times_are_true(asked: Sequence[Asked], tolerance_sec: float = 0.051) -> bool:
    """Does every picture carry the time that was stated before it?"""
    for item in asked:
        for stated, burned in zip(item.pictures, clocks(item.pictures), strict=True):
            if stated.time_sec is None or burned is None:
                return False
            if abs(stated.time_sec - burned) > tolerance_sec:
                return False
    return True


Pixels = NDArray[np.uint8]
