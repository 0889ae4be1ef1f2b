"""Stored moments sort as text and come back exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.store.times import after_text, now_text, parse_text, text_of

# Years below 1000 would be shorter texts; at the ends a time zone leads out of the calendar.
offsets = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
moments = st.datetimes(timezones=offsets).filter(lambda at: 1000 < at.year < 9999)


@given(moments, moments)
def test_text_sorts_like_time_and_comes_back(first: datetime, second: datetime) -> None:
    assert parse_text(text_of(first)) == first.astimezone(UTC)
    assert len(text_of(first)) == 32
    if first.astimezone(UTC) < second.astimezone(UTC):
        assert text_of(first) < text_of(second)


def test_documented_form() -> None:
    tokyo = timezone(timedelta(hours=9))
    moment = datetime(2026, 2, 28, 18, 0, 0, tzinfo=tokyo)
    assert text_of(moment) == "2026-02-28T09:00:00.000000+00:00"


def test_differences_are_in_seconds() -> None:
    delay = parse_text(after_text(5.0)) - parse_text(now_text())
    assert delay.total_seconds() == pytest.approx(5.0, abs=1.0)
    assert after_text(-1.0) < now_text() < after_text(1.0)
