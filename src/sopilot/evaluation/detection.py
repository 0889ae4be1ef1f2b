"""Matched events into the figures of a detector: precision, recall, AP, false alarms, delay.

Pure functions on matched videos (`match_videos`), so each can be resampled by video. Called by the
benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from sopilot.core.errors import InputError
from sopilot.core.rates import LEVEL, Share, poisson_bounds
from sopilot.evaluation.curves import CurvePoint, curve, interpolated_average_precision
from sopilot.evaluation.matching import MatchedVideo, TimedEvent, VideoEvents, match_videos

TIOUS = (0.3, 0.5, 0.7)
"""At which average precision is told (vigil-incidents 4.5)."""
LEAST_TIOU = 0.5
_HOUR_SEC = 3600.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the alarms and of the true events at one threshold."""

    matched: int
    false_alarms: int
    missed: int

    @property
    def precision(self) -> Share:
        """The alarms that are true."""
        return Share(self.matched, self.matched + self.false_alarms)

    @property
    def recall(self) -> Share:
        """The true events that are found."""
        return Share(self.matched, self.matched + self.missed)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both, 0-1; None with neither an alarm nor a true event."""
        weight = 2 * self.matched + self.false_alarms + self.missed
        return 2 * self.matched / weight if weight else None


@dataclass(frozen=True, slots=True)
class FalseAlarmRate:
    """False alarms in the hours that were really analysed.

    interval: exact bounds of the rate per hour, if alarms come independently of each other.
    """

    count: int
    hours: float
    per_hour: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Precisions:
    """Average precision at one tIoU.

    by_type: only types that are true somewhere; alarms of another type show in the false alarms.
    mean: over those types, None without any.
    """

    least_tiou: float
    by_type: Mapping[str, float]

    @property
    def mean(self) -> float | None:
        """Mean over the types (mAP), 0-1."""
        values = list(self.by_type.values())
        return math.fsum(values) / len(values) if values else None


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds from the start of a true event to that of the found one; negative = too early."""

    count: int
    median_sec: float
    p95_sec: float


@dataclass(frozen=True, slots=True)
class DetectionFigures:
    """The figures of one detector over one set of videos.

    counts, by_type, false_alarms, mean_tiou and delay hold at the live threshold and at
    LEAST_TIOU; precisions need no threshold.
    """

    counts: Counts
    by_type: Mapping[str, Counts]
    false_alarms: FalseAlarmRate | None
    precisions: tuple[Precisions, ...]
    mean_tiou: float | None
    delay: Delay | None


def summarise(
    videos: Sequence[VideoEvents],
    live_score: float | None = None,
    tolerance_sec: float | None = None,
) -> DetectionFigures:
    """All figures of a detector.

    live_score: the threshold in use, None = all events are shown. tolerance_sec and errors as for
    `match_events`.
    """
    at_live = match_videos(videos, LEAST_TIOU, tolerance_sec)
    total = counts(at_live, live_score)
    analysed_sec = math.fsum(own.analysed_sec for own in at_live)
    types = {e.type for own in videos for e in (*own.truth, *own.found)}
    return DetectionFigures(
        counts=total,
        by_type={kind: counts(at_live, live_score, kind) for kind in sorted(types)},
        false_alarms=false_alarms_per_hour(total.false_alarms, analysed_sec),
        precisions=tuple(
            precisions(match_videos(videos, tiou, tolerance_sec), tiou) for tiou in TIOUS
        ),
        mean_tiou=mean_tiou(at_live, live_score),
        delay=delay(at_live, live_score),
    )


def counts(
    videos: Iterable[MatchedVideo], live_score: float | None = None, kind: str | None = None
) -> Counts:
    """Count at a threshold; an event is an alarm from live_score up, and always without a score.

    kind: only this type; None = all.
    """
    alarms = matched = true = 0
    for own in videos:
        matching = own.matching
        alarms += sum(_is_alarm(e, live_score, kind) for e in matching.found)
        matched += sum(
            _is_alarm(matching.found[p.found_index], live_score, kind) for p in matching.pairs
        )
        true += sum(kind in (None, e.type) for e in matching.truth)
    return Counts(matched, alarms - matched, true - matched)


def false_alarms_per_hour(
    unmatched_count: int, analysed_sec: float, confidence: float = LEVEL
) -> FalseAlarmRate | None:
    """False alarms per hour with their exact Poisson interval; None when nothing was analysed.

    analysed_sec: >= 0, without what failed or was skipped. Raises InputError when it is negative,
    or 0 with alarms. Source: Garwood 1936.
    """
    low, high = poisson_bounds(unmatched_count, confidence)
    if not 0.0 <= analysed_sec < math.inf or (unmatched_count and not analysed_sec):
        raise InputError(
            f"{unmatched_count} false alarms in {analysed_sec} s; give the seconds that were "
            f"really analysed"
        )
    if not analysed_sec:
        return None
    hours = analysed_sec / _HOUR_SEC
    return FalseAlarmRate(
        count=unmatched_count,
        hours=hours,
        per_hour=unmatched_count / hours,
        interval=(low / hours, high / hours),
    )


def precisions(videos: Sequence[MatchedVideo], least_tiou: float) -> Precisions:
    """Average precision by type. least_tiou: the one that the videos were matched at."""
    types = sorted({e.type for own in videos for e in own.matching.truth})
    values = {kind: type_average_precision(videos, kind) for kind in types}
    return Precisions(least_tiou, {k: v for k, v in values.items() if v is not None})


def type_average_precision(videos: Iterable[MatchedVideo], kind: str) -> float | None:
    """Interpolated average precision of a type over all videos, 0-1; None if none is true."""
    scores, flags, truth_count = _ranked(videos, kind)
    return interpolated_average_precision(scores, flags, truth_count)


def type_curve(videos: Iterable[MatchedVideo], kind: str) -> tuple[CurvePoint, ...]:
    """Precision and recall of a type at each threshold, the highest first."""
    scores, flags, truth_count = _ranked(videos, kind)
    return curve(scores, flags, truth_count)


def judged_scores(videos: Iterable[MatchedVideo]) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    """The scores of the found events that have one, and whether each is a true event."""
    judged = [
        (event.score, is_true) for event, is_true in _judged(videos) if event.score is not None
    ]
    return tuple(score for score, _ in judged), tuple(is_true for _, is_true in judged)


def mean_tiou(videos: Iterable[MatchedVideo], live_score: float | None = None) -> float | None:
    """Mean tIoU of the pairs at a threshold, without instants; None without any.

    It says how well found events are placed, so misses do not count.
    """
    values = [
        pair.tiou
        for own in videos
        for pair in own.matching.pairs
        if pair.tiou is not None
        and _is_alarm(own.matching.found[pair.found_index], live_score, None)
    ]
    return math.fsum(values) / len(values) if values else None


def delay(videos: Iterable[MatchedVideo], live_score: float | None = None) -> Delay | None:
    """Delays of the pairs at a threshold, None without any; p95_sec is the nearest rank.

    In video time; it says nothing of how long the analysis took.
    """
    waits = sorted(
        own.matching.found[pair.found_index].span.start_sec
        - own.matching.truth[pair.truth_index].span.start_sec
        for own in videos
        for pair in own.matching.pairs
        if _is_alarm(own.matching.found[pair.found_index], live_score, None)
    )
    if not waits:
        return None
    # Whole numbers, as 0.95 times a count may come out just above a rank.
    rank = (95 * len(waits) + 99) // 100
    return Delay(len(waits), median(waits), waits[rank - 1])


def _is_alarm(event: TimedEvent, live_score: float | None, kind: str | None) -> bool:
    return kind in (None, event.type) and (live_score is None or event.rank_score >= live_score)


def _judged(videos: Iterable[MatchedVideo]) -> list[tuple[TimedEvent, bool]]:
    judged: list[tuple[TimedEvent, bool]] = []
    for own in videos:
        met = {pair.found_index for pair in own.matching.pairs}
        judged += [(event, index in met) for index, event in enumerate(own.matching.found)]
    return judged


def _ranked(videos: Iterable[MatchedVideo], kind: str) -> tuple[list[float], list[bool], int]:
    """Rank scores and truth of a type's found events, and how many are true in all."""
    listed = list(videos)
    judged = [(e.rank_score, is_true) for e, is_true in _judged(listed) if e.type == kind]
    truth_count = sum(e.type == kind for own in listed for e in own.matching.truth)
    return [score for score, _ in judged], [is_true for _, is_true in judged], truth_count
