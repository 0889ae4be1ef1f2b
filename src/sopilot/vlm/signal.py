"""What is found without a model: bursts of motion, sudden stillness, changes of light, knocks of
the camera. Arrays only; called for incidents and for events of VIGIL.

Every rule compares a video with itself: a value counts against the video's own usual value and
spread, with a floor in the signal's unit below which noise of a still picture lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sopilot.core.timespan import TimeSpan
from sopilot.media.signals import Signals

SIGNAL_VERSION = "signal-1"

ENTER_SPREADS, STAY_SPREADS = 5.0, 2.5
"""How many spreads above usual an event begins, and down to which it goes on."""
_NORMAL_Q90 = 1.2816  # the 90 % point of a normal distribution, in standard deviations
_MAD_TO_SD = 1.4826
_LEAST_MOTION_SPREAD = 0.6  # grey levels: codec noise of a still camera
_LEAST_MOTION_RATIO = 0.15
_LIGHT_SEC = 0.5  # a switched lamp is through by then
_LEAST_LIGHT = 10.0  # grey levels of the whole picture: automatic exposure drifts below that
_LEAST_LIGHT_SPREAD = 1.0
_LEAST_SHIFT = 0.010  # of the diagonal, 2 px of the small picture: one pixel is rounding
_LEAST_SHIFT_SPREAD = 0.002
_STILL_SEC = 3.0
_ACTIVE_SEC = 2.0
_LEAST_ACTIVE = 1.0  # grey levels that a scene moves by as a rule, for its stillness to be news
_STILL_RATIO, _STILL_LEVEL = 0.2, 0.35
_MERGE_SEC = 0.75
_CUT_MARGIN_SEC = 0.3
_CUT_ALIKE = 0.6
_DARK_LUMA = 25.0


class SignalType(StrEnum):
    """What changed."""

    UNUSUAL_MOTION = "UNUSUAL_MOTION"
    STILLNESS = "STILLNESS"
    LIGHT_CHANGE = "LIGHT_CHANGE"
    CAMERA_MOVED = "CAMERA_MOVED"


@dataclass(frozen=True, slots=True)
class SignalEvent:
    """A measured change. value, usual: at its peak and in the whole video, in `unit`.

    percentile: 0-100, the share of the video's samples that lie below the peak.
    """

    type: SignalType
    span: TimeSpan
    highlight: TimeSpan
    percentile: float
    value: float
    usual: float
    unit: str


def signal_events(signals: Signals, shots: Sequence[TimeSpan]) -> tuple[SignalEvent, ...]:
    """The events of a video, ascending. shots: see `media.shots`; a cut is no event.

    A cut that shows the same scene in another light is one: shots do not tell the two apart.
    """
    if len(signals.times_sec) < 2:
        return ()
    cut = _at_cuts(signals, shots)
    light = _light(signals, cut)
    camera = _camera(signals, cut)
    motion = [
        event
        for event in _motion(signals, cut)
        if not any(_is_within(event.span, other.span) for other in (*light, *camera))
    ]
    found = (*light, *camera, *motion, *_stillness(signals))
    return tuple(sorted(found, key=lambda event: (event.span, event.type)))


def window_scores(signals: Signals, spans: Sequence[TimeSpan]) -> NDArray[np.float64]:
    """(len(spans),) 0-1: how conspicuous each window is, to look at the most conspicuous first.

    1 - exp(-z / 5) of the highest of three z values inside: motion, light and shift, each in
    spreads above usual. No probability of anything.
    """
    nobody = np.zeros(len(signals.times_sec), np.bool_)
    scores = np.zeros(len(signals.times_sec))
    for values, floor in (
        (signals.motion, _LEAST_MOTION_SPREAD),
        (np.abs(signals.light), _LEAST_LIGHT_SPREAD),
        (signals.shift, _LEAST_SHIFT_SPREAD),
    ):
        scores = np.maximum(scores, _spreads(values, nobody, floor)[0])
    found = np.zeros(len(spans))
    for place, span in enumerate(spans):
        first, last = np.searchsorted(signals.times_sec, (span.start_sec, span.end_sec))
        if first < last:
            highest = max(0.0, float(scores[first:last].max()))
            found[place] = 1.0 - np.exp(-highest / ENTER_SPREADS)
    return found


def _spreads(
    values: NDArray[np.float32], left_out: NDArray[np.bool_], least: float
) -> tuple[NDArray[np.float64], float]:
    """How many spreads each value lies above usual, and the usual value.

    The spread is the larger of the one by absolute deviations and the one by the 90 % point: a
    scene that is busy a third of the time is not unusual whenever it is busy.
    """
    kept = values[~left_out].astype(np.float64)
    if not len(kept):
        return np.zeros(len(values)), 0.0
    usual = float(np.median(kept))
    deviation = _MAD_TO_SD * float(np.median(np.abs(kept - usual)))
    upper = (float(np.quantile(kept, 0.9)) - usual) / _NORMAL_Q90
    spread = max(deviation, upper, least)
    found = (values.astype(np.float64) - usual) / spread
    found[left_out] = 0.0
    return found, usual


def _motion(signals: Signals, cut: NDArray[np.bool_]) -> list[SignalEvent]:
    usual = float(np.median(signals.motion))
    least = max(_LEAST_MOTION_SPREAD, _LEAST_MOTION_RATIO * usual)
    spreads, usual = _spreads(signals.motion, cut, least)
    runs = _runs(
        spreads, ENTER_SPREADS, STAY_SPREADS, least_samples=2, interval_sec=signals.interval_sec
    )
    return _events(SignalType.UNUSUAL_MOTION, signals, runs, signals.motion, usual, "grey levels")


def _light(signals: Signals, cut: NDArray[np.bool_]) -> list[SignalEvent]:
    """Steps of the whole picture's brightness within half a second, up or down."""
    sums = np.cumsum(np.where(cut, 0.0, signals.light))
    reach = max(1, round(_LIGHT_SEC / signals.interval_sec))
    before = np.concatenate([np.zeros(reach), sums[:-reach]])[: len(sums)]
    steps = np.abs(sums - before).astype(np.float32)
    spreads, usual = _spreads(steps, cut, _LEAST_LIGHT_SPREAD)
    spreads[steps < _LEAST_LIGHT / 2] = 0.0
    runs = [
        run
        for run in _runs(
            spreads, ENTER_SPREADS, STAY_SPREADS, least_samples=1, interval_sec=signals.interval_sec
        )
        if steps[run[0] : run[1] + 1].max() >= _LEAST_LIGHT and _is_one_scene(signals, run)
    ]
    return _events(SignalType.LIGHT_CHANGE, signals, runs, steps, usual, "grey levels", reach=reach)


def _is_one_scene(signals: Signals, run: tuple[int, int]) -> bool:
    """Does the picture keep its pattern while it becomes brighter or darker? What steps in front of
    the camera changes it; of a dark picture nobody can tell."""
    inside = slice(max(0, run[0] - 1), run[1] + 1)
    is_dark = float(signals.luma[inside].min()) < _DARK_LUMA
    return is_dark or float(signals.alike[inside].min()) >= _CUT_ALIKE


def _camera(signals: Signals, cut: NDArray[np.bool_]) -> list[SignalEvent]:
    spreads, usual = _spreads(signals.shift, cut, _LEAST_SHIFT_SPREAD)
    spreads[signals.shift < _LEAST_SHIFT] = 0.0
    runs = _runs(
        spreads, ENTER_SPREADS, STAY_SPREADS, least_samples=1, interval_sec=signals.interval_sec
    )
    values = (100.0 * signals.shift).astype(np.float32)
    return _events(
        SignalType.CAMERA_MOVED, signals, runs, values, 100.0 * usual, "% of the diagonal"
    )


def _stillness(signals: Signals) -> list[SignalEvent]:
    """Nothing moves for three seconds in a scene that moves as a rule and did so before."""
    usual = float(np.median(signals.motion))
    if usual < _LEAST_ACTIVE:
        return []
    still = signals.motion < max(_STILL_LEVEL, _STILL_RATIO * usual)
    still[0] = False  # nothing to compare it with
    found = []
    for first, last in _true_runs(still):
        before = signals.motion[max(1, first - round(_ACTIVE_SEC / signals.interval_sec)) : first]
        is_long = (last - first + 1) * signals.interval_sec >= _STILL_SEC
        if not is_long or len(before) * signals.interval_sec < 1.0 or before.mean() < 0.5 * usual:
            continue
        span = _span(signals, first, last)
        level = float(np.mean(signals.motion[first : last + 1]))
        percentile = 100.0 * float(np.mean(signals.motion[1:] < level))
        shown = TimeSpan(span.start_sec, min(span.end_sec, span.start_sec + 1.0))
        found.append(
            SignalEvent(SignalType.STILLNESS, span, shown, percentile, level, usual, "grey levels")
        )
    return found


def _runs(
    spreads: NDArray[np.float64],
    enter: float,
    stay: float,
    *,
    least_samples: int,
    interval_sec: float,
) -> list[tuple[int, int]]:
    """(first, last) samples of what rises above `enter` and stays above `stay`; runs near to each
    other are one."""
    found: list[tuple[int, int]] = []
    for first, last in _true_runs(spreads >= stay):
        inside = spreads[first : last + 1]
        if inside.max() < enter or last - first + 1 < least_samples:
            continue
        if found and (first - found[-1][1]) * interval_sec <= _MERGE_SEC:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def _true_runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, last) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _events(
    kind: SignalType,
    signals: Signals,
    runs: Sequence[tuple[int, int]],
    values: NDArray[np.float32],
    usual: float,
    unit: str,
    reach: int = 0,
) -> list[SignalEvent]:
    """reach: how many samples a value looks back, by which it tells of an event too long."""
    found = []
    for first, reached in runs:
        last = max(first, reached - reach)
        span = _span(signals, max(0, first - 1), last)
        peak = first + int(np.argmax(values[first : reached + 1]))
        value = float(values[peak])
        percentile = 100.0 * float(np.mean(values < value))
        middle = min(peak, last)
        shown = _span(signals, max(0, middle - 1), min(last, middle + 2))
        found.append(SignalEvent(kind, span, shown, percentile, value, usual, unit))
    return found


def _span(signals: Signals, first: int, last: int) -> TimeSpan:
    """From one sample to the next but the last, within the video."""
    end_sec = min(float(signals.times_sec[last]) + signals.interval_sec, signals.duration_sec)
    start_sec = float(signals.times_sec[first])
    return TimeSpan(min(start_sec, end_sec), end_sec)


def _at_cuts(signals: Signals, shots: Sequence[TimeSpan]) -> NDArray[np.bool_]:
    """(n,) which samples lie at a cut to another scene."""
    found = np.zeros(len(signals.times_sec), np.bool_)
    for shot in shots[1:]:
        near = np.abs(signals.times_sec - shot.start_sec) <= _CUT_MARGIN_SEC
        is_same_scene = bool(near.any()) and float(signals.alike[near].min()) >= _CUT_ALIKE
        is_dark = bool(near.any()) and float(signals.luma[near].min()) < _DARK_LUMA
        if not (is_same_scene or is_dark):
            found |= near
    return found


def _is_within(span: TimeSpan, other: TimeSpan) -> bool:
    """Is most of a span explained by another event?"""
    wide = TimeSpan(max(0.0, other.start_sec - 0.25), other.end_sec + 0.25)
    return span.overlap_sec(wide) >= 0.5 * span.duration_sec
