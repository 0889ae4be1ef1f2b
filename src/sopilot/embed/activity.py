"""Where the work happens: dense movement between two frames, freed of the camera's own, and the
centre of it, around which the close view is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.embed.pictures import shrunk
from sopilot.media.middle import median

CENTRE_PRIOR: Final = 0.5  # weight of the picture centre; decides only where nothing moves
NOISE_FACTOR: Final = 1.2
SPEED_LIMIT_PX: Final = 6.0
CHANGE_LEVELS: Final = (1.0, 4.0)  # grey levels of change: none of the movement .. all of it
_COARSE: Final = 4  # the activity map is this many times smaller than the picture
_BLUR: Final = 0.8


@dataclass(frozen=True, slots=True)
class Activity:
    """Centroid of the movement in pixels and its weight (squared speed, summed)."""

    x_px: float
    y_px: float
    weight: float


class FlowMeter:
    """Dense inverse search flow, fastest preset; holds the solver's buffers (Kroeger 2016)."""

    def __init__(self) -> None:
        # Any: the stubs demand a flow to start from, which would be taken as a first guess.
        self._solver: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def residual(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(h, w, 2) float32 movement in pixels between two grey pictures, without its median.

        Flat areas make the solver invent movement; it is believed only where the picture changed.
        """
        flow: NDArray[np.float32] = self._solver.calc(before, after, None)
        sample = flow[2::_COARSE, 2::_COARSE].reshape(-1, 2)
        flow -= median(sample)
        flow *= _believed(before, after)[..., None]
        return flow


def _believed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(h, w) 0-1: how much the neighbourhood of a pixel changed, above noise."""
    height, width = before.shape
    size = (max(1, width // _COARSE), max(1, height // _COARSE))
    coarse = shrunk(cv2.absdiff(before, after), *size).astype(np.float32)
    change = cv2.GaussianBlur(coarse, (0, 0), _BLUR)
    # Half of the picture hardly ever works: its change is the sensor's noise or a shaking camera.
    noise = np.float32(NOISE_FACTOR * median(change.ravel()))
    low, high = CHANGE_LEVELS
    share = np.clip((change - noise - low) / (high - low), 0, 1)
    return np.asarray(cv2.resize(share, (width, height)), np.float32)


def activity_of(flow: NDArray[np.float32]) -> Activity:
    """Centre and weight of the movement in an (h, w, 2) flow."""
    height, width = flow.shape[:2]
    squares = flow * flow
    # Not cv2.magnitude: its last bit depends on where the memory happens to lie.
    speed = np.minimum(np.sqrt(squares[..., 0] + squares[..., 1]), np.float32(SPEED_LIMIT_PX))
    size = (max(1, width // _COARSE), max(1, height // _COARSE))
    coarse = cv2.GaussianBlur(cv2.resize(speed, size, interpolation=cv2.INTER_AREA), (0, 0), _BLUR)
    weights = coarse * coarse
    total = float(weights.sum()) + 1e-9
    columns, rows = weights.sum(axis=0), weights.sum(axis=1)
    x = float(columns @ (np.arange(size[0]) + 0.5)) / total * width / size[0]
    y = float(rows @ (np.arange(size[1]) + 0.5)) / total * height / size[1]
    return Activity(x, y, total * _COARSE * _COARSE)


def common_centre(near: Sequence[Activity], width_px: int, height_px: int) -> tuple[float, float]:
    """Centre in pixels of the neighbouring moments' movement, each by its weight."""
    total = sum(item.weight for item in near) + CENTRE_PRIOR
    x = sum(item.weight * item.x_px for item in near) + CENTRE_PRIOR * width_px / 2
    y = sum(item.weight * item.y_px for item in near) + CENTRE_PRIOR * height_px / 2
    return x / total, y / total
