"""Faces of one picture: a small neural network looks at overlapping squares of it.

BlazeFace (full range, Apache-2.0, see `models/NOTICE.txt`), run by OpenCV. Where it is in doubt, a
frontal Haar cascade of OpenCV's wheel looks at that spot. A square in which nothing moved since it
was last searched is not searched again. Used by `media.face_cover`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import BadSettings
from sopilot.media.mask import parse_mask

if TYPE_CHECKING:  # the decoder child starts without the settings' libraries
    from sopilot.core.config import Settings

MODEL_PATH = Path(__file__).with_name("models") / "blazeface_full_range.tflite"
SURE_SCORE = 0.6
"""From here on the network alone is believed. Lower, hands at a sink are taken for faces
(benchmarks/README.md, faces)."""

# What may be a face: at least this, and the cascade agrees; or where a face was just before.
_DOUBTFUL_SCORE = 0.15
_LEAST_SCORE = 0.3
_CASCADE = "haarcascade_frontalface_alt2.xml"
# The spot is scaled so that the network's box is this large.
_CASCADE_BOX_PX = 48

_INPUT_PX = 192
_GRID = 48
_OUTPUTS = ("reshaped_classifier_face_4", "reshaped_regressor_face_4")
# Sides of the squares as a share of the shorter side: near faces, and those down to 1/20 of it.
_SIDES = (1.0, 0.55)
# Smaller squares are left out where they would hold less than this much of the network's input.
_LEAST_SQUARE_PX = 0.75 * _INPUT_PX
# Squares share this much of a side, so that a face lies whole in one of them.
_OVERLAP_RATIO = 0.15
_SAME_FACE_IOU = 0.3
# A square counts as unchanged while no cell's mean level of any colour moved by more than this.
_CELL_PX = 8
_STILL_LEVELS = 6.0

# The picture that is searched: its smaller squares are the network's input without scaling.
SEARCH_SHORTER_PX = round(_INPUT_PX / min(_SIDES))


@dataclass(frozen=True, slots=True)
class Face:
    """A box in pixels of the searched picture, from brow to chin, and the network's score (0-1).

    is_sure: it is a face, whatever came before or comes after."""

    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    is_sure: bool

    @property
    def size_px(self) -> float:
        """The longer side."""
        return max(self.x2 - self.x1, self.y2 - self.y1)

    @property
    def centre_px(self) -> tuple[float, float]:
        """(x, y)."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2


def load_detectors() -> tuple[cv2.dnn.Net, Any]:
    """The network and the cascade. Raises BadSettings when OpenCV cannot load them."""
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    try:
        network = cv2.dnn.readNetFromTFLite(str(MODEL_PATH))
        cascade = cv2.CascadeClassifier(str(Path(folder) / _CASCADE))
    except (cv2.error, AttributeError) as error:
        raise _unusable(str(MODEL_PATH)) from error
    if cascade.empty():
        raise _unusable(_CASCADE)
    return network, cascade


def _unusable(name: str) -> BadSettings:
    return BadSettings(
        f"SOPILOT_PRIVACY_FACE_BLUR is true but OpenCV {cv2.__version__} cannot load {name}; "
        "install opencv-python-headless 4.12 to 4.x and the whole package of this program, or "
        "switch the face blur off"
    )


def check_mask(settings: Settings) -> None:
    """Raise BadSettings when the privacy settings cannot be honoured on this machine."""
    mask = parse_mask(settings)
    if mask is not None and mask.has_face_blur:
        load_detectors()


def search_size(width_px: int, height_px: int) -> tuple[int, int]:
    """(width, height) of the picture to search for an upright video of this size; never larger."""
    ratio = min(1.0, SEARCH_SHORTER_PX / min(width_px, height_px))
    return max(1, round(width_px * ratio)), max(1, round(height_px * ratio))


@dataclass(slots=True)
class _Square:
    """A square of the picture, what it looked like when it was searched, and what was found."""

    x: int
    y: int
    side: int
    seen: NDArray[np.float32] | None = None
    faces: list[Face] = field(default_factory=list)


class FaceFinder:
    """Finds the faces of pictures of one size; remembers the squares that did not change."""

    def __init__(self, size_px: tuple[int, int]) -> None:
        self._network, self._cascade = load_detectors()
        self._squares = _squares(*size_px)
        self.searched_count = 0

    def find(self, picture: NDArray[np.uint8]) -> list[Face]:
        """What is or may be a face in an upright (h, w, 3) bgr picture.

        About 9 ms of one core per square that changed; 10 squares cover 16:9, 8 cover 4:3.
        Source: benchmarks/results/faces.json.
        """
        height_px, width_px = picture.shape[:2]
        cells_px = (max(1, width_px // _CELL_PX), max(1, height_px // _CELL_PX))
        cells = cv2.resize(picture, cells_px, interpolation=cv2.INTER_AREA).astype(np.float32)
        for square in self._squares:
            part = _part(cells, square)
            if square.seen is None or np.abs(part - square.seen).max() > _STILL_LEVELS:
                square.seen, square.faces = part, self._search(picture, square)
        return _distinct([face for square in self._squares for face in square.faces])

    def _search(self, picture: NDArray[np.uint8], square: _Square) -> list[Face]:
        self.searched_count += 1
        end_x, end_y = square.x + square.side, square.y + square.side
        blob = cv2.dnn.blobFromImage(
            picture[square.y : end_y, square.x : end_x],
            scalefactor=1 / 127.5,
            size=(_INPUT_PX, _INPUT_PX),
            mean=(127.5, 127.5, 127.5),
            swapRB=True,
        )
        self._network.setInput(blob)
        logits, boxes = self._network.forward(_OUTPUTS)
        found = _decoded(
            np.asarray(logits[0, :, 0], np.float32), np.asarray(boxes[0], np.float32), square
        )
        looked_at = [
            face if face.is_sure else replace(face, is_sure=self._is_confirmed(picture, face))
            for face in found
        ]
        return [face for face in looked_at if face.is_sure or face.score >= _LEAST_SCORE]

    def _is_confirmed(self, picture: NDArray[np.uint8], face: Face) -> bool:
        """Whether the cascade sees a face of about this size at this spot; 2 ms."""
        (x, y), size_px = face.centre_px, face.size_px
        left, top = max(0, round(x - size_px)), max(0, round(y - 1.1 * size_px))
        spot = picture[top : round(y + 0.9 * size_px), left : round(x + size_px)]
        if min(spot.shape[:2]) < size_px / 2:
            return False
        scale = _CASCADE_BOX_PX / size_px
        kernel = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        gray = cv2.cvtColor(spot, cv2.COLOR_BGR2GRAY)
        even = cv2.equalizeHist(cv2.resize(gray, None, fx=scale, fy=scale, interpolation=kernel))
        least, most = round(_CASCADE_BOX_PX * 0.67), round(_CASCADE_BOX_PX * 1.75)
        found = self._cascade.detectMultiScale(
            even, scaleFactor=1.1, minNeighbors=2, minSize=(least, least), maxSize=(most, most)
        )
        return len(found) > 0


def _decoded(
    logits: NDArray[np.float32], boxes: NDArray[np.float32], square: _Square
) -> list[Face]:
    """The boxes of one square: (2304,) logits and (2304, 16) offsets from the cells' centres."""
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -100, 100)))
    (found,) = np.nonzero(scores >= _DOUBTFUL_SCORE)
    scale = square.side / _INPUT_PX
    faces = []
    for index in found:
        offset_x, offset_y, width, height = (float(value) for value in boxes[index, :4])
        row, column = divmod(int(index), _GRID)
        x = square.x + scale * (offset_x + (column + 0.5) * _INPUT_PX / _GRID)
        y = square.y + scale * (offset_y + (row + 0.5) * _INPUT_PX / _GRID)
        w, h = scale * width / 2, scale * height / 2
        if w > 0 and h > 0:
            score = float(scores[index])
            faces.append(Face(x - w, y - h, x + w, y + h, score, score >= SURE_SCORE))
    return _distinct(faces)


def _distinct(faces: list[Face]) -> list[Face]:
    """Each face once, the surest box of it."""
    boxes = [(face.x1, face.y1, face.x2 - face.x1, face.y2 - face.y1) for face in faces]
    scores = [face.score + face.is_sure for face in faces]
    kept = cv2.dnn.NMSBoxes(boxes, scores, _DOUBTFUL_SCORE, _SAME_FACE_IOU) if faces else ()
    return [faces[int(index)] for index in kept]


def _squares(width_px: int, height_px: int) -> list[_Square]:
    shorter_px = min(width_px, height_px)
    wanted = (round(ratio * shorter_px) for ratio in _SIDES)
    sides = [side for side in wanted if side == shorter_px or side >= _LEAST_SQUARE_PX]
    return [
        _Square(x, y, side)
        for side in sides
        for y in _starts(height_px, side)
        for x in _starts(width_px, side)
    ]


def _starts(length_px: int, side_px: int) -> list[int]:
    """Where squares begin so that they cover the length and overlap."""
    step_px = side_px * (1 - _OVERLAP_RATIO)
    count = 1 + max(0, ceil((length_px - side_px) / max(step_px, 1.0) - 1e-9))
    return [round(at) for at in np.linspace(0, length_px - side_px, count)]


def _part(cells: NDArray[np.float32], square: _Square) -> NDArray[np.float32]:
    first_x, first_y = square.x // _CELL_PX, square.y // _CELL_PX
    last_x = ceil((square.x + square.side) / _CELL_PX)
    last_y = ceil((square.y + square.side) / _CELL_PX)
    part: NDArray[np.float32] = cells[
        min(first_y, cells.shape[0] - 1) : last_y, min(first_x, cells.shape[1] - 1) : last_x
    ]
    return part
