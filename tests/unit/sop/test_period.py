"""Periods as people write them become moments as the tables store them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sopilot.core.errors import InputError
from sopilot.sop.period import read_period

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "since", "until", "expected"),
    [
        (None, None, None, (None, None)),
        (1, None, None, ("2026-03-09T12:30:00", None)),
        (365, None, None, ("2025-03-10T12:30:00", None)),
        (None, "2026-02-28", None, ("2026-02-28T00:00:00", None)),
        (None, None, "2026-02-28", (None, "2026-03-01T00:00:00")),
        (None, "2026-02-28", "2026-02-28", ("2026-02-28T00:00:00", "2026-03-01T00:00:00")),
        (2, None, "2026-02-28", ("2026-02-27T00:00:00", "2026-03-01T00:00:00")),
        (None, "2026-02-28T09:00:00+09:00", None, ("2026-02-28T00:00:00", None)),
        (None, "2026-02-28T09:00:00Z", None, ("2026-02-28T09:00:00", None)),
        (None, "2026-02-28T09:00", None, ("2026-02-28T09:00:00", None)),
    ],
)
def test_read_period(
    days: int | None,
    since: str | None,
    until: str | None,
    expected: tuple[str | None, str | None],
) -> None:
    stored = tuple(None if text is None else f"{text}.000000+00:00" for text in expected)
    assert read_period(days, since, until, NOW) == stored


@pytest.mark.parametrize(
    ("days", "since", "until", "told"),
    [
        (1, "2026-02-28", None, "exclude each other"),
        (None, "2026-02-30", None, "give a date"),
        (None, "yesterday", None, "give a date"),
        (None, None, "", "give a date"),
        (None, None, "9999-12-31", "give a date"),
        (None, "0001-01-01T00:00:00+09:00", None, "give a date"),
        (None, "2026-02-28T09:00:00 09:00", None, "%2B"),
        (None, "2026-03-01", "2026-02-28", "is not before"),
        (None, "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "is not before"),
        (365, None, "0001-03-01", "give a later"),
    ],
)
def test_what_is_no_period_is_refused(
    days: int | None, since: str | None, until: str | None, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        read_period(days, since, until, NOW)
