"""Footage of three cameras with crates and talk of known time, for the committed questions.

`questions.json` asks about it in words of three languages, by looks, within cameras and spans, and
about what never happened; `sopilot eval retrieval --ask` puts them to an installation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sopilot.media.encode import VideoWriter

QUESTIONS = Path(__file__).with_name("questions.json")
FPS, LENGTH_SEC = 10.0, 120.0
SIZE_PX = (320, 180)
_COLOURS = {"red": (0, 0, 230), "blue": (230, 60, 0), "green": (40, 200, 40)}  # bgr
_LEFT_PX = {"red": 40, "blue": 130, "green": 220}


@dataclass(frozen=True, slots=True)
class Camera:
    """A video. crates: (colour, from, to) in seconds. talk: (from, to, text)."""

    seed: int
    crates: Sequence[tuple[str, float, float]]
    talk: Sequence[tuple[float, float, str]]


CAMERAS: Mapping[str, Camera] = {
    "yard": Camera(
        1,
        (("red", 12, 20), ("blue", 50, 58), ("red", 88, 96)),
        (
            (12, 16, "The forklift is blocked by a red crate."),
            (22, 25, "Anna moves the crate away from the lane."),
            (50, 54, "A blue box fell off the pallet."),
            (60, 63, "Somebody cleans up the spilled paint."),
            (89, 93, "The red crate is back again, and the driver stops."),
        ),
    ),
    "gate": Camera(
        2,
        (("red", 30, 38), ("green", 70, 78)),
        (
            (10, 13, "Водитель остановил погрузчик у ворот."),
            (30, 34, "Красный ящик стоит на проезде."),
            (45, 48, "Охранник открыл ворота грузовику."),
            (71, 75, "Зелёную коробку унесли на склад."),
        ),
    ),
    "hall": Camera(
        3,
        (("blue", 20, 26), ("blue", 80, 86)),
        (
            (5, 9, "フォークリフトが停止しました。"),
            (20, 24, "青い箱が通路に置かれています。"),
            (40, 44, "作業員がヘルメットをかぶっていません。"),
            (80, 85, "非常口の前に箱があります。"),
        ),
    ),
}


def write_camera(name: str, folder: Path) -> tuple[Path, str]:
    """The file of a camera, called `<name>.mp4`, and its talk as WebVTT."""
    camera = CAMERAS[name]
    dice = np.random.default_rng(camera.seed)
    wall = np.kron(dice.integers(70, 140, (18, 32, 3)).astype(np.uint8), np.ones((10, 10, 1)))
    path = folder / f"{name}.mp4"
    with VideoWriter(path, SIZE_PX, fps=FPS) as writer:
        for index in range(round(LENGTH_SEC * FPS)):
            pixels = wall.astype(np.uint8)
            left = (index * 3) % 300
            pixels[150:160, left : left + 12] = 230  # somebody walks by, all the time
            for colour, start, end in camera.crates:
                if start <= index / FPS < end:
                    pixels[70:130, _LEFT_PX[colour] : _LEFT_PX[colour] + 60] = _COLOURS[colour]
            writer.write(pixels)
    cues = [f"{_clock(start)} --> {_clock(end)}\n{text}\n" for start, end, text in camera.talk]
    return path, "WEBVTT\n\n" + "\n".join(cues)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}.000"
