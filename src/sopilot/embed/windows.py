"""From rows to clips: mean and spread over overlapping windows, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sopilot.embed.crop import CROP_LENGTH, foreground, tone_level
from sopilot.embed.hog import EDGE_LENGTH, FLOW_LENGTH
from sopilot.embed.layout import LAYOUT_LENGTH, background_of, layout_of, occupancy
from sopilot.embed.rhythm import RHYTHM_LENGTH, rhythm_of
from sopilot.embed.rows import FRAMES_PER_ROW
from sopilot.embed.scene import SCENE_LENGTH, scene_of, scene_rows
from sopilot.embed.spool import RowSpool
from sopilot.media.arrays import Pieces

WINDOW_ROWS: Final = 8
HOP_ROWS: Final = 3
BACKGROUND_FRAMES: Final = 48
_RHYTHM_MARGIN: Final = 4  # frames on either side: bands below 1 Hz need more than the window
_BATCH: Final = 64  # windows at once


def window_starts(row_count: int) -> NDArray[np.int64]:
    """First row of every window, (n,) with n >= 1; a short video gives one short window."""
    return np.arange(0, max(1, row_count - WINDOW_ROWS + 1), HOP_ROWS)


def window_blocks(rows: RowSpool, framing_count: int) -> dict[str, Pieces]:
    """Blocks `crop`, `crop~1` ... per framing (n, 2 * CROP_LENGTH), `layout` (n, LAYOUT_LENGTH) and
    `scene` (n, SCENE_LENGTH) of >= 1 rows, made batch by batch while they are taken."""
    sample = rows.spread(BACKGROUND_FRAMES)["lab"]
    background, level = background_of(sample), tone_level(sample)
    count = len(window_starts(len(rows)))

    def crop(framing: int) -> Iterator[NDArray[np.float16]]:
        for part, picks in _batches(rows):
            moments = _mean_and_spread(_close_view(part, level, framing), picks)
            yield np.concatenate(moments, axis=1, dtype=np.float16, casting="same_kind")

    def layout() -> Iterator[NDArray[np.float16]]:
        for part, picks in _batches(rows):
            occupied = occupancy(part["lab"], background)
            motion = part["motion"].astype(np.float32)
            yield layout_of(occupied[picks], motion[picks]).astype(np.float16)

    def scene() -> Iterator[NDArray[np.float16]]:
        made = 0
        for part, picks in _batches(rows):
            chosen = [
                pick[scene_rows(len(pick), made + k == 0, made + k == count - 1)]
                for k, pick in enumerate(picks)
            ]
            made += len(picks)
            yield np.stack([scene_of(part["lab"][own]) for own in chosen])

    half = np.dtype(np.float16)
    blocks = {
        "layout": Pieces(half, (count, LAYOUT_LENGTH), layout()),
        "scene": Pieces(half, (count, SCENE_LENGTH), scene()),
    }
    for framing in range(framing_count):
        name = f"crop~{framing}" if framing else "crop"
        blocks[name] = Pieces(half, (count, 2 * CROP_LENGTH), crop(framing))
    return blocks


def _batches(rows: RowSpool) -> Iterator[tuple[NDArray[np.void], NDArray[np.int64]]]:
    """Rows of some neighbouring windows, and per window (b, WINDOW_ROWS) places in them."""
    starts = window_starts(len(rows))
    for first in range(0, len(starts), _BATCH):
        batch = starts[first : first + _BATCH]
        part = rows.read(int(batch[0]), int(batch[-1]) + WINDOW_ROWS)
        picks = np.minimum(batch[:, None] - batch[0] + np.arange(WINDOW_ROWS), len(part) - 1)
        yield part, picks[:, : len(part)]


def _close_view(part: NDArray[np.void], level: float, framing: int) -> NDArray[np.float32]:
    """(rows, CROP_LENGTH) in the order edges, movement, foreground, colours."""
    seen = part["seen"][:, framing].astype(np.float32)
    colours = EDGE_LENGTH + FLOW_LENGTH
    return np.concatenate(
        [seen[:, :colours], foreground(part["tone"][:, framing], level), seen[:, colours:]], axis=1
    )


def _mean_and_spread(
    values: NDArray[np.float32], picks: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    # Row by row of the window: gathering all at once would need eight times the memory.
    mean = np.zeros((len(picks), values.shape[1]), np.float32)
    for column in picks.T:
        mean += values[column]
    mean /= picks.shape[1]
    square = np.zeros_like(mean)
    for column in picks.T:
        square += (values[column] - mean) ** 2
    return mean, np.sqrt(square / picks.shape[1])


def window_rhythm(
    track: NDArray[np.float32], starts: NDArray[np.int64], rate_fps: float
) -> NDArray[np.float32]:
    """(n, RHYTHM_LENGTH) of a (frames, 3) motion track."""
    out = np.empty((len(starts), RHYTHM_LENGTH), np.float32)
    first, stop = _frame_ranges(starts, len(track), _RHYTHM_MARGIN)
    for index, (a, b) in enumerate(zip(first, stop, strict=True)):
        out[index] = rhythm_of(track[a:b].astype(np.float64), rate_fps)
    return out


def window_energy(track: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n,) mean amount of movement."""
    out = np.empty(len(starts), np.float32)
    first, stop = _frame_ranges(starts, len(track), 0)
    for index, (a, b) in enumerate(zip(first, stop, strict=True)):
        out[index] = track[a:b, 2].mean(dtype=np.float64)
    return out


def window_spans(
    times_sec: NDArray[np.float64], starts: NDArray[np.int64], frame_sec: float
) -> NDArray[np.float64]:
    """(n, 2) from the first frame's time to the end of the last frame of every window."""
    first, stop = _frame_ranges(starts, len(times_sec), 0)
    return np.stack([times_sec[first], times_sec[stop - 1] + frame_sec], axis=1)


def _frame_ranges(
    starts: NDArray[np.int64], frame_count: int, margin: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First frame and end of every window, widened by `margin` frames, within the video."""
    first = starts * FRAMES_PER_ROW
    stop = first + WINDOW_ROWS * FRAMES_PER_ROW
    return np.maximum(first - margin, 0), np.minimum(stop + margin, frame_count)
