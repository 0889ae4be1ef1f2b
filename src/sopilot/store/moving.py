"""A whole installation's rows from one database into another, in pieces, and the proof of it.

Every piece is a transaction of its own and only what is missing or different is written, so that a
move that was stopped goes on where it was, and one that is done again changes nothing. Called by
`sopilot db migrate`; the blobs stay where they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select

from sopilot.core.records import Progress, no_progress
from sopilot.store.bringing import named_rows
from sopilot.store.engine import Database
from sopilot.store.rows import all_rows, key_of, rows_of, said
from sopilot.store.tables import metadata
from sopilot.store.transfer import raise_counters

Claim = Callable[[Connection], None]


def _claim_nothing(_writer: Connection) -> None:
    """The service does not run: nobody else writes."""


@dataclass(frozen=True, slots=True)
class TableMove:
    """What became of a table. extra: rows of the target that the source does not have; they are
    left alone. source_hash, target_hash: SHA-256 over all rows in the order of their keys."""

    table: str
    rows: int
    copied: int
    changed: int
    extra: int
    source_hash: str
    target_hash: str

    @property
    def is_same(self) -> bool:
        """Do both hold the same rows?"""
        return self.source_hash == self.target_hash


def move(
    source: Database,
    target: Database,
    *,
    is_dry: bool = False,
    progress: Progress = no_progress,
    claim: Claim = _claim_nothing,
) -> list[TableMove]:
    """Make the target's tables those of the source; what was done and what both then hold.

    Reads one moment of the source. is_dry: write nothing, count what would be written. claim: first
    in every transaction of the target; raises where this move may not write any more. Raises
    StoreError; then what was written so far stays.
    """
    tables = metadata.sorted_tables  # what others refer to comes first
    found = []
    with source.snapshot() as reader:
        for number, table in enumerate(tables, start=1):
            copied, changed = _copy(reader, target, table, claim, is_dry=is_dry)
            found.append((table, copied, changed))
            progress(0.8 * number / len(tables))
        if not is_dry:
            with target.write() as writer:
                claim(writer)
                raise_counters(reader, writer)
        moves = []
        for number, (table, copied, changed) in enumerate(found, start=1):
            moves.append(_proven(reader, target, table, copied, changed))
            progress(0.8 + 0.2 * number / len(tables))
    return moves


def _copy(
    reader: Connection, target: Database, table: Table, claim: Claim, *, is_dry: bool
) -> tuple[int, int]:
    """(rows copied, rows changed)."""
    copied = changed = 0
    key = key_of(table)
    for piece in all_rows(reader, table):
        with target.read() as connection:
            known = rows_of(connection, table, [row[key] for row in piece])
        missing = [row for row in piece if row[key] not in known]
        other = [row for row in piece if row[key] in known and said(known[row[key]]) != said(row)]
        copied, changed = copied + len(missing), changed + len(other)
        if is_dry or not (missing or other):
            continue
        with target.write() as writer, named_rows(table, [row[key] for row in piece]):
            claim(writer)
            if missing:
                writer.execute(table.insert(), missing)
            for row in other:
                writer.execute(table.update().where(table.c[key] == row[key]).values(row))
    return copied, changed


def _proven(
    reader: Connection, target: Database, table: Table, copied: int, changed: int
) -> TableMove:
    rows, source_hash = _hash(reader, table)
    with target.read() as connection:
        _, target_hash = _hash(connection, table)
        total = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return TableMove(
        table.name, rows, copied, changed, max(0, total - rows), source_hash, target_hash
    )


def _hash(connection: Connection, table: Table) -> tuple[int, str]:
    sha, count = hashlib.sha256(), 0
    for piece in all_rows(connection, table):
        for row in piece:
            sha.update(said(row).encode() + b"\n")
        count += len(piece)
    return count, sha.hexdigest()
