"""Named rows of one database brought into another, in one transaction, a piece at a time.

Called by `store.follow`, which says which rows and holds the other database alone meanwhile.
Foreign keys are looked at in the end of the transaction. Unique values may go from one row to
another, also between rows that stay: such rows first give up their old values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, String, Table, UniqueConstraint, bindparam, select
from sqlalchemy.exc import DBAPIError

from sopilot.core.errors import StoreError
from sopilot.store.faults import database_fault
from sopilot.store.rows import PIECE, key_of, rows_of, said
from sopilot.store.tables import metadata


def bring(reader: Connection, writer: Connection, named: Mapping[str, set[int]]) -> tuple[int, int]:
    """(rows written, rows deleted). named: table → keys of rows, of which PIECE at once are held.

    What is gone goes first, for its unique values may be taken by what is new. Raises StoreError
    where a database does not answer or refuses a row.
    """
    tables = [table for table in metadata.sorted_tables if table.name in named]
    deleted = written = 0
    for table in reversed(tables):
        for keys in _pieces(named[table.name]):
            with named_rows(table, keys):
                deleted += _delete_gone(reader, writer, table, keys)
    for table in tables:
        for keys in _pieces(named[table.name]):
            with named_rows(table, keys):
                give_up_values(reader, writer, table, keys)
        for keys in _pieces(named[table.name]):
            with named_rows(table, keys):
                written += _write(reader, writer, table, keys)
    return written, deleted


def _delete_gone(reader: Connection, writer: Connection, table: Table, keys: Sequence[int]) -> int:
    column = table.c[key_of(table)]
    present = set(reader.execute(select(column).where(column.in_(keys))).scalars())
    gone = [key for key in keys if key not in present]
    if not gone:
        return 0
    return writer.execute(table.delete().where(column.in_(gone))).rowcount


def _write(reader: Connection, writer: Connection, table: Table, keys: Sequence[int]) -> int:
    rows, known = rows_of(reader, table, keys), rows_of(writer, table, keys)
    missing = [row for key, row in rows.items() if key not in known]
    changed = [row for key, row in rows.items() if key in known and said(known[key]) != said(row)]
    if missing:
        writer.execute(table.insert(), missing)
    if changed:
        key = key_of(table)
        statement = table.update().where(table.c[key] == bindparam("of_key"))
        writer.execute(statement, [{**row, "of_key": row[key]} for row in changed])
    return len(rows)


def give_up_values(
    reader: Connection,
    writer: Connection,
    table: Table,
    keys: Sequence[int],
    *,
    is_final: bool = False,
) -> None:
    """Let rows of the writer whose unique values are others by now hold some that nobody wants.

    is_final: the transaction ends before they get their new ones, so that a row that could only
    give up a foreign key is deleted instead, with what cascades; the caller writes all anew.
    """
    key = table.c[key_of(table)]
    for columns in _unique_columns(table):
        query = select(key, *columns).where(key.in_(keys))
        wanted = {int(row[0]): tuple(row[1:]) for row in reader.execute(query)}
        known = {int(row[0]): tuple(row[1:]) for row in writer.execute(query)}
        others = [one for one in wanted.keys() & known.keys() if wanted[one] != known[one]]
        column = next((item for item in reversed(columns) if not item.foreign_keys), columns[-1])
        for one in sorted(others):
            row = key == one
            if is_final and column.foreign_keys:
                writer.execute(table.delete().where(row))
                continue
            value: Any = f"~{one}" if isinstance(column.type, String) else -one
            writer.execute(table.update().where(row).values({column.name: value}))


def _unique_columns(table: Table) -> Iterator[list[Column[Any]]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield list(constraint.columns)
    for index in table.indexes:
        if index.unique:
            yield list(index.columns)


@contextmanager
def named_rows(table: Table, keys: Sequence[int]) -> Iterator[None]:
    """Say of which rows a fault is. Raises StoreError."""
    try:
        yield
    except DBAPIError as error:
        fault = None if error.orig is None else database_fault(error.orig)
        reason = str(error.orig).strip().splitlines()[0] if fault is None else fault.message
        raise (type(fault) if fault is not None else StoreError)(
            f"{reason} (rows {keys[0]} to {keys[-1]} of {table.name})"
        ) from error


def _pieces(keys: set[int]) -> Iterator[list[int]]:
    ordered = sorted(keys)
    for first in range(0, len(ordered), PIECE):
        yield ordered[first : first + PIECE]
