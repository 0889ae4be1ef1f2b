"""Videos with real faces and their boxes: photographs moved over a real picture.

The astronaut (NASA, public domain) and the faces of LFW that scikit-image ships; the ground is a
frame of the footage beside the repository, or scikit-image's coffee cup where that is not there.
Used by `benchmarks.faces` and by tests of the face blur.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.media.encode import VideoWriter

Picture = NDArray[np.uint8]
Box = tuple[float, float, float, float]

_DATA = Path(os.environ.get("SOPILOT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
# Brow to chin, ear to ear in the astronaut's picture; around it what is cut out with it.
_FACE = (182, 62, 270, 170)
_AROUND = 1.25


@dataclass(frozen=True, slots=True)
class Head:
    """A square cut-out around a face that fills its middle; alpha: (h, w, 1) 0-1."""

    picture: Picture
    alpha: NDArray[np.float32]
    face_px: int

    def scaled(self, face_px: int) -> Head:
        """With a face of this height."""
        ratio = face_px / self.face_px
        kernel = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(self.picture, None, fx=ratio, fy=ratio, interpolation=kernel)
        alpha = cv2.resize(self.alpha, (picture.shape[1], picture.shape[0]))
        return Head(picture.astype(np.uint8), alpha[:, :, None].astype(np.float32), face_px)

    def mirrored(self) -> Head:
        """As in a mirror."""
        flip = np.ascontiguousarray
        return Head(flip(self.picture[:, ::-1]), flip(self.alpha[:, ::-1]), self.face_px)


@dataclass(frozen=True, slots=True)
class Walk:
    """A head whose face moves from one centre to another (x, y in pixels) between two frames."""

    head: Head
    start_px: tuple[float, float]
    end_px: tuple[float, float]
    first_frame: int = 0
    last_frame: int = 1 << 30

    def centre_px(self, index: int, count: int) -> tuple[float, float] | None:
        """Where it is in frame `index` of `count`; None = not in the picture."""
        last = min(self.last_frame, count - 1)
        if not self.first_frame <= index <= last:
            return None
        share = (index - self.first_frame) / max(1, last - self.first_frame)
        (x1, y1), (x2, y2) = self.start_px, self.end_px
        return x1 + share * (x2 - x1), y1 + share * (y2 - y1)


def astronaut(turned_deg: float = 0.0) -> Head:
    """The head of a woman who looks into the camera, turned in the plane of the picture."""
    picture = _photograph("astronaut.png")
    x1, y1, x2, y2 = _FACE
    centre, face_px = ((x1 + x2) / 2, (y1 + y2) / 2), y2 - y1
    turn = cv2.getRotationMatrix2D(centre, turned_deg, 1.0)
    half = round(_AROUND * face_px)
    turn[:, 2] += (half - centre[0], half - centre[1])
    cut = cv2.warpAffine(picture, turn, (2 * half, 2 * half), borderMode=cv2.BORDER_REPLICATE)
    return Head(cut.astype(np.uint8), _feathered(2 * half), face_px)


def lfw_heads() -> list[Head]:
    """100 persons of LFW, whose cut-outs end at brow and chin, set into the astronaut's head, gray.

    A face alone is no picture that a camera takes; with foreign hair it is near to one.
    """
    head = astronaut()
    gray = cv2.cvtColor(cv2.cvtColor(head.picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    side = round(1.12 * head.face_px)
    first = (gray.shape[0] - side) // 2
    away_y, away_x = (np.mgrid[:side, :side] - (side - 1) / 2) / side
    alpha = np.clip((1.0 - np.hypot(away_x / 0.43, away_y / 0.5)) / 0.18, 0, 1)[:, :, None]
    heads = []
    for face in np.load(_skimage_data() / "lfw_subset.npy")[:100]:
        large = cv2.resize(
            (face * 255).astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC
        )
        picture = gray.copy()
        place = picture[first : first + side, first : first + side]
        place[...] = (place * (1 - alpha) + large[:, :, None] * alpha).astype(np.uint8)
        heads.append(Head(picture.astype(np.uint8), head.alpha, head.face_px))
    return heads


def ground(size_px: tuple[int, int]) -> Picture:
    """A real picture without a face, (h, w, 3) bgr."""
    path = _DATA / "footage" / "bottle-detection.mp4"
    if path.exists():
        with av.open(str(path)) as container:
            picture = next(container.decode(video=0)).to_ndarray(format="bgr24")
    else:
        picture = _photograph("coffee.png")
    return cv2.resize(picture, size_px, interpolation=cv2.INTER_AREA).astype(np.uint8)


def write_faces(
    path: Path, back: Picture, walks: Sequence[Walk], count: int, fps: float
) -> list[list[Box]]:
    """The video; returns for every frame the boxes (x1, y1, x2, y2) of its faces in pixels.

    Every frame has sensor noise of its own, so that nothing in it stands quite still.
    """
    height_px, width_px = back.shape[:2]
    rng = np.random.default_rng(5)
    boxes: list[list[Box]] = []
    with VideoWriter(path, (width_px, height_px), fps=fps, options={"crf": "16"}) as writer:
        for index in range(count):
            picture = back.copy()
            boxes.append([])
            for walk in walks:
                centre = walk.centre_px(index, count)
                if centre is not None:
                    boxes[-1].append(paste(picture, walk.head, centre))
            noisy = picture + rng.normal(0, 2, picture.shape)
            writer.write(np.clip(noisy, 0, 255).astype(np.uint8))
    return boxes


def paste(picture: Picture, head: Head, centre_px: tuple[float, float]) -> Box:
    """Draw the head into the picture; returns the box of its face (x1, y1, x2, y2) in pixels."""
    height_px, width_px = picture.shape[:2]
    side = head.picture.shape[0]
    x, y = round(centre_px[0] - side / 2), round(centre_px[1] - side / 2)
    x1, y1, x2, y2 = max(0, x), max(0, y), min(width_px, x + side), min(height_px, y + side)
    part = (slice(y1 - y, y2 - y), slice(x1 - x, x2 - x))
    alpha, below = head.alpha[part], picture[y1:y2, x1:x2]
    picture[y1:y2, x1:x2] = (below * (1 - alpha) + head.picture[part] * alpha).astype(np.uint8)
    half_w, half_h = 0.4 * head.face_px, 0.5 * head.face_px
    middle_x, middle_y = x + side / 2, y + side / 2
    return middle_x - half_w, middle_y - half_h, middle_x + half_w, middle_y + half_h


def _feathered(side: int) -> NDArray[np.float32]:
    """A disc with a soft edge, (side, side, 1)."""
    away = np.hypot(*(np.mgrid[:side, :side] - (side - 1) / 2)) / (side / 2)
    return np.clip((1.0 - away) / 0.12, 0, 1).astype(np.float32)[:, :, None]


def _photograph(name: str) -> Picture:
    picture = cv2.imread(str(_skimage_data() / name))
    if picture is None:
        raise FileNotFoundError(f"scikit-image has no {name}")
    return picture.astype(np.uint8)


def _skimage_data() -> Path:
    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("scikit-image is not installed (requirements/dev.in)")
    return Path(next(iter(found.submodule_search_locations))) / "data"
