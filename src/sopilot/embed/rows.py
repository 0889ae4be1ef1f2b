"""From moving frames to rows: five times a second one record of everything the clip descriptors
need, kept on disk until the end of the video tells its background and its scene colour."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sopilot.embed.activity import Activity, FlowMeter, activity_of, common_centre
from sopilot.embed.crop import SEEN_LENGTH, TONE_SIDE, seen_in_crop
from sopilot.embed.framing import AS_SEEN, Framing
from sopilot.embed.layout import CELLS, SMALL_SIZE, motion_cells, motion_map, small_lab
from sopilot.embed.pictures import grey_of
from sopilot.embed.rhythm import motion_track
from sopilot.embed.spool import RowSpool

FRAMES_PER_ROW: Final = 2
NEAR_ROWS: Final = 3  # rows on either side that share a centre of activity: 0.6 s


def row_type(framing_count: int) -> np.dtype[Any]:
    """One row: the square in every framing, and the wide view."""
    return np.dtype(
        [
            ("seen", np.float16, (framing_count, SEEN_LENGTH)),
            ("tone", np.int16, (framing_count, TONE_SIDE, TONE_SIDE)),
            ("lab", np.uint8, (SMALL_SIZE[1], SMALL_SIZE[0], 3)),
            ("motion", np.float16, (CELLS,)),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """One frame as it is needed until its row is made."""

    picture: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    lab: NDArray[np.uint8]
    motion: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A row that waits for the activity of the rows after it."""

    look: _Look
    flow: NDArray[np.float32]
    motion: NDArray[np.float32]


class RowMaker:
    """Makes one row of every two frames; at most a dozen frames are in memory.

    framings: of the close view, each with its own part of a row.
    """

    def __init__(self, framings: Sequence[Framing] = (AS_SEEN,)) -> None:
        self._framings = tuple(framings)
        self.framing_count = len(self._framings)
        self._row_type = row_type(len(self._framings))
        self.rows = RowSpool(self._row_type)
        self.track = array("f")  # x, y, amount of movement, frame by frame
        self._flow = FlowMeter()
        self._before: _Look | None = None  # the frame before the open row
        self._open: _Look | None = None  # the first frame of a row
        self._activity: deque[Activity] = deque(maxlen=2 * NEAR_ROWS + 1)
        self._waiting: deque[_Waiting] = deque()

    def push(self, picture: NDArray[np.uint8]) -> None:
        """The next moving frame, (h, w, 3) bgr."""
        look = self._look(picture)
        if self._open is None:
            self._open = look
        else:
            self._close_row(look)

    def flush(self) -> None:
        """Make the rows that still wait; call once, after the last frame."""
        if self._open is not None:
            self._close_row(None)
        while self._waiting:
            self._emit()
            if len(self._activity) > NEAR_ROWS + 1:
                self._activity.popleft()

    def _look(self, picture: NDArray[np.uint8]) -> _Look:
        lab = small_lab(picture)
        last = self._open or self._before
        motion = motion_map(lab if last is None else last.lab, lab)
        self.track.extend(motion_track(motion))
        grey = grey_of(picture)
        return _Look(picture.copy(), grey, lab, motion_cells(motion))

    def _close_row(self, second: _Look | None) -> None:
        first = self._open
        if first is None:
            return
        pair = (first.grey, first.grey if second is None else second.grey)
        if self._before is not None and (second is None or np.array_equal(*pair)):
            # A source slower than the sampling repeats frames: look at the step before.
            pair = (self._before.grey, first.grey)
        flow = self._flow.residual(*pair)
        motion = first.motion if second is None else 0.5 * (first.motion + second.motion)
        self._activity.append(activity_of(flow))
        self._waiting.append(_Waiting(first, flow, motion))
        self._before, self._open = second, None
        if len(self._waiting) > NEAR_ROWS:
            self._emit()

    def _emit(self) -> None:
        item = self._waiting.popleft()
        height, width = item.look.grey.shape
        centre = common_centre(self._activity, width, height)
        row = np.zeros((), self._row_type)
        for number, framing in enumerate(self._framings):
            row["seen"][number], row["tone"][number] = seen_in_crop(
                item.look.picture, item.flow, centre, framing
            )
        row["lab"], row["motion"] = item.look.lab, item.motion
        self.rows.append(row)
