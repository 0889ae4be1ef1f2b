"""Faces of a decoded frame, to be blurred: best effort, before any consumer sees the picture.

Haar cascades of OpenCV's wheel, frontal and both profiles. Used by `media.decode`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import BadSettings
from sopilot.media.mask import Mask, Rect, parse_mask

if TYPE_CHECKING:  # the decoder child starts without the settings' libraries
    from sopilot.core.config import Settings

DETECTION_PX = 640
"""Longer side of the picture that is searched."""

_CASCADES = ("haarcascade_frontalface_default.xml", "haarcascade_profileface.xml")
_LEAST_FACE_PX = 24
_MARGIN_RATIO = 0.25
# A face that is missed in between stays covered for this many frames.
_HELD_FRAMES = 15


def load_cascades() -> tuple[Any, ...]:
    """The frontal and the profile detector. Raises BadSettings when they cannot be loaded."""
    found = []
    for name in _CASCADES:
        folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
        maker = getattr(cv2, "CascadeClassifier", None)
        path = Path(folder) / name
        cascade = maker(str(path)) if maker is not None and path.is_file() else None
        if cascade is None or cascade.empty():
            raise BadSettings(
                f"SOPILOT_PRIVACY_FACE_BLUR is true but OpenCV {cv2.__version__} has no usable "
                f"{name}; install opencv-python-headless 4.12 to 4.x, or switch the face blur off"
            )
        found.append(cascade)
    return tuple(found)


def check_mask(settings: Settings) -> None:
    """Raise BadSettings when the privacy settings cannot be honoured on this machine."""
    mask = parse_mask(settings)
    if mask is not None and mask.has_face_blur:
        load_cascades()


class FaceFinder:
    """Finds faces frame by frame; remembers them for a moment."""

    def __init__(self) -> None:
        self._frontal, self._profile = load_cascades()
        self._recent: list[tuple[Rect, ...]] = []

    def find(self, gray: NDArray[np.uint8]) -> Mask:
        """What to blur in this frame, given as an upright (h, w) picture: faces of it and of the
        frames just before it."""
        height_px, width_px = gray.shape
        even = cv2.equalizeHist(gray)
        boxes = [*self._search(self._frontal, even), *self._search(self._profile, even)]
        mirrored = self._search(self._profile, cv2.flip(even, 1))
        boxes += [(width_px - x - w, y, w, h) for x, y, w, h in mirrored]
        rects = tuple(_widened(box, width_px, height_px) for box in boxes)
        self._recent = [*self._recent[-_HELD_FRAMES:], rects]
        return Mask(tuple(rect for held in self._recent for rect in held), "blur")

    @staticmethod
    def _search(cascade: Any, gray: Any) -> list[tuple[int, int, int, int]]:
        least = (_LEAST_FACE_PX, _LEAST_FACE_PX)
        found = cascade.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=4, minSize=least)
        return [(int(x), int(y), int(w), int(h)) for x, y, w, h in found]


def _widened(box: tuple[int, int, int, int], width_px: int, height_px: int) -> Rect:
    x, y, w, h = box
    aside, above = _MARGIN_RATIO * w, _MARGIN_RATIO * h
    return (
        max(0.0, (x - aside) / width_px),
        max(0.0, (y - above) / height_px),
        min(1.0, (x + w + aside) / width_px),
        min(1.0, (y + h + above) / height_px),
    )
