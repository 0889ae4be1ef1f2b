"""How much one address may ask, and that a crowd of addresses costs no more memory than some."""

from __future__ import annotations

import pytest

from sopilot.api import limits as module
from sopilot.api.limits import Limits
from sopilot.core.config import load_settings
from sopilot.core.errors import RateLimited


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One number: the time that `Limits` reads to forget who came."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "MOST_ADDRESSES", 3)
    return now


def limits(rpm: int = 2, failures: int = 2) -> Limits:
    settings = load_settings(
        rate_limit_rpm=rpm, rate_limit_burst=100, login_failures_per_minute=failures
    )
    return Limits(settings)


def test_beyond_so_many_addresses_newcomers_share_one_count(clock: list[float]) -> None:
    counted = limits()
    assert [counted.take(f"10.0.0.{n}") for n in range(3)] == [1, 1, 1]
    assert [counted.take("10.9.0.1"), counted.take("10.9.0.2")] == [1, 0]
    with pytest.raises(RateLimited):
        counted.take("10.9.0.3")
    assert counted.take("10.0.0.0") == 0  # who was there has a count of its own


def test_who_has_not_come_for_a_minute_is_forgotten(clock: list[float]) -> None:
    counted = limits()
    for round_number in range(50):
        assert [counted.take(f"10.0.{round_number}.{n}") for n in range(3)] == [1, 1, 1]
        clock[0] += 61.0
    counted.take("10.1.0.0")
    kept = {key for key, entries in counted._storage.events.items() if entries}
    assert len(kept) == len(counted._storage.events) == 2  # a second's and a minute's


def test_who_came_lately_is_not_forgotten(clock: list[float]) -> None:
    counted = limits()
    counted.take("10.0.0.1")
    clock[0] += 40.0
    counted.take("10.0.0.1")
    clock[0] += 40.0
    with pytest.raises(RateLimited):
        counted.take("10.0.0.1")


def test_wrong_credentials_are_counted_in_the_same_bounds(clock: list[float]) -> None:
    counted = limits(rpm=0)
    for n in range(5):
        counted.count_failure(f"10.0.0.{n}")
    counted.require_login("10.0.0.1")
    with pytest.raises(RateLimited):
        counted.require_login("10.9.0.1")
