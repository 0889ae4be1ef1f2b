"""What follows a failed attempt."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.core.errors import (
    BadUpload,
    DiskFull,
    SchemaTooNew,
    SopilotError,
    StoreError,
    WorkerLost,
)
from sopilot.jobs.retry import named, pause_sec, retry_after_sec


def test_pauses_of_the_contract() -> None:
    assert [pause_sec(attempt) for attempt in range(1, 7)] == [5, 10, 20, 40, 60, 60]


@given(st.integers(1, 10**9))
def test_pause_never_shrinks_nor_exceeds_a_minute(attempt: int) -> None:
    assert 5 <= pause_sec(attempt) <= pause_sec(attempt + 1) <= 60


@pytest.mark.parametrize(
    ("error", "attempt", "expected"),
    [
        (StoreError("x"), 1, 5.0),
        (StoreError("x"), 2, 10.0),
        (WorkerLost("x"), 3, None),
        (DiskFull("x"), 4, None),
        (BadUpload("x"), 1, None),
        (SchemaTooNew("x"), 1, None),
        (SopilotError("x"), 1, None),
    ],
)
def test_decision(error: SopilotError, attempt: int, expected: float | None) -> None:
    assert retry_after_sec(error, attempt, max_attempts=3) == expected


@pytest.mark.parametrize(
    ("raised", "kind", "retryable"),
    [
        (BadUpload("x"), BadUpload, False),
        (OSError(errno.ENOSPC, "full", "/x"), DiskFull, True),
        (OSError(errno.EIO, "io"), StoreError, True),
        (MemoryError(), StoreError, True),
        (ZeroDivisionError("secret"), SopilotError, False),
        (OSError("no number"), SopilotError, False),
    ],
)
def test_exceptions_of_handlers_get_a_name(
    raised: Exception, kind: type[SopilotError], retryable: bool
) -> None:
    error = named(raised)
    assert (type(error), error.retryable) == (kind, retryable)
    assert "secret" not in error.message
