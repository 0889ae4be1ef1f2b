"""All rows of one database into another one of the same schema, of either kind.

A backup of a server is an SQLite file made by this, and a restore into a server reads such a file;
so one form of backup serves both, and an installation can move from one to the other.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Table, select, text

from sopilot.store.engine import open_database
from sopilot.store.tables import metadata

_PIECE = 500


def dump_rows(source: Connection, path: Path) -> None:
    """All that a connection sees as a new SQLite file, which needs no log beside it.

    source: of `Database.snapshot`, so that it is one moment. Raises StoreError, DiskFull.
    """
    database = open_database(f"sqlite:///{path}")
    try:
        with database.write() as target:
            copy_rows(source, target)
    finally:
        database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def copy_rows(source: Connection, target: Connection) -> None:
    """Every row into the empty tables of the target; its counters of ids go on behind them."""
    for table in metadata.sorted_tables:  # what others refer to comes first
        query = select(table).execution_options(yield_per=_PIECE)
        with source.execute(query) as rows:
            for piece in rows.mappings().partitions(_PIECE):
                target.execute(table.insert(), [dict(row) for row in piece])
    raise_counters(source, target)


def raise_counters(source: Connection, target: Connection) -> None:
    """Let the target give no id that the source has given, also of rows that are gone."""
    _raise_counters(target, _counters(source))


def delete_rows(connection: Connection) -> None:
    """Empty every table. Counters of ids stay: a number that was given names nothing new."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(table.name for table in metadata.sorted_tables)
        connection.execute(text(f"TRUNCATE {names}"))
        return
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())


def has_rows(connection: Connection) -> bool:
    """Whether any table holds anything."""
    return any(
        connection.execute(select(1).select_from(table).limit(1)).first() is not None
        for table in metadata.sorted_tables
    )


def _counters(connection: Connection) -> dict[str, int]:
    """Table → the highest id that it ever gave, where the database remembers it."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
        return {row.name: int(row.seq) for row in rows}
    found = {}
    for table in _numbered():
        name = _sequence(connection, table)
        query = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}")
        found[table.name] = int(connection.execute(query).scalar_one())
    return found


def _raise_counters(connection: Connection, wanted: dict[str, int]) -> None:
    if connection.dialect.name == "sqlite":
        known = _counters(connection)
        for table in _numbered():
            number = wanted.get(table.name, 0)
            if not table.dialect_options["sqlite"]["autoincrement"]:
                continue
            if table.name not in known:
                statement = "INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :number)"
            else:
                statement = "UPDATE sqlite_sequence SET seq = max(seq, :number) WHERE name = :name"
            connection.execute(text(statement), {"name": table.name, "number": number})
        return
    present = _counters(connection)
    for table in _numbered():
        query = select(table.c.id).order_by(table.c.id.desc()).limit(1)
        last = connection.execute(query).scalar() or 0
        number = max(last, present[table.name], wanted.get(table.name, 0))
        if number:
            sequence = {"name": _sequence(connection, table), "number": number}
            connection.execute(text("SELECT setval(:name, :number)"), sequence)


def _numbered() -> list[Table]:
    """Tables whose ids the database gives."""
    return [item for item in metadata.sorted_tables if item.autoincrement_column is not None]


def _sequence(connection: Connection, table: Table) -> str:
    query = text("SELECT pg_get_serial_sequence(:name, 'id')")
    return str(connection.execute(query, {"name": table.name}).scalar_one())
