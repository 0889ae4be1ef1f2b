"""Freezes: found by span, cut out of the frames, and not confused with a calm or coded picture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sopilot.embed.freeze import FreezeGate

RNG = np.random.default_rng(3)
SCENE = RNG.integers(0, 255, (54, 96, 3), np.uint8)


def moving(index: int) -> NDArray[np.uint8]:
    return np.roll(SCENE, 3 * index, axis=1)


def through(pictures: list[NDArray[np.uint8]]) -> tuple[FreezeGate, list[float]]:
    gate, times = FreezeGate(0.1), []
    for index, picture in enumerate(pictures):
        times += [moment for moment, _ in gate.take(index / 10, picture)]
    times += [moment for moment, _ in gate.finish(len(pictures) / 10)]
    return gate, times


def test_a_freeze_is_a_span_and_its_frames_are_cut() -> None:
    gate, times = through([*map(moving, range(10)), *[moving(9)] * 20, *map(moving, range(10, 20))])
    assert [span.as_list() for span in gate.freezes] == [[0.9, 3.0]]
    assert times == pytest.approx([k / 10 for k in [*range(10), *range(30, 40)]])


@pytest.mark.parametrize("still_count", [0, 1, 7, 14])
def test_a_short_pause_is_no_freeze_and_loses_nothing(still_count: int) -> None:
    pictures = [*map(moving, range(9)), *[moving(8)] * still_count, *map(moving, range(9, 15))]
    gate, times = through(pictures)
    assert gate.freezes == []
    assert times == pytest.approx([k / 10 for k in range(len(pictures))])


def test_a_sync_frame_does_not_split_a_freeze() -> None:
    redrawn = np.clip(moving(9).astype(np.int16) + RNG.integers(-6, 7, SCENE.shape), 0, 255)
    still = [moving(9)] * 12 + [redrawn.astype(np.uint8)] * 13
    gate, _ = through([*map(moving, range(10)), *still, *map(moving, range(10, 14))])
    assert [span.as_list() for span in gate.freezes] == [[0.9, 3.5]]


def test_a_cut_between_two_stills_is_two_freezes() -> None:
    gate, _ = through([moving(0)] * 20 + [255 - moving(5)] * 20)
    assert [span.as_list() for span in gate.freezes] == [[0.0, 2.0], [2.0, 4.0]]


def test_a_calm_scene_with_a_living_sensor_is_no_freeze() -> None:
    pictures = []
    for _ in range(40):
        noisy = moving(0).astype(np.int16)
        noisy[RNG.random(SCENE.shape[:2]) < 0.02] += 4
        pictures.append(np.clip(noisy, 0, 255).astype(np.uint8))
    gate, times = through(pictures)
    assert gate.freezes == []
    assert len(times) == 40


def test_a_freeze_to_the_end_ends_with_the_video() -> None:
    gate, times = through([*map(moving, range(5)), *[moving(4)] * 30])
    assert [span.as_list() for span in gate.freezes] == [[0.4, 3.5]]
    assert len(times) == 5
