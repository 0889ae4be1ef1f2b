"""The default feature backend `color-motion`: edges, movement and colours around the hands, and
the layout of the whole picture, per 1.6 s clip. No weights; one CPU thread; same bytes each time.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import NoFrames
from sopilot.core.records import Producer, Role, VideoInfo
from sopilot.embed import activity, crop, framing, freeze, hog, rerecording, rows, scene, windows
from sopilot.embed.base import FeatureParts, VideoFeatures
from sopilot.embed.framing import AS_SEEN, Framing, draw_framings
from sopilot.embed.freeze import FreezeGate
from sopilot.embed.rerecording import Rerecording, draw_rerecording
from sopilot.embed.rows import RowMaker
from sopilot.media.arrays import Pieces, whole
from sopilot.media.clips import clip_spans
from sopilot.media.decode import PixelFormat

NAME: Final = "color-motion"
VERSION: Final = "color-motion-v2"
FRAME_RATE_FPS: Final = 10.0
SHORT_SIDE_PX: Final = 108
LONGEST_SIDE_PX: Final = 324
GOLD_VERSIONS: Final = 2
_FRAME_SEC: Final = 1 / FRAME_RATE_FPS


@dataclass(frozen=True, slots=True)
class ColorMotionEmbedder:
    """Descriptors without learned weights. Golds also get synthetic re-recordings."""

    gold_versions: int = GOLD_VERSIONS

    def producer_for(self, role: Role) -> Producer:
        """Name, version and every setting that changes the numbers."""
        settings: dict[str, object] = {
            "frame_rate_fps": FRAME_RATE_FPS,
            "short_side_px": SHORT_SIDE_PX,
            "longest_side_px": LONGEST_SIDE_PX,
            "window_rows": windows.WINDOW_ROWS,
            "hop_rows": windows.HOP_ROWS,
            "near_rows": rows.NEAR_ROWS,
            "crop_ratio": crop.CROP_RATIO,
            "edge_contrast": [hog.BLOCK_FLOOR, hog.BLOCK_CLIP],
            "change": [activity.NOISE_FACTOR, *activity.CHANGE_LEVELS],
            "background_frames": windows.BACKGROUND_FRAMES,
            "scene": [*scene.SCENE_SIZE, scene.SCENE_ROWS],
            "still": [freeze.GREY_STEP, freeze.STILL_RATIO, freeze.REDRAW_LEVELS],
            "shortest_freeze_sec": freeze.SHORTEST_SEC,
            "framings": framing.FINGERPRINT,
            "versions": self._versions(role),
        }
        if self._versions(role):
            settings["versions"] = f"{self._versions(role)}:{rerecording.FINGERPRINT}"
        return Producer(NAME, VERSION, tuple((key, str(settings[key])) for key in sorted(settings)))

    def consumer(self, info: VideoInfo, role: Role) -> ColorMotionConsumer:
        """A fresh consumer; also limits OpenCV to one thread in this process."""
        cv2.setNumThreads(1)
        size = analysis_size(info)
        changes = [draw_rerecording(k + 1, *size) for k in range(self._versions(role))]
        views = [_View(None, self._framings(role)), *(_View(change, ()) for change in changes)]
        return ColorMotionConsumer(self.producer_for(role), views)

    def _versions(self, role: Role) -> int:
        return self.gold_versions if role is Role.GOLD else 0

    def _framings(self, role: Role) -> tuple[Framing, ...]:
        drawn = draw_framings()
        return drawn if self._versions(role) else drawn[: framing.READ_COUNT]


def analysis_size(info: VideoInfo) -> tuple[int, int]:
    """(width, height) in pixels: the shorter side is SHORT_SIDE_PX, both are even."""
    short = min(info.width_px, info.height_px)
    scale = SHORT_SIDE_PX / short
    sides = (info.width_px * scale, info.height_px * scale)
    width, height = (2 * round(min(side, LONGEST_SIDE_PX) / 2) for side in sides)
    return width, height


class _View:
    """The video as it is (no change) or as a re-recording shows it, with further framings."""

    def __init__(self, change: Rerecording | None, framings: Sequence[Framing]) -> None:
        self.change = change
        self.maker = RowMaker((AS_SEEN, *framings))

    def push(self, picture: NDArray[np.uint8], frame_index: int) -> None:
        if self.change is not None:
            picture = self.change.show(picture, frame_index)
        self.maker.push(picture)

    def blocks(self) -> dict[str, Pieces]:
        """Block by block one row per window; after the maker's flush."""
        made = windows.window_blocks(self.maker.rows, self.maker.framing_count)
        rhythm = windows.window_rhythm(self._track(), self._starts(), FRAME_RATE_FPS)
        made["rhythm"] = whole(rhythm.astype(np.float16))
        return made

    def energy(self) -> NDArray[np.float32]:
        """(n,) mean share of moving pixels per window; after the maker's flush."""
        return windows.window_energy(self._track(), self._starts())

    def close(self) -> None:
        """Give the temporary file back."""
        self.maker.rows.close()

    def _starts(self) -> NDArray[np.int64]:
        return windows.window_starts(len(self.maker.rows))

    def _track(self) -> NDArray[np.float32]:
        return np.frombuffer(self.maker.track, np.float32).reshape(-1, 3)


class ColorMotionConsumer:
    """Frames at 10 fps in, `VideoFeatures` out. Until then pictures lie on a temporary file; memory
    grows by four numbers per frame."""

    rate_fps: float | None = FRAME_RATE_FPS
    pixel_format: PixelFormat = "bgr24"

    def __init__(self, producer: Producer, views: list[_View]) -> None:
        self._producer = producer
        self._views = views
        self._gate = FreezeGate(_FRAME_SEC)
        self._times = array("d")

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """(width, height) the descriptors are computed at."""
        return analysis_size(info)

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """One (h, w, 3) bgr frame, in time order; not kept, not changed."""
        for moment, moving in self._gate.take(time_sec, picture):
            self._push(moment, moving)

    def finish(self, duration_sec: float) -> VideoFeatures:
        """Features of all frames taken; call this or `write` once. Raises NoFrames when there were
        none."""
        try:
            return self._parts(duration_sec).features()
        finally:
            self._close()

    def write(self, path: Path, duration_sec: float, producer: Producer) -> None:
        """The features as made by `producer` into a file, piece by piece.

        Raises NoFrames, DiskFull.
        """
        try:
            replace(self._parts(duration_sec), producer=producer).write(path)
        finally:
            self._close()

    def _close(self) -> None:
        for view in self._views:
            view.close()

    def _parts(self, duration_sec: float) -> FeatureParts:
        for moment, moving in self._gate.finish(duration_sec):
            self._push(moment, moving)
        if not self._times:
            raise NoFrames("no frame reached the feature pass; upload the video again")
        for view in self._views:
            view.maker.flush()
        spans, copies = self._clips(duration_sec)
        blocks: dict[str, Pieces] = {}
        for number, view in enumerate(self._views):
            tail = f"@{number}" if number else ""
            blocks |= {name + tail: _copied(b, copies) for name, b in view.blocks().items()}
        return FeatureParts(
            producer=self._producer,
            clip_spans=np.minimum(spans, max(duration_sec, self._times[-1])),
            blocks=blocks,
            energy=np.repeat(self._views[0].energy(), copies),
            freezes=tuple(self._gate.freezes),
            duration_sec=duration_sec,
            repeat_ratio=self._gate.repeat_count / len(self._times),
        )

    def _clips(self, duration_sec: float) -> tuple[NDArray[np.float64], int]:
        """Spans of the clips, and how many of them show each window."""
        starts = windows.window_starts(-(-len(self._times) // rows.FRAMES_PER_ROW))
        spans = windows.window_spans(np.array(self._times), starts, _FRAME_SEC)
        if len(starts) > 1 or not self._gate.freezes:
            return spans, 1
        # Hardly anything but a freeze: its clips all show the same, so that the video can still
        # be compared and fail for what it is.
        window_sec, hop_sec = (
            count * rows.FRAMES_PER_ROW * _FRAME_SEC
            for count in (windows.WINDOW_ROWS, windows.HOP_ROWS)
        )
        spans = clip_spans(duration_sec, window_sec, hop_sec)
        return spans, len(spans)

    def _push(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        for view in self._views:
            view.push(picture, len(self._times))
        self._times.append(time_sec)


def _copied(block: Pieces, copies: int) -> Pieces:
    """Every row this many times."""
    count, width = block.shape
    parts = (np.repeat(part, copies, axis=0) for part in block.parts)
    return Pieces(block.dtype, (count * copies, width), parts)
