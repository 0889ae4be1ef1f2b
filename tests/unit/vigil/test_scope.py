"""Hours of the day become spans of each recording, by its own clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.timespan import TimeSpan
from sopilot.store.times import text_of
from sopilot.vigil.schemas import Domain, FootageRow, IndexState
from sopilot.vigil.scope import Scope, TimeOfDay, _spans


def footage(recorded_at: str | None, duration_sec: float) -> FootageRow:
    values: dict[str, Any] = dict.fromkeys(FootageRow.__dataclass_fields__)
    moment = None if recorded_at is None else datetime.fromisoformat(recorded_at)
    values |= {
        "video_id": 1,
        "domain": Domain.GENERIC,
        "state": IndexState.READY,
        "recorded_at": recorded_at,
        "recorded_from": None if moment is None else text_of(moment),
        "duration_sec": duration_sec,
    }
    return FootageRow(**values)


def spans(row: FootageRow, **scope: Any) -> list[list[float]] | None:
    found = _spans(row, Scope(**scope))
    return None if found is None else [span.as_list() for span in found]


DAY = TimeOfDay(time(8), time(17))
NIGHT = TimeOfDay(time(22), time(6))


def test_a_recording_of_three_days_has_three_shifts() -> None:
    row = footage("2026-11-26T06:00:00+03:00", 60 * 3600.0)
    hours = [[a * 3600.0, b * 3600.0] for a, b in ((2, 11), (26, 35), (50, 59))]
    assert spans(row, time_of_day=DAY) == hours
    # Over midnight: the rest of the first night, two whole ones.
    nights = [[a * 3600.0, b * 3600.0] for a, b in ((16, 24), (40, 48))]
    assert spans(row, time_of_day=NIGHT) == nights
    # 2026-11-26 is a Thursday.
    friday = TimeOfDay(time(8), time(17), frozenset({4}))
    assert spans(row, time_of_day=friday) == [hours[1]]


def test_a_night_that_began_before_the_recording_counts() -> None:
    row = footage("2026-11-26T02:00:00+03:00", 8 * 3600.0)
    assert spans(row, time_of_day=NIGHT) == [[0.0, 4 * 3600.0]]
    only_wednesday = TimeOfDay(time(22), time(6), frozenset({2}))
    assert spans(row, time_of_day=only_wednesday) == [[0.0, 4 * 3600.0]]
    assert spans(row, time_of_day=TimeOfDay(time(22), time(6), frozenset({3}))) == []


def test_a_video_without_a_clock_is_not_known_to_lie_anywhere() -> None:
    assert spans(footage(None, 60.0), time_of_day=DAY) is None
    assert spans(footage(None, 60.0), recorded_after=datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert spans(footage(None, 60.0)) == [[0.0, 60.0]]
    assert spans(footage(None, 60.0), span=TimeSpan(50, 90)) == [[50.0, 60.0]]
    assert spans(footage(None, 60.0), span=TimeSpan(70, 90)) == []


_FIRST = datetime(2026, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
begins = st.datetimes(_FIRST, _FIRST + timedelta(days=400), timezones=st.just(UTC))
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))


@given(begins, st.integers(1, 200_000), clocks, clocks, st.integers(0, 199_999))
def test_a_second_lies_in_a_span_exactly_if_its_clock_lies_in_the_hours(
    begun: datetime, length: int, first: time, last: time, at: int
) -> None:
    begun = begun.replace(microsecond=0)
    at %= length
    found = spans(footage(begun.isoformat(), float(length)), time_of_day=TimeOfDay(first, last))
    assert found is not None
    clock = (begun + timedelta(seconds=at, milliseconds=500)).time()
    wanted = first <= clock < last if first < last else clock >= first or clock < last
    assert any(a <= at + 0.5 < b for a, b in found) == wanted


@pytest.mark.parametrize(("after", "before", "wanted"), [(10, 40, [[10.0, 40.0]]), (90, 99, [])])
def test_moments_of_recording_cut_a_video(
    after: int, before: int, wanted: list[list[float]]
) -> None:
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    row = footage(begun.isoformat(), 60.0)
    chosen = {
        "recorded_after": begun + timedelta(seconds=after),
        "recorded_before": begun + timedelta(seconds=before),
    }
    assert spans(row, **chosen) == wanted
