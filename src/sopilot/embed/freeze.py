"""Frozen pictures: finds runs without any change and keeps them from the descriptors, so that a
stall does not also look like a slow step. Streaming; holds at most one shortest run of frames.

A stalled camera repeats its picture exactly; after coding, less than a thousandth of the pixels
moves by two grey levels, but for a sync frame now and then, which redraws the picture without
moving anything. A calm scene with a living camera changes thirty times as many pixels. (Measured
on stalls put into real footage, H.264 crf 18-33 and MPEG-4.)
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.timespan import TimeSpan
from sopilot.embed.pictures import grey_of, shrunk

GREY_STEP: Final = 1  # a pixel has changed when it differs by more grey levels
STILL_RATIO: Final = 1.5e-3  # share of changed pixels below which two frames are the same
REDRAW_LEVELS: Final = 7  # a redrawn picture keeps its coarse brightness within this
REDRAW_FRAMES: Final = 3  # redrawing may take this many frames in a row
REDRAW_RATIO: Final = 0.2  # and this share of a run, plus one frame
SHORTEST_SEC: Final = 1.5
_COARSE_SIZE: Final = (24, 14)

Frame = tuple[float, NDArray[np.uint8]]


def changed_ratio(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Share of pixels, 0-1, that differ visibly between two grey pictures of one size."""
    difference = cv2.absdiff(before, after)
    _, changed = cv2.threshold(difference, GREY_STEP, 1, cv2.THRESH_BINARY)
    return cv2.countNonZero(changed) / before.size


class FreezeGate:
    """Lets moving frames through in order and keeps the spans in which nothing changed.

    Frames of a possible freeze are held until it is decided; those of a freeze are dropped.
    """

    def __init__(self, frame_sec: float) -> None:
        self._frame_sec = frame_sec
        self._grey: NDArray[np.uint8] | None = None
        self._shown_sec = 0.0  # of the last frame that moved: a freeze shows it on and on
        self._coarse = np.zeros(0, np.int16)  # of that frame
        self._still: list[Frame] = []  # held frames of the run, emptied once it is a freeze
        self._still_count = 0
        self._still_sec = (0.0, 0.0)  # first and last still frame of the run
        self._redrawn: list[Frame] = []  # after the last still frame
        self._redrawn_count = 0
        self.freezes: list[TimeSpan] = []
        self.repeat_count = 0  # still frames that belong to no freeze

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> list[Frame]:
        """One (h, w, 3) bgr frame; returns the frames that are now known to move."""
        grey = grey_of(picture)
        changed = 1.0 if self._grey is None else changed_ratio(self._grey, grey)
        self._grey = grey
        if changed < STILL_RATIO:
            self._hold(time_sec, picture)
            return []
        coarse = shrunk(grey, *_COARSE_SIZE).astype(np.int16)
        if self._still_count and self._may_be_redrawn(coarse):
            self._redrawn.append((time_sec, picture.copy()))
            return []
        released = self._end_run(time_sec)
        self._shown_sec, self._coarse = time_sec, coarse
        return [*released, (time_sec, picture)]

    def finish(self, duration_sec: float) -> list[Frame]:
        """The frames still held; ends a freeze that lasts to the end."""
        return self._end_run(max(duration_sec, self._shown_sec))

    def _may_be_redrawn(self, coarse: NDArray[np.int16]) -> bool:
        count = len(self._redrawn) + 1
        if count > REDRAW_FRAMES:
            return False
        if self._redrawn_count + count > 1 + REDRAW_RATIO * self._still_count:
            return False
        return int(np.abs(coarse - self._coarse).max()) <= REDRAW_LEVELS

    def _hold(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        first_sec = self._still_sec[0] if self._still_count else time_sec
        self._still_sec = (first_sec, time_sec)
        self._still_count += 1
        self._redrawn_count += len(self._redrawn)
        self._still += [*self._redrawn, (time_sec, picture.copy())]
        self._redrawn = []
        if self._is_freeze():
            self._still.clear()

    def _is_freeze(self) -> bool:
        first_sec, last_sec = self._still_sec
        return last_sec - first_sec + self._frame_sec >= SHORTEST_SEC - 1e-6

    def _end_run(self, end_sec: float) -> list[Frame]:
        released = self._still + self._redrawn
        if self._still_count and self._is_freeze():
            # What was redrawn last was the picture beginning to move.
            end_sec = self._redrawn[0][0] if self._redrawn else end_sec
            self.freezes.append(TimeSpan(self._shown_sec, end_sec))
            released = self._redrawn
        else:
            self.repeat_count += self._still_count
        self._still, self._redrawn = [], []
        self._still_count = self._redrawn_count = 0
        return released
