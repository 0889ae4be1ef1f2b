"""Step proposals for a gold whose steps nobody marked: a place to start from, to be confirmed.

`propose_steps` is called by `sop.model` and by the service when it shows step cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sopilot.align.change_points import cut_count_free, cut_into, kernel_sums, uniform_cuts
from sopilot.align.evidence import unit_rows
from sopilot.core.errors import BadSteps, InsufficientClips
from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.views import view_names

SHORTEST_SEC = 4.0
MOST_STEPS = 60
PENALTIES = (3.0, 2.5, 2.0, 1.5, 1.2)
USUAL_SEC = 12.5
"""Prices of a boundary in units of one clip's kernel spread, tried in turn until steps take at
most USUAL_SEC on average. No single price serves all work: hand washing needs 3, assembly with
recurring movements 1.5; a step that is cut in two costs false alarms, too few steps hide defects.
Source: docs/scoring.md 2."""
MOST_ROWS = 500
"""Clips that are looked at, five minutes in full; a longer gold is thinned out evenly, which bounds
time and memory: 500 cost an ingest 4 MB, 600 cost 10."""
AXIS_COUNT = 60
_COLUMNS = 256
BLUR_CLIPS = 3
"""Clips on either side of a cut that may show both sides: 1.6 s clips every 0.6 s."""


def propose_steps(gold: VideoFeatures, named: Sequence[Step] | None = None) -> tuple[Step, ...]:
    """Steps of 4 to 25 s that cover the gold from 0 to its end.

    named: steps without times; exactly as many are laid out and keep their names. Raises BadSteps
    when the gold is too short to hold them.
    """
    distances = _distances(gold)
    count = len(distances)
    if named and count < len(named):
        raise BadSteps(
            f"{len(named)} steps do not fit into a gold of {gold.duration_sec:.1f} s "
            f"({count} clips); give fewer steps or their times"
        )
    hop_sec = gold.duration_sec / count
    if named:
        shortest = max(1, round(SHORTEST_SEC / hop_sec))
        cuts = cut_into(kernel_sums(distances), len(named), shortest)
    else:
        cuts = _proposed_cuts(distances, hop_sec)
    return _steps(gold, _between_clips(distances, cuts), named, count)


def require_two_steps(gold: VideoFeatures, steps: Sequence[Step] | None) -> None:
    """Raises InsufficientClips for a gold in which nobody marked a step and two do not fit."""
    if steps or gold.duration_sec >= 2 * SHORTEST_SEC:
        return
    raise InsufficientClips(
        f"the gold of {gold.duration_sec:.1f} s is too short for two steps of {SHORTEST_SEC:g} s; "
        "record the whole procedure, or mark its steps"
    )


def _proposed_cuts(distances: NDArray[np.float32], hop_sec: float) -> NDArray[np.int64]:
    """Cuts at change points; uniform ones where the gold shows too few changes."""
    count = len(distances)
    # A very long gold gets longer steps instead of more of them.
    shortest_sec = max(SHORTEST_SEC, count * hop_sec / MOST_STEPS)
    shortest = max(1, round(shortest_sec / hop_sec))
    usual_sec = max(USUAL_SEC, 2 * shortest_sec)
    longest = round(2 * usual_sec / hop_sec)
    fewest = count * hop_sec / usual_sec
    if count >= 2 * shortest:
        sums = kernel_sums(distances)
        for penalty in PENALTIES:
            cuts = cut_count_free(sums, shortest, longest, penalty)
            if len(cuts) - 1 >= fewest and len(cuts) > 2:
                return cuts
    return uniform_cuts(count, int(np.clip(round(fewest), 1, max(1, count // shortest))))


def _steps(
    gold: VideoFeatures, cuts: NDArray[np.float64], named: Sequence[Step] | None, count: int
) -> tuple[Step, ...]:
    # Row r of the distances stands for clip r * stride: times by interpolation.
    centres = gold.clip_spans.mean(axis=1)[:: _stride(gold)]
    inner = np.interp(cuts[1:-1] - 0.5, np.arange(count), centres)
    times = [0.0, *(float(t) for t in inner), gold.duration_sec]
    spans = [TimeSpan(a, b) for a, b in pairwise(times)]
    if named:
        return tuple(replace(step, span=span) for step, span in zip(named, spans, strict=True))
    return tuple(Step(index=number, span=span) for number, span in enumerate(spans))


def _between_clips(distances: NDArray[np.float32], cuts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cuts moved to where the mixture in the clips around them says: a clip that shows both sides
    counts for each with its nearness to the undisturbed clips further off."""
    moved = cuts.astype(np.float64)
    for number in range(1, len(cuts) - 1):
        cut = int(cuts[number])
        reach = min(BLUR_CLIPS, (cut - cuts[number - 1]) // 2, (cuts[number + 1] - cut) // 2)
        first, last = cut - int(reach), cut + int(reach)
        if reach < 1:
            continue
        left = distances[first:last, max(0, first - reach) : first].mean(axis=1)
        right = distances[first:last, last : last + reach].mean(axis=1)
        within_left = distances[max(0, first - reach) : first, max(0, first - reach) : first].mean()
        within_right = distances[last : last + reach, last : last + reach].mean()
        far_left = np.maximum(left - within_left, 0.0)
        far_right = np.maximum(right - within_right, 0.0)
        total = np.maximum(far_left + far_right, 1e-9)
        moved[number] = first + float((far_right / total).sum())
    return moved


def _stride(gold: VideoFeatures) -> int:
    return max(1, -(-gold.clip_count // MOST_ROWS))


def _distances(gold: VideoFeatures) -> NDArray[np.float32]:
    """(n, n) sum over the views of 2 - 2 cos of the video-centred clips, n <= MOST_ROWS."""
    stride = _stride(gold)
    total = np.zeros((len(range(0, gold.clip_count, stride)),) * 2, dtype=np.float32)
    for name in view_names(gold):
        points = _points(_inner_products(gold, name, stride))
        total -= points @ points.T
    total -= total.min()
    return total


def _inner_products(gold: VideoFeatures, name: str, stride: int) -> NDArray[np.float64]:
    """(n, n) products of a view's clips, centred on the video, columns scaled by their spread.

    Some columns at a time: the rows in single precision would be the largest array of an ingest.
    """
    rows = gold.blocks.half(name)[::stride]
    parts = [slice(a, a + _COLUMNS) for a in range(0, rows.shape[1], _COLUMNS)]
    means = np.concatenate([rows[:, part].mean(axis=0, dtype=np.float32) for part in parts])
    spread = np.concatenate([rows[:, part].std(axis=0, dtype=np.float32) for part in parts])
    scale = spread + 0.1 * np.sqrt(np.mean(spread**2)) + 1e-12
    products = np.zeros((len(rows), len(rows)))
    for part in parts:
        columns = (rows[:, part].astype(np.float32) - means[part]) / scale[part]
        products += columns @ columns.T
    return products


def _points(products: NDArray[np.float64]) -> NDArray[np.float32]:
    """(n, <= AXIS_COUNT) rows of length one: clips on the principal axes of all clips."""
    values, vectors = np.linalg.eigh(products)
    order = np.argsort(values)[::-1][:AXIS_COUNT]
    order = order[values[order] > 1e-6 * max(float(values.max()), 1e-12)]
    return unit_rows((vectors[:, order] * np.sqrt(values[order])).astype(np.float32))
