"""Rankings become moments: what shares time is one, what several rankings found comes first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.timespan import TimeSpan
from sopilot.vigil.moments import SpanHit, diversified, fuse_moments, is_one


def hit(start: float, end: float, video_id: int = 1, level: str = "micro") -> SpanHit:
    return SpanHit(f"{level}-{start}-{end}", video_id, TimeSpan(start, end), level, 1.0)


def test_what_two_rankings_found_comes_before_what_one_found_better() -> None:
    text = [hit(100, 104, level="transcript"), hit(20, 24, level="transcript")]
    visual = [hit(50, 53), hit(21, 24)]
    found = fuse_moments({"text": text, "visual": visual})
    assert [moment.span.as_list() for moment in found] == [[21, 24], [50, 53], [100, 104]]
    assert found[0].score == pytest.approx(2 / 62)
    assert [(e.ranking, e.rank) for e in found[0].evidence] == [("visual", 2), ("text", 2)]


def test_levels_of_one_place_are_one_moment_with_the_finest_best_span() -> None:
    visual = [hit(6, 9), hit(0, 48, level="macro"), hit(7.5, 10.5), hit(30, 33)]
    (first, second) = fuse_moments({"visual": visual})
    assert first.span == TimeSpan(6, 9)
    assert [e.hit.level for e in first.evidence] == ["micro", "macro", "micro"]
    assert second.span == TimeSpan(30, 33)


def test_videos_do_not_mix() -> None:
    found = fuse_moments({"text": [hit(0, 3, 1), hit(0, 3, 2)]})
    assert [moment.video_id for moment in found] == [1, 2]


def test_an_instant_belongs_to_what_it_lies_in() -> None:
    assert is_one(TimeSpan(2, 2), TimeSpan(0, 3))
    assert is_one(TimeSpan(3, 3), TimeSpan(0, 3))
    assert not is_one(TimeSpan(3.1, 3.1), TimeSpan(0, 3))
    assert not is_one(TimeSpan(0, 2), TimeSpan(1.5, 4))


spans = st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda p: (p[0], p[0] + p[1]))
hits = st.lists(st.tuples(spans, st.integers(1, 3)), max_size=12).map(
    lambda rows: [hit(*span, video_id) for span, video_id in dict.fromkeys(rows)]
)


@given(text=hits, visual=hits)
def test_every_hit_is_evidence_of_one_moment_and_the_order_of_rankings_is_nothing(
    text: list[SpanHit], visual: list[SpanHit]
) -> None:
    found = fuse_moments({"text": text, "visual": visual})
    evidence = [e for moment in found for e in moment.evidence]
    assert len(evidence) == len(text) + len(visual)
    for moment in found:
        assert all(is_one(moment.span, e.hit.span) for e in moment.evidence)
        assert all(e.hit.video_id == moment.video_id for e in moment.evidence)
    other = fuse_moments({"visual": visual, "text": text})
    assert [(m.video_id, m.span, m.score) for m in other] == [
        (m.video_id, m.span, m.score) for m in found
    ]
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)


def test_what_looks_the_same_nearby_is_put_back_but_not_lost() -> None:
    moments = fuse_moments({"visual": [hit(0, 3), hit(4, 7), hit(300, 303), hit(500, 503)]})
    same, other = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
    looks = {0: same, 1: same, 2: same, 3: other}
    starts = [moment.span.start_sec for moment in diversified(moments, looks, 4)]
    assert starts == [0, 300, 500, 4]
    assert len(diversified(moments, looks, 2)) == 2
    assert diversified(moments, {}, 9) == moments
    assert diversified([], {}, 5) == []
