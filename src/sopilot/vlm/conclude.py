"""From answers about windows to events: smoothing with context, hysteresis, merging, edges.

Pure: the same answers give the same events, so that a stored analysis can be replayed. Called by
`vlm.detect` and by the replay of an analysis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sopilot.core.timespan import TimeSpan
from sopilot.vlm.answers import WindowAnswer

ENTER = 0.5
"""Smoothed score from which an event begins: more yes than no."""
STAY = 0.35
"""Smoothed score down to which it goes on."""
OWN, NEAR, ALIKE = 0.7, 0.2, 0.1
"""Shares of a window's own score, of its neighbours' and of the windows that look alike. A lone
clear yes (1.0) stays an event, a lone doubtful one (0.6) does not."""
SAME_IOU = 0.5
"""Events of two types that share at least this are one event, of the stronger type."""


@dataclass(frozen=True, slots=True)
class Detected:
    """An event. score: the highest smoothed score, 0-1, not calibrated. also: weaker types that
    were told of the same span. highlight: the window that shows it best, inside span."""

    event_type: str
    span: TimeSpan
    highlight: TimeSpan
    score: float
    description: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring windows of one event type; first and last are places in the list."""

    event_type: str
    first: int
    last: int
    peak: int
    score: float


def conclude(
    answers: Sequence[WindowAnswer],
    finer: Sequence[WindowAnswer] = (),
    *,
    cuts_sec: Sequence[float] = (),
    most: int = 10,
) -> tuple[Detected, ...]:
    """The events of a pass, ascending in time, at most `most`, the strongest.

    answers: ascending windows of one pass. finer: answers about parts of the windows at the edges
    of events (see `edge_windows`). cuts_sec: where the picture changes at once; an edge moves to a
    cut inside its window. An unchecked window neither begins an event nor lies at its edge.
    """
    kept = _strongest(answers, most)
    events = [_event(answers, run, also, finer, cuts_sec) for run, also in kept]
    return tuple(sorted(events, key=lambda event: (event.span, event.event_type)))


def edge_windows(answers: Sequence[WindowAnswer], most: int = 10) -> list[int]:
    """Indices of the windows in which those events begin, end or are seen best that `conclude`
    reports; at most three of each."""
    kept = _strongest(answers, most)
    found = {place for run, _ in kept for place in (run.first, run.last, run.peak)}
    return sorted(answers[place].index for place in found)


def smoothed(answers: Sequence[WindowAnswer], event_type: str) -> list[float]:
    """The score of a type per window, with neighbours and similar windows taken into account.

    Shares of what was not checked, or does not exist, fall to the window's own score.
    """
    own = [answer.scores.get(event_type, 0.0) for answer in answers]
    places = {answer.index: place for place, answer in enumerate(answers) if answer.is_checked}
    found = []
    for place, answer in enumerate(answers):
        if not answer.is_checked:
            found.append(0.0)
            continue
        around = [
            own[near]
            for near in (place - 1, place + 1)
            if 0 <= near < len(own) and answers[near].is_checked
        ]
        near_score = sum(around) / len(around) if around else own[place]
        alike = [(own[places[i]], weight) for i, weight in answer.likeness if i in places]
        total = sum(weight for _, weight in alike)
        alike_score = sum(s * w for s, w in alike) / total if total > 0 else own[place]
        found.append(OWN * own[place] + NEAR * near_score + ALIKE * alike_score)
    return found


def _strongest(answers: Sequence[WindowAnswer], most: int) -> list[tuple[_Run, tuple[str, ...]]]:
    kept = _distinct(answers, _runs(answers))
    return sorted(kept, key=lambda item: (-item[0].score, item[0].first))[:most]


def _runs(answers: Sequence[WindowAnswer]) -> list[_Run]:
    types = sorted({name for answer in answers for name in answer.scores})
    return [run for name in types for run in _runs_of(answers, name)]


def _runs_of(answers: Sequence[WindowAnswer], event_type: str) -> list[_Run]:
    """Runs of one type: entered at ENTER, left below STAY; a window between two is bridged."""
    scores = smoothed(answers, event_type)
    found: list[_Run] = []
    place = 0
    while place < len(scores):
        if scores[place] < STAY:
            place += 1
            continue
        last = place
        while last + 1 < len(scores) and scores[last + 1] >= STAY:
            last += 1
        peak = max(range(place, last + 1), key=lambda item: (scores[item], -item))
        if scores[peak] >= ENTER:
            run = _Run(event_type, place, last, peak, scores[peak])
            if found and place - found[-1].last == 2 and answers[place - 1].is_checked:
                run = _joined(found.pop(), run)
            found.append(run)
        place = last + 1
    return found


def _joined(before: _Run, after: _Run) -> _Run:
    best = before if before.score >= after.score else after
    return _Run(before.event_type, before.first, after.last, best.peak, best.score)


def _distinct(
    answers: Sequence[WindowAnswer], runs: Sequence[_Run]
) -> list[tuple[_Run, tuple[str, ...]]]:
    """Every run that no stronger one of another type covers, with the types it stands for.

    A run is compared only with those that were kept at its own windows: O(windows x types).
    """
    kept: list[tuple[_Run, list[str]]] = []
    kept_at: dict[int, list[int]] = defaultdict(list)  # window -> what was kept there
    for run in sorted(runs, key=lambda item: (-item.score, item.event_type, item.first)):
        span = _span(answers, run)
        near = sorted({which for place in _places(answers, run) for which in kept_at[place]})
        same = [which for which in near if span.iou(_span(answers, kept[which][0])) >= SAME_IOU]
        if same:
            kept[same[0]][1].append(run.event_type)
            continue
        for place in range(run.first, run.last + 1):
            kept_at[place].append(len(kept))
        kept.append((run, []))
    return [(run, tuple(also)) for run, also in kept]


def _places(answers: Sequence[WindowAnswer], run: _Run) -> range:
    """The windows of a run, and those around it that overlap it in time."""
    span, first, last = _span(answers, run), run.first, run.last
    while first > 0 and answers[first - 1].span.overlap_sec(span) > 0:
        first -= 1
    while last + 1 < len(answers) and answers[last + 1].span.overlap_sec(span) > 0:
        last += 1
    return range(first, last + 1)


def _span(answers: Sequence[WindowAnswer], run: _Run) -> TimeSpan:
    return TimeSpan(answers[run.first].span.start_sec, answers[run.last].span.end_sec)


def _event(
    answers: Sequence[WindowAnswer],
    run: _Run,
    also: tuple[str, ...],
    finer: Sequence[WindowAnswer],
    cuts_sec: Sequence[float],
) -> Detected:
    first, last = answers[run.first].span, answers[run.last].span
    begins = _parts(finer, run.event_type, first)
    ends = _parts(finer, run.event_type, last)
    start_sec = begins[0].start_sec if begins else _cut_in(first, cuts_sec) or first.start_sec
    end_sec = ends[-1].end_sec if ends else _cut_in(last, cuts_sec) or last.end_sec
    if end_sec <= start_sec:  # a cut in the only window: the event lies on one side, unknown which
        start_sec, end_sec = first.start_sec, last.end_sec
    span = TimeSpan(start_sec, end_sec)
    peak = answers[run.peak]
    best = _parts(finer, run.event_type, peak.span, is_best_only=True)
    shown = best[0] if best else peak.span
    return Detected(
        run.event_type,
        span,
        shown.clamp(span.start_sec, span.end_sec),
        min(1.0, run.score),
        peak.caption,
        also,
    )


def _parts(
    finer: Sequence[WindowAnswer], event_type: str, window: TimeSpan, *, is_best_only: bool = False
) -> list[TimeSpan]:
    """The parts of a window in which the event is seen, ascending; the strongest one alone."""
    seen: Mapping[TimeSpan, float] = {
        part.span: part.scores.get(event_type, 0.0)
        for part in finer
        if part.is_checked
        and window.overlap_sec(part.span) >= 0.5 * part.span.duration_sec > 0
        and part.scores.get(event_type, 0.0) >= ENTER
    }
    if is_best_only and seen:
        return [max(seen, key=lambda span: (seen[span], -span.start_sec))]
    return sorted(seen)


def _cut_in(window: TimeSpan, cuts_sec: Sequence[float]) -> float | None:
    inside = [cut for cut in cuts_sec if window.start_sec < cut < window.end_sec]
    return inside[0] if len(inside) == 1 else None
