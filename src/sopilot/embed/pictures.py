"""The few picture conversions that every descriptor starts from."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def grey_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w) brightness of an (h, w, 3) bgr picture."""
    return _array(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def lab_of(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w, 3) Lab of an (h, w, 3) bgr picture, 0-255 with a and b around 128."""
    return _array(cv2.cvtColor(picture, cv2.COLOR_BGR2LAB))


def shrunk(picture: NDArray[Any], width_px: int, height_px: int) -> NDArray[Any]:
    """The picture (h, w) or (h, w, c) by area averages at a smaller size, same dtype."""
    return _array(cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA))


def _array(value: Any) -> NDArray[Any]:
    return np.asarray(value)
