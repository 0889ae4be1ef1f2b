"""What a step leaves behind: where the picture is lastingly another one, and how the golds' is.

The parts of `sop.residual` tell how a step is done; a wrong tool or motion at the right place looks
there like other people's right work. But its result differs: no lamp is lit, another part lies
there, the tool is not put back. A change counts where the picture before the step and after it
last, and neither is seen on the other side; an arm that rests and returns is none. Called by
`sop.teach` for the golds and by `sop.likeness` for trainees. Source: docs/scoring.md 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.embed.base import VideoFeatures
from sopilot.embed.scene import SCENE_SIZE
from sopilot.sop.residual import StepClips

BLOCK = "scene"
LAB_WEIGHTS = np.array([0.6, 1.0, 1.0], np.float32)
"""Light changes brightness more than colour."""
AROUND = 1
"""Clips on either side of a boundary whose median is the picture there."""
SHIFTS = (-2, 0, 1)
"""Clips by which a found beginning may be wrong (to the earlier, to the later), likewise an end."""
LASTS_CLIPS, LASTS_BEFORE, LASTS_AFTER = 7, 0.28, 0.2
"""How long a picture must last: so many clips outside the step, and these shares of it inside,
before the hand is at its work and after."""
LEAST_LASTING, SURELY_LASTING = 0.5, 0.8
LEAST_SEEN = 0.4
"""Share of the clips that must show a picture which something else covers in the others. Where it
was not asked for, other steps' arms hid lasting changes of good executions (O up to 2.5)."""
RETURN_CLIPS, MOST_RETURNING, SURELY_RETURNING = 20, 0.04, 0.12
"""In so many clips beyond the boundary at most so large a share may show the other side's picture.
"""
ALIKE, LEAST_ALIKE = 0.5, 3.0
"""A clip shows a picture that it is nearer to than half of the change, or than so much Lab."""
BLUR_PX, REACH_PX = 0.6, 1
"""Of the small picture: a camera that stands a little elsewhere shows changes that much away."""
GAINS = (0.6, 1.7)
"""Light makes a change so much weaker or stronger."""
MOST_CHANGE, LEAST_CHANGE = 30.0, 3.0
"""Lab units: beyond the first a change is not more of one, below the second it is noise."""
FLOOR = 2.0

Scenes = NDArray[np.uint8]
Change = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SceneTrack:
    """The small pictures of a video, and the changes that were looked up in it.

    pictures: (n, h, w, 3) uint8 Lab, clip by clip.
    """

    pictures: Scenes
    _known: dict[tuple[int, int], Change] = field(default_factory=dict)

    def change(self, begin: int, stop: int) -> Change:
        """(h, w, 3) what is lastingly different after the clips [begin, stop), in weighed Lab,
        at most MOST_CHANGE long; beyond the video's ends its first and last clips count."""
        last = len(self.pictures) - 1
        key = (min(max(begin, 0), last), min(max(stop, 0), last))
        if key not in self._known:
            self._known[key] = _lasting_change(self.pictures, *key)
        return self._known[key]

    def changes(self, clips: range) -> list[Change]:
        """The changes of a step whose boundaries were found and may be a little off."""
        return [self.change(clips.start + a, clips.stop - b) for a in SHIFTS for b in SHIFTS]


def scene_track(features: VideoFeatures, tail: str = "") -> SceneTrack | None:
    """The small pictures of a video; tail as in `residual.part_rows`. None = there are none."""
    name = BLOCK + tail
    if name not in features.blocks:
        return None
    width, height = SCENE_SIZE
    rows = features.blocks.half(name).astype(np.uint8)
    return SceneTrack(rows.reshape(-1, height, width, 3))


def marked_changes(track: SceneTrack | None, steps: Sequence[StepClips]) -> Mapping[int, Change]:
    """What every step of a gold leaves behind, by step."""
    if track is None:
        return {}
    return {item.step: track.change(item.clips.start, item.clips.stop) for item in steps}


def outcome_distances(
    own: Mapping[int, Change], track: SceneTrack | None, steps: Sequence[StepClips]
) -> NDArray[np.float64]:
    """(len(steps),) logarithm of how far what a video's steps leave behind is from `own`, what the
    gold's do; nan where one of them is not known."""
    out = np.full(len(steps), np.nan)
    if track is None:
        return out
    for number, item in enumerate(steps):
        if item.step in own and len(item.clips):
            distance = change_distance(own[item.step], track.changes(item.clips))
            out[number] = np.log(FLOOR + distance)
    return out


def change_distance(own: Change, found: Sequence[Change]) -> float:
    """Lab units, 0-MOST_CHANGE: the largest change of the gold that none of `found` shows nearby,
    or change in all of them that the gold does not show."""
    rows, columns = np.nonzero((own**2).sum(-1) > LEAST_CHANGE**2)
    missing = np.full(len(rows), np.inf, np.float32)
    surplus = np.full(own.shape[:2], np.inf, np.float32)
    padded_own = _padded(own)
    for other in found:
        missing = np.minimum(
            missing, _unexplained(own[rows, columns], _padded(other), rows, columns)
        )
        strong = np.nonzero((other**2).sum(-1) > LEAST_CHANGE**2)
        extra = np.zeros(own.shape[:2], np.float32)
        extra[strong] = _unexplained(other[strong], padded_own, *strong)
        surplus = np.minimum(surplus, extra)
    worst = max(float(missing.max(initial=0.0)), float(surplus.max(initial=0.0)))
    return float(np.sqrt(max(worst, 0.0)))


def _unexplained(
    values: NDArray[np.float32],
    padded: NDArray[np.float32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float32]:
    """(n,) squared rest of values (n, 3) after the best nearby change, weaker or stronger."""
    squares = (values**2).sum(-1)
    rest = squares
    for down in range(2 * REACH_PX + 1):
        for right in range(2 * REACH_PX + 1):
            there = padded[rows + down, columns + right]
            product, size = (values * there).sum(-1), (there**2).sum(-1)
            gain = np.clip(product / np.maximum(size, 1e-6), *GAINS)
            rest = np.minimum(rest, squares - 2 * gain * product + gain**2 * size)
    return np.asarray(rest, np.float32)


def _padded(change: Change) -> NDArray[np.float32]:
    return np.pad(change, ((REACH_PX, REACH_PX), (REACH_PX, REACH_PX), (0, 0)))


def _lasting_change(pictures: Scenes, begin: int, stop: int) -> Change:
    before, after = _picture_at(pictures, begin), _picture_at(pictures, stop)
    change = _centred(after - before)
    near = np.maximum(ALIKE * np.sqrt((change**2).sum(-1)), LEAST_ALIKE)
    length = max(stop - begin, 1)
    inside = range(begin, begin + int(LASTS_BEFORE * length) + 1)
    outside = range(begin - LASTS_CLIPS, begin)
    lasts_before = _lasts(pictures, (outside.start, inside.stop), before, after, near)
    inside = range(stop - int(LASTS_AFTER * length), stop)
    lasts_after = _lasts(pictures, (inside.start, stop + LASTS_CLIPS + 1), after, before, near)
    returns_before = _share(pictures, (begin - RETURN_CLIPS, begin + 1), after, near)
    returns_after = _share(pictures, (stop, stop + RETURN_CLIPS + 1), before, near)
    lasting = np.minimum(lasts_before, lasts_after)
    returning = np.maximum(returns_before, returns_after)
    weight = np.clip((lasting - LEAST_LASTING) / (SURELY_LASTING - LEAST_LASTING), 0, 1)
    weight *= np.clip((SURELY_RETURNING - returning) / (SURELY_RETURNING - MOST_RETURNING), 0, 1)
    blurred = np.asarray(cv2.GaussianBlur(change * weight[..., None], (0, 0), BLUR_PX), np.float32)
    size = np.sqrt((blurred**2).sum(-1, keepdims=True))
    return np.asarray(blurred * np.minimum(1.0, MOST_CHANGE / np.maximum(size, 1e-6)), np.float32)


def _picture_at(pictures: Scenes, clip: int) -> NDArray[np.float32]:
    """Median around a clip; at the video's ends the outermost clip alone."""
    reach = min(AROUND, clip, len(pictures) - 1 - clip)
    around = pictures[clip - reach : clip + reach + 1].astype(np.float32)
    return np.asarray(np.median(around, axis=0), np.float32)


def _centred(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weighed, less what is common to all pixels: the light changes there."""
    common = np.median(difference, axis=(-3, -2), keepdims=True)
    return np.asarray((difference - common) * LAB_WEIGHTS, np.float32)


def _lasts(
    pictures: Scenes,
    bounds: tuple[int, int],
    picture: NDArray[np.float32],
    other: NDArray[np.float32],
    near: Change,
) -> NDArray[np.float32]:
    """(h, w) share of the clips within bounds that show `picture` among those that show it or the
    other one: what covers both for a while, as an arm does, says nothing. Where too few clips show
    it, their share of all clips."""
    shown, other_shown = (_share(pictures, bounds, item, near) for item in (picture, other))
    alone = shown / np.maximum(shown + other_shown, 1e-6)
    return np.where(shown >= LEAST_SEEN, alone, shown)


def _share(
    pictures: Scenes, bounds: tuple[int, int], picture: NDArray[np.float32], near: Change
) -> NDArray[np.float32]:
    """(h, w) share of the clips within bounds that show `picture`, to within `near`."""
    part = pictures[max(0, bounds[0]) : max(1, bounds[1])].astype(np.float32)
    away = np.sqrt((_centred(part - picture) ** 2).sum(-1))
    return np.asarray((away < near).mean(axis=0), np.float32)
