"""Pictures are found by how they look: what is there before where, both before neither."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sopilot.core.errors import InputError
from sopilot.embed.look import DIM, LookEmbedder, decoded

LOOK = LookEmbedder()
RED, BLUE, GREEN = (40, 40, 220), (220, 60, 40), (40, 200, 60)


def room(seed: int = 1, size: tuple[int, int] = (320, 180)) -> NDArray[np.uint8]:
    """A picture with soft structure, as a wall and a floor have."""
    noise = np.random.default_rng(seed).integers(60, 190, (9, 16, 3), np.uint8)
    return np.asarray(cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def with_box(
    picture: NDArray[np.uint8], colour: tuple[int, int, int], x: float, y: float
) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    out = picture.copy()
    side = height // 5
    corner = (round(x * width), round(y * height))
    cv2.rectangle(out, corner, (corner[0] + side, corner[1] + side), colour, -1)
    return out


def alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other)


def test_vectors_have_unit_length_and_repeat() -> None:
    pictures = [room(1), room(2, (96, 64)), np.zeros((20, 30, 3), np.uint8)]
    vectors = LOOK.of_pictures(pictures)
    assert vectors.shape == (3, DIM)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.array_equal(vectors, LOOK.of_pictures(pictures))


def test_the_same_place_in_another_size_is_more_alike_than_another_place() -> None:
    here, small, elsewhere = LOOK.of_pictures([room(1), room(1, (160, 90)), room(5)])
    assert alike(here, small) > 0.95
    assert alike(here, elsewhere) < 0.8


def test_before_its_background_a_moment_is_known_by_what_is_there() -> None:
    empty = room(1)
    shown = [with_box(empty, colour, x, 0.5) for colour in (RED, BLUE) for x in (0.1, 0.7)]
    background = LOOK.background_of([empty, *shown, empty])
    noise = np.random.default_rng(3).normal(0, 3, empty.shape)
    noisy = np.clip(with_box(empty, RED, 0.11, 0.5) + noise, 0, 255).astype(np.uint8)
    asked, *kept = LOOK.of_pictures([noisy, empty, *shown], background)
    likeness = [alike(asked, item) for item in kept]
    assert int(np.argmax(likeness)) == 1  # red, at the left
    assert likeness[1] > 0.9
    assert min(likeness[2], likeness[3]) > likeness[4]  # one of colour and place before neither
    assert likeness[0] < 0.75  # the empty room


def test_few_pictures_have_no_background() -> None:
    assert LOOK.background_of([room(1), room(1)]) is None


def test_it_knows_no_words() -> None:
    assert not LOOK.knows_words
    with pytest.raises(InputError, match="by a picture"):
        LOOK.of_text("a red box")


def test_what_is_no_picture_is_refused() -> None:
    assert decoded(cv2.imencode(".png", room(1))[1].tobytes()).shape == (180, 320, 3)
    with pytest.raises(InputError, match="no picture"):
        decoded(b"GIF89a, but not really")


def test_a_picture_that_would_fill_the_memory_is_not_opened() -> None:
    small = cv2.imencode(".png", room(1))[1].tobytes()
    claimed = small[:16] + (60_000).to_bytes(4) * 2 + small[24:]
    with pytest.raises(InputError, match="60000x60000"):
        decoded(claimed)
