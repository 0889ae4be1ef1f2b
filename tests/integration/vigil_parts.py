"""What tests of VIGIL share: footage with moments of known time, and eyes that see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from vlm_server import Asked, burn_clock

from sopilot.media.encode import VideoWriter

FPS = 10.0
SIZE = (320, 180)
COLOURS = {"red": (0, 0, 230), "blue": (230, 60, 0), "green": (40, 200, 40)}

TALK = """WEBVTT

00:08.000 --> 00:11.000
<v Anna>The forklift is blocked by a red crate.

00:30.000 --> 00:33.000
Водитель остановил погрузчик у ворот.

00:44.000 --> 00:47.000
フォークリフトが停止しました。
"""


def write_footage(
    path: Path,
    boxes: Sequence[tuple[str, float, float]] = (("red", 8, 14), ("blue", 30, 36)),
    length_sec: float = 60.0,
    seed: int = 5,
) -> Path:
    """A yard in which a crate of some colour stands for some time, at a place of its colour; every
    frame carries its own time."""
    dice = np.random.default_rng(seed)
    wall = np.kron(dice.integers(70, 140, (18, 32, 3)).astype(np.uint8), np.ones((10, 10, 1)))
    places = {"red": 40, "blue": 130, "green": 220}
    with VideoWriter(path, SIZE, fps=FPS) as writer:
        for index in range(round(length_sec * FPS)):
            time_sec = index / FPS
            pixels = wall.astype(np.uint8)
            pixels[150:160, (index * 3) % 300 : (index * 3) % 300 + 12] = 230
            for colour, first, last in boxes:
                if first <= time_sec < last:
                    left = places[colour]
                    pixels[70:130, left : left + 60] = COLOURS[colour]
            burn_clock(pixels, time_sec)
            writer.write(pixels)
    return path


def answers_with(asked: Asked, said: Mapping[str, Any]) -> dict[str, Any]:
    """An answer to a question, of the wanted form; evidence: all passages that were shown. Asked
    for the relevance of one, it is relevant."""
    assert asked.schema is not None
    if "relevant" in asked.schema["properties"]:
        return {"relevant": True}
    sentence = asked.schema["$defs"]["Sentence"]["properties"]["evidence"]["items"]
    ids = sentence.get("enum") or [sentence["const"]]
    filled = {"answerable": True, "unknowns": [], "sentences": []} | dict(said)
    filled["sentences"] = [
        {"text": text, "evidence": ids if cited is None else cited}
        for text, cited in filled["sentences"]
    ]
    return filled
