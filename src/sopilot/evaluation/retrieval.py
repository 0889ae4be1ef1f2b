"""Ranked moments against true ones: what a search finds, how early, and how well placed.

Pure functions on records. A question with nothing relevant counts in no figure. Called by the
benchmarks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sopilot.core.errors import InputError
from sopilot.core.rates import Share, share
from sopilot.core.timespan import TimeSpan


@dataclass(frozen=True, slots=True)
class Moment:
    """A span of a video. grade: > 0, how relevant a true one is; nothing for a found one."""

    video: str
    span: TimeSpan
    grade: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.grade < math.inf:
            raise InputError(f"a moment's grade must be finite and > 0, got {self.grade}")

    def tiou(self, other: Moment) -> float:
        """Temporal intersection over union, 0-1; 0 in another video."""
        return self.span.iou(other.span) if self.video == other.video else 0.0


@dataclass(frozen=True, slots=True)
class Grounding:
    """A question, the moments found for it, best first, and all true ones."""

    question: str
    ranked: tuple[Moment, ...]
    truth: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, the items found for it by name, best first, and the grade of each relevant one.

    ranked: None = an item that is nothing relevant. An item found again brings no more. grades:
    all relevant items, > 0. Raises InputError otherwise.
    """

    question: str
    ranked: tuple[str | None, ...]
    grades: Mapping[str, float]

    def __post_init__(self) -> None:
        wrong = {name: g for name, g in self.grades.items() if not 0.0 < g < math.inf}
        if wrong:
            raise InputError(f"grades must be finite and > 0, got {wrong} for {self.question!r}")

    @property
    def gains(self) -> tuple[float, ...]:
        """The grade that each rank brings, 0 for nothing relevant or nothing new."""
        seen: set[str | None] = set()
        gains = []
        for name in self.ranked:
            gains.append(0.0 if name is None or name in seen else self.grades.get(name, 0.0))
            seen.add(name)
        return tuple(gains)


def judge(question: Grounding, least_tiou: float) -> Judged:
    """Name each found moment by the true one that it shows; each true one by the first such.

    In the order of the ranks, each found moment stands for the free true one of the highest tIoU
    if that is at least least_tiou, in (0, 1]. Raises InputError outside.
    """
    if not 0.0 < least_tiou <= 1.0:
        raise InputError(f"least_tiou must lie in (0, 1], got {least_tiou}")
    free = dict(enumerate(question.truth))
    ranked: list[str | None] = []
    for moment in question.ranked:
        best = max(free, key=lambda index: (moment.tiou(free[index]), -index), default=None)
        if best is None or moment.tiou(free[best]) < least_tiou:
            ranked.append(None)
        else:
            del free[best]
            ranked.append(str(best))
    grades = {str(index): true.grade for index, true in enumerate(question.truth)}
    return Judged(question.question, tuple(ranked), grades)


def hit_rate_at(questions: Sequence[Judged], k: int) -> Share:
    """Recall@k as a hit rate: questions with any relevant item among the first k."""
    _check(k)
    return share(any(own.gains[:k]) for own in questions if own.grades)


def coverage_at(questions: Sequence[Judged], k: int) -> float | None:
    """Recall@k as coverage: mean share of a question's relevant items among the first k, 0-1.

    Below 1 for more than k relevant items. None without a question.
    """
    _check(k)
    return _mean(questions, lambda own: sum(gain > 0 for gain in own.gains[:k]) / len(own.grades))


def mean_reciprocal_rank(questions: Sequence[Judged]) -> float | None:
    """Mean of 1 / rank of the first relevant item, 0 where there is none; None of nothing."""
    return _mean(
        questions,
        lambda own: next((1.0 / rank for rank, gain in enumerate(own.gains, 1) if gain), 0.0),
    )


def ndcg_at(questions: Sequence[Judged], k: int) -> float | None:
    """Mean of the discounted gain of the first k as a share of the best order's, 0-1.

    The gain is the grade itself, the discount log2(rank + 1). None of nothing. Source: Jarvelin &
    Kekalainen 2002, with that discount from rank 1 on (Burges et al. 2005).
    """
    _check(k)
    return _mean(
        questions,
        lambda own: (
            _discounted(own.gains[:k]) / _discounted(sorted(own.grades.values(), reverse=True)[:k])
        ),
    )


def mean_average_precision(questions: Sequence[Judged]) -> float | None:
    """Mean over the questions of the precision at each relevant item's rank, 0 for one not found.

    None of nothing. Source: Manning, Raghavan & Schutze 2008, 8.4.
    """

    def average(own: Judged) -> float:
        ranks = [rank for rank, gain in enumerate(own.gains, 1) if gain > 0]
        precisions = [place / rank for place, rank in enumerate(ranks, 1)]
        return math.fsum(precisions) / len(own.grades)

    return _mean(questions, average)


def first_rank_at(questions: Sequence[Grounding], least_tiou: float) -> Share:
    """R1@tIoU: questions whose first moment overlaps a true one by at least that.

    least_tiou: (0, 1]. Raises InputError outside. Source: Gao et al. 2017.
    """
    if not 0.0 < least_tiou <= 1.0:
        raise InputError(f"least_tiou must lie in (0, 1], got {least_tiou}")
    return share(_first_tiou(own) >= least_tiou for own in questions if own.truth)


def mean_first_tiou(questions: Sequence[Grounding]) -> float | None:
    """mIoU: mean over the questions of the first moment's best tIoU, 0 where none was found.

    None without a question.
    """
    values = [_first_tiou(own) for own in questions if own.truth]
    return math.fsum(values) / len(values) if values else None


def _first_tiou(question: Grounding) -> float:
    first = question.ranked[:1]
    return max((moment.tiou(true) for moment in first for true in question.truth), default=0.0)


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def _mean(questions: Sequence[Judged], value: Callable[[Judged], float]) -> float | None:
    values = [value(own) for own in questions if own.grades]
    return math.fsum(values) / len(values) if values else None


def _check(k: int) -> None:
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
