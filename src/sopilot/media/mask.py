"""Privacy masks: rectangles painted before any consumer sees a picture.

Applied inside `decode.run_pass`, so features, thumbnails and quality never hold what is masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import BadSettings

if TYPE_CHECKING:  # the decoder child starts without the settings' libraries
    from sopilot.core.config import Settings

MaskMode = Literal["black", "blur"]
Rect = tuple[float, float, float, float]

# A blurred rectangle keeps this many cells on its longer side: too few to know a face or a text.
_BLUR_CELLS = 4

FACE_METHOD = "faces:blazeface-1"
"""Version of the face detection and blur; part of the fingerprint."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Rectangles (x1, y1, x2, y2) in 0-1 of the upright picture, and how they are painted."""

    rects: tuple[Rect, ...]
    mode: MaskMode = "black"
    has_face_blur: bool = False

    @property
    def fingerprint(self) -> str:
        """Text form for the settings of a Producer: masked arrays differ from unmasked ones."""
        rects = ";".join(":".join(f"{x:g}" for x in rect) for rect in self.rects)
        return f"{self.mode} {rects}" + (f" {FACE_METHOD}" if self.has_face_blur else "")


def parse_mask(settings: Settings) -> Mask | None:
    """The mask that the settings ask for; None when masking is off.

    Rectangles are `x1:y1:x2:y2` separated by `;` or `,`, clamped to 0-1. Raises BadSettings for a
    malformed or inverted rectangle, for masking switched on without any rectangle or face blur (a
    mask that silently covers nothing would be a leak), and for what needs masking without it.
    """
    if not settings.privacy_mask_enabled:
        if settings.privacy_face_blur or not settings.privacy_keep_raw:
            name = "FACE_BLUR is true" if settings.privacy_face_blur else "KEEP_RAW is false"
            raise BadSettings(
                f"SOPILOT_PRIVACY_{name} but SOPILOT_PRIVACY_MASK_ENABLED is false; enable the "
                "mask, or leave the other setting out"
            )
        return None
    texts = [part.strip() for part in settings.privacy_mask_rects.replace(",", ";").split(";")]
    rects = tuple(_parse_rect(text) for text in texts if text)
    if not rects and not settings.privacy_face_blur:
        raise BadSettings(
            "SOPILOT_PRIVACY_MASK_ENABLED is true but SOPILOT_PRIVACY_MASK_RECTS is empty; give "
            "at least one x1:y1:x2:y2 in 0-1, set SOPILOT_PRIVACY_FACE_BLUR=true, or "
            "switch the mask off"
        )
    return Mask(rects, settings.privacy_mask_mode, settings.privacy_face_blur)


def _parse_rect(text: str) -> Rect:
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(":"))
    except ValueError:
        raise BadSettings(
            f"SOPILOT_PRIVACY_MASK_RECTS: {text!r} is not x1:y1:x2:y2 with four numbers in 0-1"
        ) from None
    if not all(isfinite(value) for value in (x1, y1, x2, y2)):
        raise BadSettings(f"SOPILOT_PRIVACY_MASK_RECTS: {text!r} must hold finite numbers in 0-1")
    x1, y1, x2, y2 = (min(max(value, 0.0), 1.0) for value in (x1, y1, x2, y2))
    if x2 <= x1 or y2 <= y1:
        raise BadSettings(
            f"SOPILOT_PRIVACY_MASK_RECTS: {text!r} is empty inside 0-1; need x1 < x2 and y1 < y2"
        )
    return x1, y1, x2, y2


def apply(mask: Mask, picture: NDArray[np.uint8]) -> None:
    """Paint the mask into a picture in place: (h, w, 3) or (h, w) uint8, writeable.

    Rectangles are widened by one pixel on every side: scaling mixed the neighbours already.
    """
    height_px, width_px = picture.shape[:2]
    for x1, y1, x2, y2 in mask.rects:
        left, right = max(0, floor(x1 * width_px) - 1), min(width_px, ceil(x2 * width_px) + 1)
        top, bottom = max(0, floor(y1 * height_px) - 1), min(height_px, ceil(y2 * height_px) + 1)
        region = picture[top:bottom, left:right]
        region[...] = 0 if mask.mode == "black" else _blurred(region)


def _blurred(region: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height_px, width_px = region.shape[:2]
    longer_px = max(height_px, width_px)
    cells = (
        max(1, round(_BLUR_CELLS * width_px / longer_px)),
        max(1, round(_BLUR_CELLS * height_px / longer_px)),
    )
    small = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(small, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    return blurred.reshape(region.shape).astype(np.uint8)
