"""The small picture of a clip: what passes through is gone, the video's ends are its ends."""

from __future__ import annotations

import numpy as np
import pytest
from embed_scenes import SCENE, features_of

from sopilot.embed.layout import SMALL_SIZE
from sopilot.embed.scene import SCENE_LENGTH, SCENE_SIZE, scene_of, scene_rows


def test_what_is_there_for_a_moment_is_gone() -> None:
    table = np.full((3, SMALL_SIZE[1], SMALL_SIZE[0], 3), 100, np.uint8)
    table[1, 4:20, 4:20] = 220
    assert (scene_of(table) == 100).all()


def test_a_picture_is_a_whole_number_per_channel_of_a_coarse_pixel() -> None:
    labs = np.random.default_rng(1).integers(0, 255, (3, 36, 64, 3), np.uint8)
    made = scene_of(labs)
    assert made.shape == (SCENE_LENGTH,) == (SCENE_SIZE[0] * SCENE_SIZE[1] * 3,)
    assert (made == made.astype(np.uint8)).all()


@pytest.mark.parametrize(
    ("count", "first", "last", "rows"),
    [
        (8, True, False, (0, 3)),
        (8, False, True, (5, 8)),
        (8, False, False, (2, 5)),
        (2, True, True, (0, 2)),
        (2, False, True, (0, 2)),
    ],
)
def test_the_ends_of_a_video_are_shown_as_they_are(
    count: int, first: bool, last: bool, rows: tuple[int, int]
) -> None:
    assert scene_rows(count, first, last) == slice(*rows)


def test_a_film_has_one_picture_per_clip_that_looks_like_it() -> None:
    made = features_of(SCENE)
    rows = made.block("scene")
    assert rows.shape == (made.clip_count, SCENE_LENGTH)
    # The table under the hand stays; the hand does not make it another picture.
    beside = np.abs(rows - np.median(rows, axis=0)).reshape(len(rows), -1, 3).max(axis=2)
    assert np.median(beside, axis=1).max() <= 2.0
