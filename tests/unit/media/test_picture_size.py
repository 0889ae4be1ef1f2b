"""The size of a JPEG or PNG picture from its header."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.media.picture_size import jpeg_size_px, png_size_px


def jpeg(width_px: int, height_px: int, *flags: int) -> bytes:
    pixels = np.zeros((height_px, width_px, 3), np.uint8)
    return cv2.imencode(".jpg", pixels, list(flags))[1].tobytes()


@pytest.mark.parametrize("size_px", [(1, 1), (80, 60), (1920, 8), (3, 4000)])
def test_the_header_says_the_size(size_px: tuple[int, int]) -> None:
    assert jpeg_size_px(jpeg(*size_px)) == size_px
    assert jpeg_size_px(jpeg(*size_px, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)) == size_px


def test_what_stands_before_the_header_is_passed_over() -> None:
    plain = jpeg(80, 60)
    comment = b"\xff\xfe\x00\x10" + b"\xff\xc0" * 7
    assert jpeg_size_px(plain[:2] + comment + b"\xff" + plain[2:]) == (80, 60)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\x89PNG\r\n", b"\xff\xd8\xff" * 9, b"GIF89a"])
def test_what_is_none_has_no_size(data: bytes) -> None:
    assert jpeg_size_px(data) is None


@given(st.binary(max_size=200))
def test_any_bytes_end(data: bytes) -> None:
    jpeg_size_px(b"\xff\xd8" + data)
    png_size_px(b"\x89PNG\r\n\x1a\n" + data)


def test_a_png_says_its_size() -> None:
    data = cv2.imencode(".png", np.zeros((60, 80, 3), np.uint8))[1].tobytes()
    assert png_size_px(data) == (80, 60)
    assert jpeg_size_px(data) is None
    assert png_size_px(jpeg(80, 60)) is None
    assert png_size_px(data[:23]) is None
