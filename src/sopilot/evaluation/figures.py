"""The figures over many scored films: how well good and defective executions are told apart.

Pure; called by the benchmarks. A pass is the decision of the public record, whatever the score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import median

from sopilot.core.rates import Rate, Share, auc, balanced_accuracy, rate, share
from sopilot.evaluation.truth import Found, Match
from sopilot.sop.comparison import EventType

PASS = "pass"
LEAST_LOSS = 5.0
"""Points below the good ones' median that a film with a slow step must lie."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scored film.

    unit: the independent execution it comes from. group: the golds it was held against; films of
    one group can be ranked. defect None = a good execution. basis: why it was decided so.
    interval: of the score, None = none was asked for.
    """

    name: str
    unit: str
    group: str
    defect: str | None
    score: float
    decision: str
    basis: str
    found: tuple[Found, ...]
    matches: tuple[Match, ...]
    interval: tuple[float, float] | None = None

    @property
    def is_passed(self) -> bool:
        """Whether the execution passes."""
        return self.decision == PASS

    @property
    def is_noticed(self) -> bool:
        """Whether anything is said against the film."""
        return bool(self.found) or not self.is_passed

    @property
    def is_critical(self) -> bool:
        """Whether a finding fails the execution; a remark for review never does."""
        return any(f.severity == "critical" and f.certainty != "review" for f in self.found)


@dataclass(frozen=True, slots=True)
class DefectFigures:
    """What became of the films with one kind of defect.

    noticed: see Outcome. named, placed: per true event (see Match). auc: against the good films of
    the same group.
    """

    films: int
    noticed: Rate
    named: Rate
    placed: Rate
    passed: Rate
    median_score: float
    auc: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one way to score one set of films.

    auc: chance that a good film scores above a defective one, over all films; group_auc: within
    each group. alarm: good films with any finding; critical: with one that fails them; not_passed:
    good films that do not pass.
    """

    good_count: int
    defective_count: int
    auc: float | None
    group_auc: Mapping[str, float]
    balanced_accuracy: float | None
    alarm: Rate
    critical: Rate
    not_passed: Rate
    defective_passed: Rate
    median_good_score: float | None
    median_defective_score: float | None
    by_defect: Mapping[str, DefectFigures]

    @property
    def mean_group_auc(self) -> float | None:
        """Mean over the groups, None without any."""
        values = list(self.group_auc.values())
        return math.fsum(values) / len(values) if values else None


def summarise(outcomes: Sequence[Outcome]) -> Figures:
    """The figures over scored films."""
    good = [o for o in outcomes if o.defect is None]
    bad = [o for o in outcomes if o.defect is not None]
    not_passed = _rate(good, lambda o: not o.is_passed)
    passed = _rate(bad, lambda o: o.is_passed)
    good_passed = Share(len(good) - not_passed.films.hits, len(good))
    return Figures(
        good_count=len(good),
        defective_count=len(bad),
        auc=_auc(good, bad),
        group_auc=_group_auc(good, bad),
        balanced_accuracy=balanced_accuracy(good_passed, passed.films),
        alarm=_rate(good, lambda o: bool(o.found)),
        critical=_rate(good, lambda o: o.is_critical),
        not_passed=not_passed,
        defective_passed=passed,
        median_good_score=median(o.score for o in good) if good else None,
        median_defective_score=median(o.score for o in bad) if bad else None,
        by_defect={
            kind: _of_kind([o for o in bad if o.defect == kind], good)
            for kind in sorted({str(o.defect) for o in bad})
        },
    )


def slow_flagged(outcomes: Sequence[Outcome], kinds: Sequence[str]) -> Rate:
    """Films of these kinds of defect that are named on the right step and cost LEAST_LOSS points.

    The loss is against the median of the good films of the same group; a group without good films
    does not count.
    """
    usual = {
        group: median(o.score for o in outcomes if o.group == group and o.defect is None)
        for group in {o.group for o in outcomes if o.defect is None}
    }
    return _rate(
        [o for o in outcomes if o.defect in kinds and o.group in usual],
        lambda o: all(m.named for m in o.matches) and o.score <= usual[o.group] - LEAST_LOSS,
    )


def named_events(outcomes: Iterable[Outcome], kind: EventType) -> Rate:
    """True events of a type that are named, over the films that have one."""
    return rate(
        (o.unit, match.named) for o in outcomes for match in o.matches if match.event.type is kind
    )


def stopped(outcomes: Iterable[Outcome], kinds: Sequence[str]) -> Share:
    """Films of these kinds of defect that do not pass."""
    return share(not o.is_passed for o in outcomes if o.defect in kinds)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the interval of one recording holds the score of another of the same execution.

    pairs: ordered pairs of recordings. unit_mean, unit_least: of the executions' own shares.
    whole_units: executions whose every pair is covered. width, spread: medians over recordings and
    executions, points.
    """

    pairs: Share
    unit_mean: float | None
    unit_least: float | None
    whole_units: Share
    width: float | None
    spread: float | None


def coverage(recordings: Sequence[Outcome]) -> Coverage:
    """Coverage over recordings with intervals; unit: the execution that was recorded again."""
    units = sorted({o.unit for o in recordings})
    grouped = [[o for o in recordings if o.unit == unit] for unit in units]
    covered = [share(_holds(a, b.score) for a, b in permutations(own, 2)) for own in grouped]
    counted = [own for own in covered if own.total]
    ratios = [own.hits / own.total for own in counted]
    widths = [o.interval[1] - o.interval[0] for o in recordings if o.interval]
    spreads = [max(o.score for o in own) - min(o.score for o in own) for own in grouped]
    return Coverage(
        pairs=Share(sum(own.hits for own in counted), sum(own.total for own in counted)),
        unit_mean=math.fsum(ratios) / len(ratios) if ratios else None,
        unit_least=min(ratios, default=None),
        whole_units=share(own.hits == own.total for own in counted),
        width=median(widths) if widths else None,
        spread=median(spreads) if spreads else None,
    )


def _holds(recording: Outcome, score: float) -> bool:
    return recording.interval is not None and (
        recording.interval[0] <= score <= recording.interval[1]
    )


def _of_kind(films: Sequence[Outcome], good: Sequence[Outcome]) -> DefectFigures:
    events = [(o.unit, match) for o in films for match in o.matches]
    groups = {o.group for o in films}
    return DefectFigures(
        films=len(films),
        noticed=_rate(films, lambda o: o.is_noticed),
        named=rate((unit, match.named) for unit, match in events),
        placed=rate((unit, match.placed) for unit, match in events),
        passed=_rate(films, lambda o: o.is_passed),
        median_score=median(o.score for o in films),
        auc=_auc([o for o in good if o.group in groups], films),
    )


def _rate(films: Iterable[Outcome], is_so: Callable[[Outcome], bool]) -> Rate:
    return rate((o.unit, is_so(o)) for o in films)


def _auc(good: Sequence[Outcome], bad: Sequence[Outcome]) -> float | None:
    return auc([o.score for o in good], [o.score for o in bad])


def _group_auc(good: Sequence[Outcome], bad: Sequence[Outcome]) -> dict[str, float]:
    values = {
        group: _auc([o for o in good if o.group == group], [o for o in bad if o.group == group])
        for group in sorted({o.group for o in good})
    }
    return {group: value for group, value in values.items() if value is not None}
