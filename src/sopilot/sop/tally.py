"""Counts of completed scores by operator and site, and the figures made of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

TrendDirection = Literal["improving", "stable", "declining"]

RANKED = 5
RANKED_FROM_JOBS = 3
"""An operator with fewer scores is not ranked. Source: contract 5."""


class Tally(NamedTuple):
    """How many scores there are, of which decisions and in which range of points."""

    job_count: int = 0
    score_sum: float = 0.0
    min_score: float | None = None
    max_score: float | None = None
    pass_count: int = 0
    fail_count: int = 0
    needs_review_count: int = 0
    retrain_count: int = 0
    from_90_count: int = 0
    from_80_count: int = 0
    from_70_count: int = 0

    @property
    def avg_score(self) -> float | None:
        """Mean score; None where there is none."""
        return round(self.score_sum / self.job_count, 2) if self.job_count else None

    @property
    def compliance_rate(self) -> float | None:
        """Share of passes, 0-1; None where there is no score."""
        return rate(self.pass_count, self.job_count)

    @property
    def distribution(self) -> tuple[tuple[str, int], ...]:
        """Name and count of each bucket of points, the highest first. Source: contract 5."""
        return (
            ("90-100", self.from_90_count),
            ("80-89", self.from_80_count - self.from_90_count),
            ("70-79", self.from_70_count - self.from_80_count),
            ("0-69", self.job_count - self.from_70_count),
        )


def together(tallies: Iterable[Tally]) -> Tally:
    """All in one."""
    counted = [tally for tally in tallies if tally.job_count]
    if not counted:
        return Tally()
    job_counts, sums, lowest, highest, *others = zip(*counted, strict=True)
    return Tally(sum(job_counts), sum(sums), min(lowest), max(highest), *map(sum, others))


@dataclass(frozen=True, slots=True)
class Group:
    """The scores of one operator at one site; None where the video names none."""

    operator_id: str | None
    site_id: str | None
    tally: Tally


@dataclass(frozen=True, slots=True)
class Share:
    """The scores of one operator or one site. name: None where the video names none."""

    name: str | None
    tally: Tally


def rate(count: int, total: int) -> float | None:
    """count / total with four digits, 0-1; None of nothing."""
    return round(count / total, 4) if total else None


def total_of(groups: Iterable[Group]) -> Tally:
    """All groups together."""
    return together(group.tally for group in groups)


def by_operator(groups: Iterable[Group]) -> tuple[Share, ...]:
    """Best mean score first."""
    return _shares(groups, lambda group: group.operator_id)


def by_site(groups: Iterable[Group]) -> tuple[Share, ...]:
    """Best mean score first."""
    return _shares(groups, lambda group: group.site_id)


def _shares(groups: Iterable[Group], name_of: Callable[[Group], str | None]) -> tuple[Share, ...]:
    found: dict[str | None, list[Tally]] = {}
    for group in groups:
        found.setdefault(name_of(group), []).append(group.tally)
    shares = [Share(name, together(tallies)) for name, tallies in found.items()]
    return tuple(sorted(shares, key=lambda s: (-(s.tally.avg_score or 0.0), s.name or "")))


def ranked_operators(shares: Sequence[Share]) -> tuple[Share, ...]:
    """Operators with enough scores, best share of passes first; equal ones by mean score, name."""
    able = [s for s in shares if s.name is not None and s.tally.job_count >= RANKED_FROM_JOBS]
    return tuple(
        sorted(
            able,
            key=lambda s: (
                -(s.tally.pass_count / s.tally.job_count),
                -(s.tally.score_sum / s.tally.job_count),
                s.name or "",
            ),
        )
    )


def direction(first: tuple[int, int], last: tuple[int, int]) -> TrendDirection:
    """Where the share of passes goes, from (passes, scores) of the earlier and the later half.

    More than 0.05 apart counts, exactly 0.05 does not; computed in whole numbers. Source: contract
    5.
    """
    (first_passes, first_count), (last_passes, last_count) = first, last
    weight = first_count * last_count
    difference = 20 * (last_passes * first_count - first_passes * last_count)
    if weight and difference > weight:
        return "improving"
    if weight and difference < -weight:
        return "declining"
    return "stable"
