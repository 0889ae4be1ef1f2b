"""The default backend for stills, `look`: edges, colours and their places, and what stands out from
the video's own background. No weights; it knows likeness to the eye, never meaning.

A fixed camera shows nearly the same picture for hours, so a moment is told from another mostly by
what is not background; a picture from elsewhere has no background and is compared as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError
from sopilot.core.records import Producer
from sopilot.embed.hog import edge_histogram
from sopilot.embed.pictures import grey_of, lab_of, shrunk
from sopilot.embed.projection import sign_projection, unit_rows
from sopilot.media.middle import median
from sopilot.media.picture_size import jpeg_size_px, png_size_px

NAME: Final = "look"
VERSION: Final = "look-1"
DIM: Final = 512
MOST_PIXELS: Final = 50_000_000
"""Of a picture that is sent to be searched for: more than any camera of a phone takes."""
SAMPLE_COUNT: Final = 48
"""Pictures of a video that its background is taken from."""
_SIDE: Final = 64
_GRID: Final = (8, 8)
_COLOUR_BINS: Final = 9  # odd: grey lies in the middle of one
_WHOLE_WEIGHT: Final = 0.6
_CHANGE_LEVELS: Final = 20.0
"""Lab distance from the background that a change of the scene exceeds and noise does not."""
_FULL_RATIO: Final = 0.02
"""Share of changed pixels from which on the changed part has its full weight."""


@dataclass(frozen=True, slots=True)
class LookEmbedder:
    """Colours and edges as a `StillEmbedder`."""

    @property
    def producer(self) -> Producer:
        """What decides about the numbers."""
        settings = {
            "side_px": _SIDE,
            "grid": _GRID,
            "colour_bins": _COLOUR_BINS,
            "whole_weight": _WHOLE_WEIGHT,
            "change": (_CHANGE_LEVELS, _FULL_RATIO),
        }
        named = tuple((key, str(value)) for key, value in sorted(settings.items()))
        return Producer(NAME, VERSION, named)

    @property
    def dim(self) -> int:
        """Numbers per picture."""
        return DIM

    @property
    def knows_words(self) -> bool:
        """Never."""
        return False

    def background_of(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8] | None:
        """(64, 64, 3) Lab, the median of the pictures; None where there are fewer than three."""
        if len(pictures) < 3:
            return None
        labs = np.stack([_lab(picture) for picture in pictures])
        return np.asarray(median(labs), np.uint8)

    def of_pictures(
        self, pictures: Sequence[NDArray[np.uint8]], background: NDArray[np.uint8] | None = None
    ) -> NDArray[np.float32]:
        """(n, 512): 0.6 of the whole picture, the rest of what differs from the background."""
        rows = np.stack([_described(picture, background) for picture in pictures])
        return unit_rows(rows @ sign_projection(VERSION, rows.shape[1], DIM))

    def of_text(self, text: str) -> NDArray[np.float32]:
        """Raises InputError: these vectors know no words."""
        raise InputError(
            f"pictures cannot be found by words with the backend {NAME}; search the texts, or by "
            "a picture"
        )


def _lab(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return lab_of(np.asarray(shrunk(picture, _SIDE, _SIDE), np.uint8))


def _described(
    picture: NDArray[np.uint8], background: NDArray[np.uint8] | None
) -> NDArray[np.float32]:
    small = np.asarray(shrunk(picture, _SIDE, _SIDE), np.uint8)
    grey, lab = grey_of(small), lab_of(small)
    edges = _unit(edge_histogram(grey))
    whole = _unit(np.concatenate([edges, _unit(_places(lab.astype(np.float32) - 128.0)),
                                  _unit(_colours(lab, np.ones(lab.shape[:2], bool)))]))  # fmt: skip
    changed = np.zeros(_GRID[0] * _GRID[1] * 4 + _COLOUR_BINS**2, np.float32)
    if background is not None:
        changed = _changed(lab, background)
    return np.concatenate([whole * _WHOLE_WEIGHT, changed * (1.0 - _WHOLE_WEIGHT**2) ** 0.5])


def _changed(lab: NDArray[np.uint8], background: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What differs: where, in which direction of colour, and which colours are there now. Its
    length grows from 0 to 1 with the changed share of the picture."""
    difference = lab.astype(np.float32) - background.astype(np.float32)
    is_changed = np.linalg.norm(difference, axis=2) > _CHANGE_LEVELS
    share = float(is_changed.mean())
    if share == 0.0:
        return np.zeros(_GRID[0] * _GRID[1] * 4 + _COLOUR_BINS**2, np.float32)
    shift = _places(difference * is_changed[..., None])
    where = _places(is_changed[..., None].astype(np.float32))
    colours = _colours(lab, is_changed)
    parts = np.concatenate([_unit(shift), _unit(where), _unit(colours)])
    return _unit(parts) * np.float32(min(1.0, share / _FULL_RATIO) ** 0.5)


def _places(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of a (64, 64, c) map on the grid, flat."""
    return np.asarray(shrunk(values, *_GRID), np.float32).ravel()


def _colours(lab: NDArray[np.uint8], chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Root of the shares of the hues (a, b) among the chosen pixels, each by its chroma."""
    ab = lab[..., 1:].astype(np.int32)[chosen]
    chroma = np.hypot(ab[:, 0] - 128, ab[:, 1] - 128) + 4.0
    places = (ab[:, 0] * _COLOUR_BINS // 256) * _COLOUR_BINS + ab[:, 1] * _COLOUR_BINS // 256
    counts = np.bincount(places, chroma, _COLOUR_BINS**2)
    return np.asarray(np.sqrt(counts / max(float(counts.sum()), 1e-9)), np.float32)


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-9), np.float32)


def decoded(data: bytes) -> NDArray[np.uint8]:
    """(h, w, 3) bgr of a JPEG or PNG file. Raises InputError where it is none, or has more than
    MOST_PIXELS: few bytes may say a picture that fills the memory."""
    size_px = jpeg_size_px(data) or png_size_px(data)
    if size_px is not None and size_px[0] * size_px[1] > MOST_PIXELS:
        raise InputError(
            f"the picture has {size_px[0]}x{size_px[1]} pixels, at most {MOST_PIXELS} in all are "
            "taken; send a smaller one"
        )
    picture = (
        None if size_px is None else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    )
    if picture is None:
        raise InputError(f"{len(data)} bytes are no picture that can be read; send a JPEG or PNG")
    return np.asarray(picture, np.uint8)
