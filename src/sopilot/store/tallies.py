"""Figures that only grow: how often something happened, and how long it took.

Every process that does the work writes here, in the transaction of the work itself, so the figures
count what worker processes did, survive restarts, and do not fall when rows are deleted. Written
by jobs, library and sop; read by the metrics of the service.

A row is added, never changed, so that writers do not wait for each other; every thousandth writer
folds the rows so far into their sums, which keeps a reading short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, delete, func, insert, select

from sopilot.store.tables import tallies

FOLD_EVERY = 1000


class Tally(StrEnum):
    """What is counted; the label says of which sort."""

    JOBS = "jobs"  # changes of state; label: kind and state
    JOB_SECONDS = "job_seconds"  # first claim to end; label: kind
    ALIGNMENT_SECONDS = "alignment_seconds"  # trainee against golds; label: device
    FEATURE_SECONDS = "feature_seconds"  # the pass that makes features; label: embedder
    EMBEDDER = "embedder"  # label: request, primary, fallback, capsule
    VIGIL_SECONDS = "vigil_seconds"  # label: stage
    MODEL_CALLS = "model_calls"  # questions to a model; label: purpose and answered or failed


BOUNDS_SEC: Mapping[Tally, tuple[float, ...]] = {
    Tally.JOB_SECONDS: (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
    Tally.ALIGNMENT_SECONDS: (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0),
    Tally.FEATURE_SECONDS: (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0),
    Tally.VIGIL_SECONDS: (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0),
}
"""Upper bounds of the buckets, those of the older product; longer ones count beyond the last."""


@dataclass(slots=True)
class Figures:
    """What happened under one label. by_bound: occurrences per bucket, None = beyond the last."""

    count: int = 0
    total_sec: float = 0.0
    by_bound: dict[float | None, int] = field(default_factory=dict)

    def below(self, bounds_sec: tuple[float, ...]) -> list[int]:
        """Occurrences of at most each bound, so never falling."""
        found, sums = 0, []
        for bound in bounds_sec:
            found += self.by_bound.get(bound, 0)
            sums.append(found)
        return sums


def count(connection: Connection, tally: Tally, label: str, number: int = 1) -> None:
    """Count occurrences, in the caller's transaction."""
    if number > 0:
        _add(connection, tally, label, None, 0.0, number)


def count_model_calls(
    connection: Connection, purpose: str, *, answered: int, failed: int = 0
) -> None:
    """Count questions to a model. purpose: a short word such as `answer`."""
    count(connection, Tally.MODEL_CALLS, f"{purpose} answered", answered)
    count(connection, Tally.MODEL_CALLS, f"{purpose} failed", failed)


def observe(connection: Connection, tally: Tally, label: str, seconds: float) -> None:
    """Count one occurrence that took so many seconds, in the caller's transaction."""
    seconds = max(0.0, seconds)
    bound = next((bound for bound in BOUNDS_SEC[tally] if seconds <= bound), None)
    _add(connection, tally, label, bound, seconds)


def _add(
    connection: Connection,
    tally: Tally,
    label: str,
    bound: float | None,
    seconds: float,
    number: int = 1,
) -> None:
    values = {"tally": str(tally), "label": label, "bound": bound}
    statement = (
        insert(tallies).values(**values, count=number, total_sec=seconds).returning(tallies.c.id)
    )
    row_id: int = connection.execute(statement).scalar_one()
    if row_id % FOLD_EVERY == 0:
        fold(connection)


def fold(connection: Connection) -> None:
    """Put one row with the sum in the place of all rows of the same sort."""
    # Rows that another transaction folds at this moment are left to it.
    mine = select(tallies.c.id).with_for_update(skip_locked=True)
    columns = (tallies.c.tally, tallies.c.label, tallies.c.bound)
    gone = connection.execute(
        delete(tallies)
        .where(tallies.c.id.in_(mine))
        .returning(*columns, tallies.c.count, tallies.c.total_sec)
    ).all()
    sums: dict[tuple[str, str, float | None], tuple[int, float]] = {}
    for tally, label, bound, number, total_sec in gone:
        before = sums.get((tally, label, bound), (0, 0.0))
        sums[tally, label, bound] = (before[0] + number, before[1] + total_sec)
    rows = [
        {"tally": key[0], "label": key[1], "bound": key[2], "count": number, "total_sec": total}
        for key, (number, total) in sorted(sums.items(), key=str)
    ]
    if rows:
        connection.execute(insert(tallies), rows)


def read_tallies(connection: Connection) -> dict[Tally, dict[str, Figures]]:
    """All figures by tally and label. O(rows since the last fold)."""
    columns = (tallies.c.tally, tallies.c.label, tallies.c.bound)
    rows = connection.execute(
        select(*columns, func.sum(tallies.c.count), func.sum(tallies.c.total_sec)).group_by(
            *columns
        )
    )
    found: dict[Tally, dict[str, Figures]] = {tally: {} for tally in Tally}
    for tally, label, bound, number, total_sec in rows:
        figures = found[Tally(tally)].setdefault(label, Figures())
        figures.count += int(number)
        figures.total_sec += float(total_sec)
        figures.by_bound[bound] = figures.by_bound.get(bound, 0) + int(number)
    return found
