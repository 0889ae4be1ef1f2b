"""The figures over many scored films. Pure; called by the benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from sopilot.evaluation.rates import Share, auc, share
from sopilot.evaluation.truth import Found, Match


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
