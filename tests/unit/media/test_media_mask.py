"""Privacy masks: what is parsed, what is painted."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from media_clips import texture

from sopilot.core.config import Settings
from sopilot.core.errors import BadSettings
from sopilot.media.mask import Mask, apply, parse_mask


def settings(**values: Any) -> Settings:
    return Settings(privacy_mask_enabled=True, **values)


def test_no_mask_unless_enabled() -> None:
    assert parse_mask(Settings(privacy_mask_rects="0:0:1:1")) is None


@pytest.mark.parametrize(
    ("text", "rects"),
    [
        ("0:0:0.5:1", ((0.0, 0.0, 0.5, 1.0),)),
        ("0:0:0.5:1; 0.6:0.6:1:1;", ((0.0, 0.0, 0.5, 1.0), (0.6, 0.6, 1.0, 1.0))),
        ("0:0:.1:.1,.2:.2:.3:.3", ((0.0, 0.0, 0.1, 0.1), (0.2, 0.2, 0.3, 0.3))),
        ("-1:-1:2:0.5", ((0.0, 0.0, 1.0, 0.5),)),
    ],
)
def test_rectangles_are_read_and_clamped(text: str, rects: tuple[Any, ...]) -> None:
    mask = parse_mask(settings(privacy_mask_rects=text, privacy_mask_mode="blur"))
    assert mask == Mask(rects, "blur")


@pytest.mark.parametrize("text", ["", "0:0:1", "a:b:c:d", "0.5:0:0.5:1", "1:1:0:0", "nan:0:1:1"])
def test_a_mask_that_covers_nothing_stops_the_start(text: str) -> None:
    with pytest.raises(BadSettings, match="SOPILOT_PRIVACY_MASK_RECTS"):
        parse_mask(settings(privacy_mask_rects=text))


@pytest.mark.parametrize("channels", [(3,), ()])
@pytest.mark.parametrize("mode", ["black", "blur"])
def test_only_the_rectangle_is_painted(
    mode: Literal["black", "blur"], channels: tuple[int, ...]
) -> None:
    picture = texture(80, 40)
    picture = picture if channels else picture[..., 0].copy()
    before = picture.copy()
    apply(Mask(((0.25, 0.25, 0.75, 0.75),), mode), picture)
    inside = np.s_[10:30, 20:60]
    detail = np.abs(np.diff(picture[inside].astype(float), axis=1)).mean()
    assert detail < 0.2 * np.abs(np.diff(before[inside].astype(float), axis=1)).mean()
    assert np.array_equal(picture[:8], before[:8])
    assert np.array_equal(picture[:, 62:], before[:, 62:])


def test_a_thin_rectangle_still_covers_a_pixel() -> None:
    picture = np.full((10, 10, 3), 255, np.uint8)
    apply(Mask(((0.501, 0.501, 0.502, 0.502),)), picture)
    assert picture[5, 5].max() == 0


def test_masks_differ_in_their_fingerprint() -> None:
    masks = [Mask(((0, 0, 1, 1),)), Mask(((0, 0, 1, 0.5),)), Mask(((0, 0, 1, 1),), "blur")]
    assert len({mask.fingerprint for mask in masks}) == 3
