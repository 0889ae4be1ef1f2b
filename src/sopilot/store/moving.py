"""A whole installation's rows from one database into another, in pieces, and the proof of it.

Every piece is a transaction of its own and only what is missing or different is written, so that a
move that was stopped goes on where it was, and one that is done again changes nothing. Called by
`sopilot db migrate`; the blobs stay where they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select

from sopilot.core.records import Progress, no_progress
from sopilot.store.engine import Database, canonical_json
from sopilot.store.tables import metadata
from sopilot.store.transfer import raise_counters

_PIECE = 500


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
) -> list[TableMove]:
    """Make the target's tables those of the source; what was done and what both then hold.

    Reads one moment of the source. is_dry: write nothing, count what would be written. Raises
    StoreError; then what was written so far stays.
    """
    tables = metadata.sorted_tables  # what others refer to comes first
    found = []
    with source.snapshot() as reader:
        for number, table in enumerate(tables, start=1):
            copied, changed = _copy(reader, target, table, is_dry=is_dry)
            found.append((table, copied, changed))
            progress(0.8 * number / len(tables))
        if not is_dry:
            with target.write() as writer:
                raise_counters(reader, writer)
        moves = []
        for number, (table, copied, changed) in enumerate(found, start=1):
            moves.append(_proven(reader, target, table, copied, changed))
            progress(0.8 + 0.2 * number / len(tables))
    return moves


def _copy(reader: Connection, target: Database, table: Table, *, is_dry: bool) -> tuple[int, int]:
    """(rows copied, rows changed)."""
    copied = changed = 0
    for piece in _pieces(reader, table):
        with target.read() as connection:
            known = _known(connection, table, piece)
        missing = [row for row in piece if _key(table, row) not in known]
        other = [
            row
            for row in piece
            if _key(table, row) in known and _said(known[_key(table, row)]) != _said(row)
        ]
        copied, changed = copied + len(missing), changed + len(other)
        if is_dry or not (missing or other):
            continue
        with target.write() as writer:
            if missing:
                writer.execute(table.insert(), missing)
            for row in other:
                writer.execute(table.update().where(_is(table, row)).values(row))
    return copied, changed


def _pieces(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    """All rows in the order of their keys, each piece after the last key of the one before."""
    keys = list(table.primary_key.columns)
    query = select(table).order_by(*keys).execution_options(yield_per=_PIECE)
    with connection.execute(query) as rows:
        for piece in rows.mappings().partitions(_PIECE):
            yield [dict(row) for row in piece]


def _known(
    connection: Connection, table: Table, piece: Sequence[Mapping[str, Any]]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    keys = list(table.primary_key.columns)
    wanted: ColumnElement[bool]
    if len(keys) == 1:
        wanted = keys[0].in_([row[keys[0].name] for row in piece])
    else:
        wanted = or_(*(_is(table, row) for row in piece))
    rows = [dict(row) for row in connection.execute(select(table).where(wanted)).mappings()]
    return {_key(table, row): row for row in rows}


def _key(table: Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table.primary_key.columns)


def _is(table: Table, row: Mapping[str, Any]) -> Any:
    return and_(*(column == row[column.name] for column in table.primary_key.columns))


def _said(row: Mapping[str, Any]) -> str:
    """The row as text that is the same whatever database it comes from."""
    plain = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()
    }
    return canonical_json(plain)


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
    for piece in _pieces(connection, table):
        for row in piece:
            sha.update(_said(row).encode() + b"\n")
        count += len(piece)
    return count, sha.hexdigest()
