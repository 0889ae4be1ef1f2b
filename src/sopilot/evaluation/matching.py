"""Detected events against true ones: which alarm meets which truth, one to one and by type.

Pure functions on records. One matching serves every threshold: the events of score t and above are
matched as if there were no others. Called by `evaluation.detection` and by the benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sopilot.core.errors import InputError
from sopilot.core.timespan import TimeSpan


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """A happening of a type in a span; an instant where start and end are equal.

    score: higher is surer; None = the method has none, so no threshold hides the event and it
    ranks before all others. Raises InputError when the score is not finite.
    """

    type: str
    span: TimeSpan
    score: float | None = None

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            raise InputError(f"an event's score must be finite or absent, got {self.score}")

    @property
    def rank_score(self) -> float:
        """The score that ranking uses: infinite without one."""
        return math.inf if self.score is None else self.score


@dataclass(frozen=True, slots=True)
class Pair:
    """A found event that is a true one, both by position. tiou: 0-1, None for an instant."""

    found_index: int
    truth_index: int
    tiou: float | None


@dataclass(frozen=True, slots=True)
class Matching:
    """Found and true events of one video and the pairs between them, ascending by found event.

    A found event in no pair is a false alarm, a true one in no pair a miss.
    """

    found: tuple[TimedEvent, ...]
    truth: tuple[TimedEvent, ...]
    pairs: tuple[Pair, ...]

    @property
    def false_alarms(self) -> tuple[TimedEvent, ...]:
        """The found events that are no true one."""
        met = {pair.found_index for pair in self.pairs}
        return tuple(event for index, event in enumerate(self.found) if index not in met)

    @property
    def misses(self) -> tuple[TimedEvent, ...]:
        """The true events that were not found."""
        met = {pair.truth_index for pair in self.pairs}
        return tuple(event for index, event in enumerate(self.truth) if index not in met)


@dataclass(frozen=True, slots=True)
class VideoEvents:
    """What was found in a video and what is true of it.

    analysed_sec: seconds really analysed, without what failed or was skipped. A true event there
    counts as missed all the same. Raises InputError when it is negative or not finite.
    """

    video: str
    found: tuple[TimedEvent, ...]
    truth: tuple[TimedEvent, ...]
    analysed_sec: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.analysed_sec < math.inf:
            raise InputError(f"analysed_sec must be finite and >= 0, got {self.analysed_sec}")


@dataclass(frozen=True, slots=True)
class MatchedVideo:
    """A video after matching."""

    video: str
    analysed_sec: float
    matching: Matching


def match_videos(
    videos: Iterable[VideoEvents], least_tiou: float, tolerance_sec: float | None = None
) -> tuple[MatchedVideo, ...]:
    """Match each video by itself; arguments and errors as for `match_events`."""
    return tuple(
        MatchedVideo(
            video=own.video,
            analysed_sec=own.analysed_sec,
            matching=match_events(own.found, own.truth, least_tiou, tolerance_sec),
        )
        for own in videos
    )


def match_events(
    found: Sequence[TimedEvent],
    truth: Sequence[TimedEvent],
    least_tiou: float,
    tolerance_sec: float | None = None,
) -> Matching:
    """Pair found events with true ones of the same type, each at most once.

    Greedy, as average precision is defined: by descending score, each found event to the free true
    one that it agrees with best; among equal scores the best pair first, so that the order of the
    lists does not tell. The most pairs possible would need to look at weaker events first, and a
    threshold could then change what the stronger ones meet. Greedy keeps at least half of those
    pairs, and all where the true events of a type do not overlap and least_tiou > 0.5.

    least_tiou: (0, 1], for true events with a duration. tolerance_sec: >= 0, for true instants:
    how far the middle of the found event may lie from it. Raises InputError outside these ranges,
    or for a true instant without a tolerance. O(found x truth). Source: Everingham et al. 2010 (by
    score), Caba Heilbron et al. 2015 (the best free one, by tIoU).
    """
    _check(truth, least_tiou, tolerance_sec)
    free = set(range(len(truth)))
    pairs: list[Pair] = []
    ranked = sorted(range(len(found)), key=lambda index: -found[index].rank_score)
    for _, alike in groupby(ranked, key=lambda index: found[index].rank_score):
        waiting = set(alike)
        candidates = [
            (-agreement, found[f].span, truth[t].span, f, t)
            for f in waiting
            for t, agreement in _agreeing(found[f], truth, free, least_tiou, tolerance_sec)
        ]
        for *_, f, t in sorted(candidates):
            if f in waiting and t in free:
                waiting.remove(f)
                free.remove(t)
                pairs.append(Pair(f, t, _tiou(found[f], truth[t])))
    pairs.sort(key=lambda pair: pair.found_index)
    return Matching(tuple(found), tuple(truth), tuple(pairs))


def _check(truth: Sequence[TimedEvent], least_tiou: float, tolerance_sec: float | None) -> None:
    if not 0.0 < least_tiou <= 1.0:
        raise InputError(f"least_tiou must lie in (0, 1], got {least_tiou}")
    if tolerance_sec is None:
        instants = [event for event in truth if not event.span.duration_sec]
        if instants:
            raise InputError(
                f"the true {instants[0].type} at {instants[0].span.start_sec} s has no duration "
                f"and can overlap nothing; give tolerance_sec"
            )
    elif not 0.0 <= tolerance_sec < math.inf:
        raise InputError(f"tolerance_sec must be finite and >= 0, got {tolerance_sec}")


def _agreeing(
    event: TimedEvent,
    truth: Sequence[TimedEvent],
    free: Iterable[int],
    least_tiou: float,
    tolerance_sec: float | None,
) -> Iterator[tuple[int, float]]:
    """The free true events that this one may be, and how well they agree, 0-1."""
    for index in free:
        true = truth[index]
        if true.type != event.type:
            continue
        if true.span.duration_sec:
            tiou = event.span.iou(true.span)
            if tiou >= least_tiou:
                yield index, tiou
        elif tolerance_sec is not None:
            away_sec = abs(event.span.centre_sec - true.span.centre_sec)
            if away_sec <= tolerance_sec:
                yield index, 1.0 - away_sec / tolerance_sec if tolerance_sec else 1.0


def _tiou(found: TimedEvent, true: TimedEvent) -> float | None:
    return found.span.iou(true.span) if true.span.duration_sec else None
