"""Moments as the tables store them: UTC ISO text with microseconds, sortable as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def text_of(moment: datetime) -> str:
    """An aware datetime as `2026-02-28T09:00:00.000000+00:00` (always 32 characters)."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def now_text() -> str:
    """The present moment by the clock of this machine."""
    return text_of(datetime.now(UTC))


def after_text(delay_sec: float) -> str:
    """The moment `delay_sec` seconds from now; a negative delay lies in the past."""
    return text_of(datetime.now(UTC) + timedelta(seconds=delay_sec))


def parse_text(text: str) -> datetime:
    """The aware datetime that `text_of` wrote."""
    return datetime.fromisoformat(text)


def seconds_between(begun: str, ended: str) -> float:
    """Seconds from one stored moment to another."""
    return (parse_text(ended) - parse_text(begun)).total_seconds()
