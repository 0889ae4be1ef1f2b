"""Insert or replace by key, in one statement, on both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table


def upsert(
    connection: Connection,
    table: Table,
    key_columns: Sequence[str],
    values: Mapping[str, Any],
    *,
    keep: Sequence[str] = (),
) -> None:
    """Insert a row; where one of the same key exists, set its other columns instead.

    key_columns must be a unique constraint of the table. Columns in `keep` (created_at, uid) are
    written on insert only.
    """
    statement = _insert(connection, table).values(dict(values))
    changed = {
        name: statement.excluded[name]
        for name in values
        if name not in key_columns and name not in keep
    }
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(key_columns), set_=changed)
    )


def insert_missing(
    connection: Connection, table: Table, key_columns: Sequence[str], values: Mapping[str, Any]
) -> bool:
    """Insert a row unless there is one of the same key; whether it was inserted.

    On a server it waits for another transaction that inserts the same key.
    """
    statement = _insert(connection, table).values(dict(values))
    statement = statement.on_conflict_do_nothing(index_elements=list(key_columns))
    done = connection.execute(statement.returning(table.c[key_columns[0]]))
    return done.first() is not None


def _insert(connection: Connection, table: Table) -> Any:
    # Each dialect is loaded where it is used: PostgreSQL's takes longer than a short command.
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
