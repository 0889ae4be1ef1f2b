"""Scores with their truth into precision and recall by threshold, average precision and AUC.

Arrays only. Equal scores are one step of a curve, so the order of the input does not tell. Called
by `evaluation.detection` for events and by the benchmarks for scores of frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError
from sopilot.core.rates import Share
from sopilot.core.timespan import TimeSpan

_Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Precision and recall when everything from the threshold up is kept.

    threshold: infinite for what has no score.
    """

    threshold: float
    precision: Share
    recall: Share


@dataclass(frozen=True, slots=True)
class FrameScores:
    """The score of each frame of a video and whether an event is on at it.

    Raises InputError when the two differ in length.
    """

    video: str
    scores: tuple[float, ...]
    is_event: tuple[bool, ...]

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.is_event):
            raise InputError(
                f"{self.video} has {len(self.scores)} scores for {len(self.is_event)} frames; "
                f"give one for each"
            )


def frame_labels(times_sec: Iterable[float], truth: Sequence[TimeSpan]) -> tuple[bool, ...]:
    """Whether a frame at each time lies in a true span: start <= time < end."""
    return tuple(any(span.contains(time) for span in truth) for time in times_sec)


def curve(
    scores: Sequence[float], is_true: Sequence[bool], truth_count: int | None = None
) -> tuple[CurvePoint, ...]:
    """A point for each different score, the highest first.

    truth_count: all that is true, with what has no score here because it was never found; the
    true ones of the list if not given. Raises InputError when the lists differ in length, a score
    is not a number or truth_count is less than the true ones. O(n log n).
    """
    thresholds, kept, right, total = _tally(scores, is_true, truth_count)
    return tuple(
        CurvePoint(float(threshold), Share(int(r), int(k)), Share(int(r), total))
        for threshold, k, r in zip(thresholds, kept, right, strict=True)
    )


def average_precision(
    scores: Sequence[float], is_true: Sequence[bool], truth_count: int | None = None
) -> float | None:
    """Area under the steps of the curve as they are, 0-1; None when nothing is true.

    Arguments and errors as for `curve`. Used for frames.
    """
    _, kept, right, total = _tally(scores, is_true, truth_count)
    return _area(right / kept, right, total)


def interpolated_average_precision(
    scores: Sequence[float], is_true: Sequence[bool], truth_count: int | None = None
) -> float | None:
    """Area where precision at a recall is the best at that recall or more; None as above.

    All points count, the first from recall 0 on. Arguments and errors as for `curve`. Used for
    events. Source: Everingham et al. 2010, as of 2010 (all points, not 11).
    """
    _, kept, right, total = _tally(scores, is_true, truth_count)
    best = np.maximum.accumulate((right / kept)[::-1])[::-1]
    return _area(best, right, total)


def roc_auc(scores: Sequence[float], is_true: Sequence[bool]) -> float | None:
    """Share of (true, untrue) pairs that the scores order, ties half; None when a side is empty.

    Errors as for `curve`. O(n log n).
    """
    _, kept, right, total = _tally(scores, is_true, None)
    untrue = np.diff(kept - right, prepend=0)
    others = int(untrue.sum())
    if not total or not others:
        return None
    # An untrue score loses to the true ones above it and to half of those beside it.
    above = right - 0.5 * np.diff(right, prepend=0)
    return float((untrue * above).sum() / (total * others))


def frame_auc(videos: Iterable[FrameScores]) -> float | None:
    """`roc_auc` over the frames of all videos together, as sets for anomaly detection count."""
    return roc_auc(*_joined(videos))


def frame_average_precision(videos: Iterable[FrameScores]) -> float | None:
    """`average_precision` over the frames of all videos together."""
    return average_precision(*_joined(videos))


def _joined(videos: Iterable[FrameScores]) -> tuple[list[float], list[bool]]:
    listed = list(videos)
    return (
        [score for own in listed for score in own.scores],
        [flag for own in listed for flag in own.is_event],
    )


def _tally(
    scores: Sequence[float], is_true: Sequence[bool], truth_count: int | None
) -> tuple[NDArray[np.float64], _Counts, _Counts, int]:
    """Different scores, descending; how many lie at or above each, and how many of them true."""
    if len(scores) != len(is_true):
        raise InputError(f"{len(scores)} scores for {len(is_true)} truths; give one for each")
    values = np.asarray(scores, dtype=np.float64)
    flags = np.asarray(is_true, dtype=bool)
    if np.isnan(values).any():
        raise InputError("a score is not a number; leave out what was not scored")
    right = int(flags.sum())
    total = right if truth_count is None else truth_count
    if total < right:
        raise InputError(f"truth_count is {total}, but {right} of the scores are true")
    levels, place = np.unique(values, return_inverse=True)
    size = len(levels)
    at_level = np.bincount(place, minlength=size)[::-1]
    true_at_level = np.bincount(place[flags], minlength=size)[::-1]
    return levels[::-1], np.cumsum(at_level), np.cumsum(true_at_level), total


def _area(precision: NDArray[np.float64], right: _Counts, total: int) -> float | None:
    if not total:
        return None
    return float((np.diff(right, prepend=0) * precision).sum() / total)
