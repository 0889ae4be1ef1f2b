"""What follows a failed attempt: a pure function of the error and the number of attempts."""

from __future__ import annotations

from sopilot.core.errors import SopilotError, StoreError
from sopilot.store.faults import file_fault

FIRST_PAUSE_SEC = 5.0
LONGEST_PAUSE_SEC = 60.0


def pause_sec(attempt: int) -> float:
    """The pause after the attempt of this number (1, 2, …): 5, 10, 20, 40, 60, 60 … seconds."""
    doublings = min(attempt - 1, 10)  # beyond, the power only grows and the pause stays
    return float(min(FIRST_PAUSE_SEC * 2**doublings, LONGEST_PAUSE_SEC))


def retry_after_sec(error: SopilotError, attempt: int, max_attempts: int) -> float | None:
    """Seconds until the next attempt, or None when there is none: final error or last attempt."""
    if not error.retryable or attempt >= max_attempts:
        return None
    return pause_sec(attempt)


def named(error: Exception) -> SopilotError:
    """The SopilotError that an exception of a handler counts as.

    Trouble with files counts as StoreError (retryable); everything unforeseen is a defect of the
    program, which would only repeat itself, and is final with code INTERNAL_ERROR.
    """
    if isinstance(error, SopilotError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return file_fault(error, error.filename or "a file")
    if isinstance(error, MemoryError):
        return StoreError("the worker ran out of memory; run fewer workers (SOPILOT_SCORE_WORKERS)")
    return SopilotError(
        f"unexpected {type(error).__name__}; the server log has the details under this job's id"
    )
