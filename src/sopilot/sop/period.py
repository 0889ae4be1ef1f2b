"""The span of time that a question about scores covers, from what a caller wrote. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from sopilot.core.errors import InputError
from sopilot.store.times import text_of

MAX_DAYS = 365


def read_period(
    days: int | None, since: str | None, until: str | None, now: datetime
) -> tuple[str | None, str | None]:
    """First moment (included) and end (excluded) as the tables store moments; None = open.

    since, until: a date (the whole day, UTC) or a moment, both ISO 8601; a moment without an offset
    is UTC. days: 1-365, counted back from `until`, else from `now` (aware).
    Raises InputError for what is neither, an empty period, or days together with since.
    """
    if days is not None and since is not None:
        raise InputError("days and from exclude each other; give one of them", {"field": "days"})
    first = None if since is None else _moment("from", since)
    end = None if until is None else _moment("to", until, is_end=True)
    if days is not None:
        first = _earlier(end or now, days)
    if first is not None and end is not None and first >= end:
        raise InputError(f"from {since} is not before to {until}; exchange them", {"field": "from"})
    return (None if first is None else text_of(first), None if end is None else text_of(end))


def _moment(name: str, given: str, *, is_end: bool = False) -> datetime:
    try:
        if len(given) > 10:
            moment = datetime.fromisoformat(given)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return moment.astimezone(UTC)
        day = datetime.combine(date.fromisoformat(given), time(), UTC)
        return day + timedelta(days=1) if is_end else day
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{name} is {given!r:.80}; give a date such as 2026-02-28 or a moment such as "
            "2026-02-28T09:00:00Z (a + in an address is written %2B)",
            {"field": name},
        ) from error


def _earlier(end: datetime, days: int) -> datetime:
    try:
        return end - timedelta(days=days)
    except OverflowError as error:
        raise InputError(
            f"{days} days before {end.date()} is no date; give a later `to`", {"field": "days"}
        ) from error
