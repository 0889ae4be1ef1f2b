"""Truth against findings: which true defects were found, and the figures over many films.

Pure functions on records. Called by `evaluation.demo` and by the benchmarks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sopilot.core.timespan import TimeSpan, union
from sopilot.sop.comparison import EventType, Finding

COVER_SHARE = 0.5
"""Share of a step that missing findings must cover to count as that step (docs/scoring.md 7)."""
LEAST_IOU = 0.5
WILSON_Z = 1.959964


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """A defect that a film really has.

    trainee_span: where it is seen, an instant for what is absent. detail: inner, start or tail of
    a missing step.
    """

    type: EventType
    step_index: int | None
    trainee_span: TimeSpan
    other_step_index: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A finding of the product, in the few words that matching needs."""

    type: str
    step_index: int | None
    gold_span: TimeSpan | None
    trainee_span: TimeSpan | None
    other_step_index: int | None = None
    severity: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A true event and what became of it.

    named: found with its type and place. placed: found at its place, where a missing step and a
    step done otherwise stand for each other (docs/scoring.md 7 counts this way).
    """

    event: TrueEvent
    named: bool
    placed: bool


def found_of_record(record: Mapping[str, Any]) -> Found:
    """Read a public deviation record (contract: type, step_index, timecodes, severity)."""
    return Found(
        type=str(record["type"]),
        step_index=record.get("step_index"),
        gold_span=_span(record.get("gold_timecode")),
        trainee_span=_span(record.get("trainee_timecode")),
        other_step_index=record.get("other_step_index"),
        severity=record.get("severity"),
    )


def found_of_finding(finding: Finding, severity: str | None = None) -> Found:
    """Read a finding of a comparison."""
    return Found(
        type=finding.type.value,
        step_index=finding.step_index,
        gold_span=finding.gold_span,
        trainee_span=finding.trainee_span,
        other_step_index=finding.other_step_index,
        severity=severity,
    )


def match(
    truth: Sequence[TrueEvent], found: Sequence[Found], step_spans: Sequence[TimeSpan]
) -> tuple[Match, ...]:
    """Look for every true event among the findings; step_spans: the gold's steps by index."""
    return tuple(
        Match(
            event=event,
            named=_is_found(event, found, step_spans, (event.type.value,)),
            placed=_is_found(event, found, step_spans, _STAND_FOR.get(event.type, (event.type,))),
        )
        for event in truth
    )


_ABSENT_OR_OTHER = (EventType.MISSING_STEP.value, EventType.STEP_DEVIATION.value)
_STAND_FOR: dict[EventType, tuple[str, ...]] = {
    EventType.MISSING_STEP: _ABSENT_OR_OTHER,
    EventType.STEP_DEVIATION: _ABSENT_OR_OTHER,
}


def _is_found(
    event: TrueEvent,
    found: Sequence[Found],
    step_spans: Sequence[TimeSpan],
    types: Sequence[str],
) -> bool:
    alike = [item for item in found if item.type in types]
    if event.step_index is not None and _same_step(event, alike):
        return True
    if event.type is EventType.MISSING_STEP and event.step_index is not None:
        return _covers(step_spans[event.step_index], alike)
    seen = (item.trainee_span for item in alike if item.trainee_span is not None)
    return any(span.iou(event.trainee_span) >= LEAST_IOU for span in seen)


def _same_step(event: TrueEvent, found: Sequence[Found]) -> bool:
    if event.type is EventType.FREEZE:
        return False  # A still picture is found in time, whatever the step.
    meant = {event.step_index, event.other_step_index} - {None}
    return any(
        meant & {item.step_index}
        or (event.type is EventType.ORDER_SWAP and meant & {item.other_step_index})
        for item in found
    )


def _covers(step: TimeSpan, found: Sequence[Found]) -> bool:
    covered = sum(
        span.overlap_sec(step)
        for span in union(item.gold_span for item in found if item.gold_span is not None)
    )
    return step.duration_sec > 0 and covered >= COVER_SHARE * step.duration_sec


def _span(value: Any) -> TimeSpan | None:
    if not isinstance(value, Sequence) or len(value) != 2 or None in value:
        return None
    return TimeSpan(float(value[0]), float(value[1]))


@dataclass(frozen=True, slots=True)
class Share:
    """A count out of a total, with its 95 % Wilson interval (Wilson 1927)."""

    hits: int
    total: int

    @property
    def ratio(self) -> float | None:
        """0-1, None of nothing."""
        return self.hits / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound, 0-1; [0, 1] of nothing."""
        if not self.total:
            return 0.0, 1.0
        n, p, z2 = self.total, self.hits / self.total, WILSON_Z**2
        middle = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = WILSON_Z / (1 + z2 / n) * (p * (1 - p) / n + z2 / (4 * n * n)) ** 0.5
        return max(0.0, middle - half), min(1.0, middle + half)


def share(flags: Iterable[bool]) -> Share:
    """Count the true ones."""
    listed = list(flags)
    return Share(sum(listed), len(listed))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scored film. defect None = a good execution."""

    name: str
    defect: str | None
    score: float
    decision: str
    found: tuple[Found, ...]
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class DefectFigures:
    """What became of the films with one kind of defect.

    noticed: any finding, or a score below the pass mark, per film. named, placed: per true event
    (see Match).
    """

    films: int
    noticed: Share
    named: Share
    placed: Share
    below_pass: Share
    median_score: float
    auc: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a benchmark; auc: chance that a good film scores above a defective one."""

    good_count: int
    defective_count: int
    auc: float | None
    alarm: Share
    critical_alarm: Share
    good_passed: Share
    defective_below_pass: Share
    median_good_score: float | None
    median_defective_score: float | None
    by_defect: Mapping[str, DefectFigures]


def auc(good: Sequence[float], bad: Sequence[float]) -> float | None:
    """Share of (good, bad) pairs in the right order, ties half; None when a side is empty."""
    if not good or not bad:
        return None
    won = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    return float(won / (len(good) * len(bad)))


def summarise(outcomes: Sequence[Outcome], pass_score: float = 60.0) -> Figures:
    """The figures over scored films; pass_score: the profile's pass mark."""
    good = [o for o in outcomes if o.defect is None]
    bad = [o for o in outcomes if o.defect is not None]
    good_scores = [o.score for o in good]
    kinds = sorted({str(o.defect) for o in bad})
    return Figures(
        good_count=len(good),
        defective_count=len(bad),
        auc=auc(good_scores, [o.score for o in bad]),
        alarm=share(bool(o.found) for o in good),
        critical_alarm=share(any(f.severity == "critical" for f in o.found) for o in good),
        good_passed=share(o.decision == "pass" for o in good),
        defective_below_pass=share(o.score < pass_score for o in bad),
        median_good_score=median(good_scores) if good else None,
        median_defective_score=median(o.score for o in bad) if bad else None,
        by_defect={
            kind: _of_kind([o for o in bad if o.defect == kind], good_scores, pass_score)
            for kind in kinds
        },
    )


def _of_kind(films: list[Outcome], good_scores: list[float], pass_score: float) -> DefectFigures:
    scores = [o.score for o in films]
    matches = [m for o in films for m in o.matches]
    return DefectFigures(
        films=len(films),
        noticed=share(bool(o.found) or o.score < pass_score for o in films),
        named=share(m.named for m in matches),
        placed=share(m.placed for m in matches),
        below_pass=share(score < pass_score for score in scores),
        median_score=median(scores),
        auc=auc(good_scores, scores),
    )
