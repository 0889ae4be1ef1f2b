"""Rows of any table as plain mappings, alike on both databases: to copy, compare and prove them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from sopilot.store.engine import canonical_json

PIECE = 500
Row = dict[str, Any]


def key_of(table: Table) -> str:
    """The one column that names a row, an integer in every table."""
    (column,) = table.primary_key.columns
    return str(column.name)


def all_rows(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """Every row in the order of its key, in pieces."""
    query = select(table).order_by(table.c[key_of(table)]).execution_options(yield_per=PIECE)
    with connection.execute(query) as rows:
        for piece in rows.mappings().partitions(PIECE):
            yield [dict(row) for row in piece]


def rows_of(connection: Connection, table: Table, keys: Sequence[int]) -> dict[int, Row]:
    """Rows by key, those that are there."""
    found: dict[int, Row] = {}
    key = key_of(table)
    for first in range(0, len(keys), PIECE):
        query = select(table).where(table.c[key].in_(keys[first : first + PIECE]))
        found |= {int(row[key]): dict(row) for row in connection.execute(query).mappings()}
    return found


def said(row: Mapping[str, Any]) -> str:
    """The row as text that is the same whatever database it comes from."""
    return canonical_json({name: _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    # SQLite keeps no minus before a zero.
    return value + 0.0 if isinstance(value, float) else value


def hashes_of(connection: Connection, table: Table) -> dict[int, bytes]:
    """A hash of each row by its key, 16 bytes: of a million rows about 100 MB."""
    key = key_of(table)
    return {
        int(row[key]): hashlib.sha256(said(row).encode()).digest()[:16]
        for piece in all_rows(connection, table)
        for row in piece
    }
