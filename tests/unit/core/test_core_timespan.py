"""Spans of time: overlap, union, timecodes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import InputError
from sopilot.core.timespan import TimeSpan, timecode, union

seconds = st.floats(0, 1e5, allow_nan=False)
spans = st.tuples(seconds, seconds).map(lambda pair: TimeSpan(min(pair), max(pair)))


@pytest.mark.parametrize(("start", "end"), [(2, 1), (float("nan"), 1), (0, float("inf"))])
def test_nonsense_is_refused(start: float, end: float) -> None:
    with pytest.raises(InputError):
        TimeSpan(start, end)


@given(spans, spans)
def test_iou_is_symmetric_and_bounded(first: TimeSpan, second: TimeSpan) -> None:
    assert first.iou(second) == second.iou(first)
    assert 0.0 <= first.iou(second) <= 1.0


@given(st.lists(spans, max_size=8))
def test_union_is_disjoint_and_covers_each_span(parts: list[TimeSpan]) -> None:
    merged = union(parts)
    for left, right in pairwise(merged):
        assert left.end_sec < right.start_sec
    for part in parts:
        assert any(m.start_sec <= part.start_sec and part.end_sec <= m.end_sec for m in merged)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0:00.0"), (59.96, "1:00.0"), (75.24, "1:15.2"), (3661.5, "1:01:01.5"), (-3, "0:00.0")],
)
def test_timecodes(value: float, text: str) -> None:
    assert timecode(value) == text
