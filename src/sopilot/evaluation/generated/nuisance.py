"""What differs between two good recordings of one procedure: the operator and the recording.

`level` scales every range: 1 = another person on another day, 0.35 = a careful gold, 0 = none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sopilot.evaluation.generated.procedure import Colour, from_hsv

SKINS: tuple[Colour, ...] = ((138, 168, 214), (72, 104, 156), (205, 168, 120), (196, 198, 202))
"""Two skins, a blue glove, a white glove."""


@dataclass(frozen=True, slots=True)
class Operator:
    """How a person works; belongs to the execution. Factors have no unit."""

    tempo: float
    step_jitter: float
    pause_sec: float
    tremor_units: float
    scatter_units: float
    manner: float
    warp: float


@dataclass(frozen=True, slots=True)
class Recording:
    """How an execution is seen: light, camera, clothes, clutter; belongs to the recording."""

    gain: tuple[float, float, float]
    gamma: float
    light_drift: float
    rotation_deg: float
    zoom: float
    shift_units: tuple[float, float]
    shake_units: float
    sleeve: Colour
    skin: Colour
    hand_size: float
    clutter_count: int
    noise_sd: float
    crf: int
    seed: int


def draw_operator(rng: np.random.Generator, level: float) -> Operator:
    """A person's way of working; level >= 0."""
    return Operator(
        tempo=float(np.exp(rng.uniform(-0.2, 0.2) * level)),
        step_jitter=0.12 * level,
        pause_sec=0.45 * level,
        tremor_units=0.9 * level,
        scatter_units=3.0 * level,
        manner=0.10 * level,
        warp=0.45 * level,
    )


def draw_recording(rng: np.random.Generator, level: float) -> Recording:
    """A recording's light, camera and clothes; level >= 0."""

    def around(width: float) -> float:
        return float(rng.uniform(-width, width) * level)

    brightness = 1 + around(0.22)
    blue, green, red = (brightness * (1 + around(0.07)) for _ in range(3))
    sleeve = from_hsv(rng.uniform(0, 180), rng.uniform(20, 130), rng.uniform(60, 190))
    return Recording(
        gain=(blue, green, red),
        gamma=1 + around(0.15),
        light_drift=around(0.06),
        rotation_deg=around(2.0),
        zoom=1 + around(0.05),
        shift_units=(around(8), around(5)),
        shake_units=abs(around(1.0)),
        sleeve=sleeve,
        skin=SKINS[int(rng.integers(0, len(SKINS)))],
        hand_size=1 + around(0.12),
        clutter_count=int(rng.integers(0, 1 + int(4 * level))),
        noise_sd=float(rng.uniform(0.8, 0.8 + 3.5 * level)),
        crf=int(rng.integers(22, 23 + int(11 * level))),
        seed=int(rng.integers(0, 1 << 30)),
    )
