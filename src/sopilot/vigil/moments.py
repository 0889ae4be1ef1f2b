"""Several rankings of spans -> moments: one span each, with everything that speaks for it.

Pure. A text says something about its own span, a chunk at every level looks like the query: what
shares most of its time is one moment, ranked by reciprocal rank fusion, whatever scales the scores
of the rankings have. Source of the fusion: Cormack, Clarke & Büttcher 2009 (see `text.fuse`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sopilot.core.timespan import TimeSpan

FUSION_K = 60
SHARED_RATIO = 0.5
"""Share of the shorter of two spans from which on they are one moment."""
_DIVERSITY = 0.3
_ALIKE_FROM = 0.9
"""Cosine from which on two moments near to each other show the same thing."""
_NEAR_SEC = 60.0


@dataclass(frozen=True, slots=True)
class SpanHit:
    """A span that one ranking found. name: unique within its ranking. level: of a chunk, or the
    source of a text. score: on the ranking's own scale, higher is better."""

    name: str
    video_id: int
    span: TimeSpan
    level: str
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a moment: a hit, and its rank in the ranking of that name, from 1."""

    ranking: str
    rank: int
    hit: SpanHit


@dataclass(frozen=True, slots=True)
class Moment:
    """A span with its evidence, the best of each ranking first. score: fused, > 0, comparable
    within one search only."""

    video_id: int
    span: TimeSpan
    score: float
    evidence: tuple[Evidence, ...]

    @property
    def level(self) -> str:
        """Of the hit whose span it has."""
        return self.evidence[0].hit.level


@dataclass(slots=True)
class _Group:
    """Hits of one moment; the first gave its span."""

    first: Evidence
    all: list[Evidence] = field(default_factory=list)


def fuse_moments(rankings: Mapping[str, Sequence[SpanHit]], k: float = FUSION_K) -> list[Moment]:
    """Moments of all rankings, the best first, ties by video and start. O(n^2) per video.

    Hits that share at least half of the shorter one's time are one moment; its span is that of the
    best of them, the shortest of equals. A moment scores the sum over the rankings of 1 / (k + best
    rank of its hits there).
    """
    ranked = [
        Evidence(name, rank, hit)
        for name, hits in rankings.items()
        for rank, hit in enumerate(hits, start=1)
    ]
    ranked.sort(key=lambda e: (e.rank, e.hit.span.duration_sec, e.hit.video_id, e.hit.span))
    groups: dict[int, list[_Group]] = {}
    for evidence in ranked:
        own = groups.setdefault(evidence.hit.video_id, [])
        home = _home(own, evidence.hit.span)
        if home is None:
            home = _Group(evidence)
            own.append(home)
        home.all.append(evidence)
    moments = [_moment(group, k) for own in groups.values() for group in own]
    return sorted(moments, key=lambda m: (-m.score, m.video_id, m.span))


def _home(groups: Sequence[_Group], span: TimeSpan) -> _Group | None:
    """The first group that a hit belongs to. Most are elsewhere, which two comparisons tell."""
    start, end = span.start_sec, span.end_sec
    for group in groups:
        own = group.first.hit.span
        if own.start_sec <= end and start <= own.end_sec and is_one(own, span):
            return group
    return None


def is_one(one: TimeSpan, other: TimeSpan) -> bool:
    """Do two spans share half of the shorter one's time, or an instant lie within the other?"""
    shorter = min(one.duration_sec, other.duration_sec)
    if shorter == 0.0:
        return one.start_sec <= other.end_sec and other.start_sec <= one.end_sec
    return one.overlap_sec(other) >= SHARED_RATIO * shorter


def _moment(group: _Group, k: float) -> Moment:
    best: dict[str, int] = {}
    for evidence in group.all:
        best.setdefault(evidence.ranking, evidence.rank)
    # fsum rounds once, so that the order of the rankings changes no bit.
    score = math.fsum(1.0 / (k + rank) for rank in best.values())
    return Moment(group.first.hit.video_id, group.first.hit.span, score, tuple(group.all))


def diversified(
    moments: Sequence[Moment],
    looks: Mapping[int, NDArray[np.float32]],
    count: int,
) -> list[Moment]:
    """The best moments, those put back that show again what a better one nearby has shown.

    looks: the vector of a moment by its place in `moments`; one without a vector is like none.
    Maximal marginal relevance (Carbonell & Goldstein 1998) with lambda 0.7 on score / best score;
    the likeness of two moments of a video is how far their cosine exceeds 0.9, fading with the
    time between them.
    """
    if not moments:
        return []
    top = moments[0].score
    nearest = dict.fromkeys(range(len(moments)), 0.0)  # how alike the most alike chosen one is
    chosen: list[int] = []
    while nearest and len(chosen) < count:
        best = max(
            nearest,
            key=lambda i: (
                (1 - _DIVERSITY) * moments[i].score / top - _DIVERSITY * nearest[i],
                -i,
            ),
        )
        del nearest[best]
        chosen.append(best)
        for i, so_far in nearest.items():
            nearest[i] = max(so_far, _likeness(i, best, moments, looks))
    return [moments[i] for i in chosen]


def _likeness(
    i: int, j: int, moments: Sequence[Moment], looks: Mapping[int, NDArray[np.float32]]
) -> float:
    one, other = moments[i], moments[j]
    if one.video_id != other.video_id or i not in looks or j not in looks:
        return 0.0
    gap_sec = max(
        0.0,
        max(one.span.start_sec, other.span.start_sec) - min(one.span.end_sec, other.span.end_sec),
    )
    alike = (float(looks[i] @ looks[j]) - _ALIKE_FROM) / (1.0 - _ALIKE_FROM)
    return max(0.0, alike) * math.exp(-gap_sec / _NEAR_SEC)
