"""Two databases held against each other by hashes of rows. Called by `sopilot db compare`."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from sqlalchemy import Connection, Table

from sopilot.store import change_log
from sopilot.store.engine import Database
from sopilot.store.follow import at_rest
from sopilot.store.rows import hashes_of
from sopilot.store.tables import metadata

MOST_KEYS = 20
"""Of rows that differ, named per table."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table in two databases. missing, surplus: rows that only the first, only the second has;
    differing: the same key, another row. keys: the first of each, in that order. waiting: of all
    these, rows that the change log still names."""

    table: str
    rows: int
    missing: int
    surplus: int
    differing: int
    waiting: int
    keys: tuple[int, ...]

    @property
    def is_same(self) -> bool:
        """Apart from what waits, are they alike?"""
        return self.missing + self.surplus + self.differing == self.waiting


def compare(first: Database, second: Database) -> list[Comparison]:
    """Every table by the hashes of its rows, each database at one moment, between which nothing is
    applied. Raises StoreError, Conflict where somebody applies for too long."""
    found = []
    with ExitStack() as stack:
        with at_rest(first, second):
            here, there = (stack.enter_context(item.snapshot()) for item in (first, second))
            # The first query is the moment.
            is_logged, _ = change_log.is_logged(here), change_log.is_logged(there)
        waiting: dict[str, set[int]] = {}
        for _, name, row_id in change_log.lines(here) if is_logged else ():
            waiting.setdefault(name, set()).add(row_id)
        for table in metadata.sorted_tables:
            found.append(_compared(here, there, table, waiting.get(table.name, set())))
    return found


def _compared(here: Connection, there: Connection, table: Table, waiting: set[int]) -> Comparison:
    ours, theirs = hashes_of(here, table), hashes_of(there, table)
    missing = sorted(ours.keys() - theirs.keys())
    surplus = sorted(theirs.keys() - ours.keys())
    differing = sorted(key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key])
    all_keys = [*missing, *surplus, *differing]
    return Comparison(
        table.name,
        len(ours),
        len(missing),
        len(surplus),
        len(differing),
        len(waiting.intersection(all_keys)),
        tuple(all_keys[:MOST_KEYS]),
    )
