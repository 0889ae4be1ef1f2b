"""Which part of every frame to blur, from faces searched in some of them.

Frames wait until the search after the next one is done, so that a face is covered before it was
first found as well. Used by `media.decode`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import hypot

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sopilot.media.faces import Face, FaceFinder
from sopilot.media.mask import Mask, Rect

# A search every 0.2 s, and at least every 6th frame, or as often as keeps those that wait small:
# 18 frames of 4K (about 220 MB), three of 8K.
_SEARCH_SEC = 0.2
_SEARCH_FRAMES = 6
_AHEAD_SEARCHES = 2
_WAITING_PIXELS = 18 * 3840 * 2160
# A face that is not found again stays covered for this long, wider with every second.
_HELD_SEC = 1.0
_MARGIN_RATIO = 0.35
# The box begins at the brow; the head does not.
_ABOVE_RATIO = 0.25
_MARGIN_PER_SEC = 0.5
# Between two searches a face moves by at most this many of its sizes.
_REACH_SIZES = 2.0
_STAMP_TOLERANCE_SEC = 1e-3


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame, shown in [start_sec, end_sec), and what to blur in it (None: nothing asked)."""

    frame: VideoFrame
    start_sec: float
    end_sec: float
    faces: Mask | None = None


@dataclass(slots=True)
class _Track:
    """Boxes of one face by time of search; sure as soon as one of them is."""

    found: list[tuple[float, Face]]
    is_sure: bool

    def cover(self, time_sec: float) -> tuple[float, float, float, float] | None:
        """What hides the face from the search at time_sec to the next one; None = not here."""
        if not self.is_sure:
            return None
        before = [item for item in self.found if item[0] <= time_sec]
        after = next((item for item in self.found if item[0] > time_sec), None)
        near = [item for item in (before[-1] if before else None, after) if item is not None]
        if after is None:
            near = [item for item in near if time_sec - item[0] <= _HELD_SEC]
        if not near:
            return None
        gap_sec = min(abs(time_sec - at_sec) for at_sec, _ in near)
        ratio = _MARGIN_RATIO + _MARGIN_PER_SEC * gap_sec
        boxes = np.array([_widened(face, ratio) for _, face in near])
        x1, y1 = boxes[:, :2].min(axis=0)
        x2, y2 = boxes[:, 2:].max(axis=0)
        return float(x1), float(y1), float(x2), float(y2)


@dataclass(slots=True)
class FaceTracks:
    """Faces over time; pictures are size_px = (width, height)."""

    size_px: tuple[int, int]
    _tracks: list[_Track] = field(default_factory=list)

    def add(self, time_sec: float, faces: list[Face]) -> None:
        """What one search found; times grow."""
        self._tracks = [t for t in self._tracks if t.found[-1][0] >= time_sec - 2 * _HELD_SEC]
        free = [t for t in self._tracks if t.found[-1][0] >= time_sec - _HELD_SEC]
        for face in sorted(faces, key=lambda face: -face.score):
            track = _nearest(free, face)
            if track is None:
                track = _Track([], False)
                self._tracks.append(track)
            else:
                free.remove(track)
            track.found.append((time_sec, face))
            track.is_sure = track.is_sure or face.is_sure

    def cover(self, time_sec: float) -> Mask:
        """What to blur from the search at time_sec to the one after it."""
        boxes = [track.cover(time_sec) for track in self._tracks]
        return Mask(tuple(self._rect(box) for box in boxes if box is not None), "blur")

    def _rect(self, box: tuple[float, float, float, float]) -> Rect:
        width_px, height_px = self.size_px
        x1, y1, x2, y2 = box
        return (
            min(max(0.0, x1 / width_px), 1.0),
            min(max(0.0, y1 / height_px), 1.0),
            min(max(0.0, x2 / width_px), 1.0),
            min(max(0.0, y2 / height_px), 1.0),
        )


class FaceCover:
    """Takes decoded frames, gives them back later with what to blur."""

    def __init__(
        self, size_px: tuple[int, int], picture_of: Callable[[VideoFrame], NDArray[np.uint8]]
    ) -> None:
        """picture_of: the upright bgr picture of size_px that is searched."""
        self._finder = FaceFinder(size_px)
        self._picture_of = picture_of
        self._tracks = FaceTracks(size_px)
        self._waiting: deque[tuple[float, list[Shown]]] = deque()

    def take(self, frame: VideoFrame, start_sec: float, end_sec: float) -> Iterator[Shown]:
        """Add the next frame; yields those that waited long enough, in time order."""
        if self._is_due(frame, start_sec):
            self._search(frame, start_sec)
            self._waiting.append((start_sec, []))
        self._waiting[-1][1].append(Shown(frame, start_sec, end_sec))
        while len(self._waiting) > _AHEAD_SEARCHES:
            yield from self._release()

    def rest(self) -> Iterator[Shown]:
        """The frames that still wait; the last of all is searched too."""
        if self._waiting and len(self._waiting[-1][1]) > 1:
            last = self._waiting[-1][1][-1]
            self._search(last.frame, last.start_sec)
        while self._waiting:
            yield from self._release()

    def _is_due(self, frame: VideoFrame, time_sec: float) -> bool:
        if not self._waiting:
            return True
        searched_sec, frames = self._waiting[-1]
        waited_sec = time_sec - searched_sec + _STAMP_TOLERANCE_SEC
        fitting = _WAITING_PIXELS // ((_AHEAD_SEARCHES + 1) * frame.width * frame.height)
        return waited_sec >= _SEARCH_SEC or len(frames) >= min(_SEARCH_FRAMES, max(1, fitting))

    def _search(self, frame: VideoFrame, time_sec: float) -> None:
        self._tracks.add(time_sec, self._finder.find(self._picture_of(frame)))

    def _release(self) -> Iterator[Shown]:
        searched_sec, frames = self._waiting.popleft()
        mask = self._tracks.cover(searched_sec)
        for shown in frames:
            yield Shown(shown.frame, shown.start_sec, shown.end_sec, mask)


def _nearest(tracks: list[_Track], face: Face) -> _Track | None:
    """The track that may go on with this face."""
    x, y = face.centre_px
    best, best_px = None, float("inf")
    for track in tracks:
        last = track.found[-1][1]
        last_x, last_y = last.centre_px
        apart_px = hypot(x - last_x, y - last_y)
        reach_px = _REACH_SIZES * max(face.size_px, last.size_px)
        if apart_px < min(best_px, reach_px):
            best, best_px = track, apart_px
    return best


def _widened(face: Face, ratio: float) -> tuple[float, float, float, float]:
    aside, height_px = ratio * (face.x2 - face.x1), face.y2 - face.y1
    top = face.y1 - (ratio + _ABOVE_RATIO) * height_px
    return face.x1 - aside, top, face.x2 + aside, face.y2 + ratio * height_px
