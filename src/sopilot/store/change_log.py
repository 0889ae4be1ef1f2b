"""Which rows changed, written by the database itself in the transaction that changed them.

Made for the time in which a second database follows the first (`store.follow`) and dropped after
it, so it stands outside of the schema. Triggers see every writer, cascades included. A line names a
row, not its values: whoever reads it looks at the row as it is then, so that reading a line twice
does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    inspect,
    select,
    text,
)

from sopilot.store.lexical import CHANGE_LOG
from sopilot.store.rows import key_of
from sopilot.store.tables import metadata
from sopilot.store.times import now_text

PREFIX = CHANGE_LOG
_PIECE = 500
_own = MetaData()

change_log = Table(
    PREFIX,
    _own,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("table_name", String(64), nullable=False),
    Column("row_id", Integer, nullable=False),
    sqlite_autoincrement=True,
)
follow_state = Table(
    f"{PREFIX}_state",
    _own,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("is_copied", Integer, nullable=False),
    Column("applied_at", String(32)),
    Column("waiting_since", String(32)),
    Column("last_error", Text),
)
"""One row. is_copied: the second database once held all rows, so that changes may be applied.
waiting_since: when lines were first seen that could not be applied."""


@dataclass(frozen=True, slots=True)
class FollowState:
    """How far the second database is behind. waiting: lines of the log."""

    is_copied: bool
    waiting: int
    applied_at: str | None
    waiting_since: str | None
    last_error: str | None


def is_logged(connection: Connection) -> bool:
    """Is there a log?"""
    return inspect(connection).has_table(PREFIX)


def start_log(connection: Connection) -> None:
    """Make the log and the triggers of all tables; those that are there are made anew."""
    if not is_logged(connection):
        _own.create_all(connection)
        connection.execute(follow_state.insert().values(id=1, is_copied=0))
    for table in metadata.sorted_tables:
        for statement in _triggers(connection, table):
            connection.exec_driver_sql(statement)


def stop_log(connection: Connection) -> None:
    """Drop triggers and log; nothing where there is none."""
    for table in metadata.sorted_tables:
        for statement in _dropped(connection, table):
            connection.exec_driver_sql(statement)
    _own.drop_all(connection)


def lines(connection: Connection) -> list[tuple[int, str, int]]:
    """(seq, table, row) of every line, in order."""
    query = select(change_log.c.seq, change_log.c.table_name, change_log.c.row_id)
    return [(int(a), str(b), int(c)) for a, b, c in connection.execute(query.order_by("seq"))]


def forget_lines(connection: Connection, seqs: Sequence[int]) -> None:
    """Remove lines by number: one with a lower number may commit later on a server."""
    for piece in _pieces(seqs):
        connection.execute(change_log.delete().where(change_log.c.seq.in_(piece)))


def state_of(connection: Connection) -> FollowState | None:
    """None where there is no log."""
    if not is_logged(connection):
        return None
    waiting = connection.execute(select(func.count()).select_from(change_log)).scalar_one()
    row = connection.execute(select(follow_state)).one()
    return FollowState(
        bool(row.is_copied), int(waiting), row.applied_at, row.waiting_since, row.last_error
    )


def note_copied(connection: Connection) -> None:
    """The second database holds all rows; from now on changes are applied."""
    connection.execute(follow_state.update().values(is_copied=1, last_error=None))


def note_applied(connection: Connection) -> None:
    """The lines that were read are in the second database."""
    connection.execute(
        follow_state.update().values(applied_at=now_text(), waiting_since=None, last_error=None)
    )


def note_failed(connection: Connection, message: str) -> None:
    """They are not, and why."""
    connection.execute(
        follow_state.update().values(
            waiting_since=func.coalesce(follow_state.c.waiting_since, now_text()),
            last_error=message[:2000],
        )
    )


def missing_triggers(connection: Connection) -> list[str]:
    """Tables whose changes are not logged, though there is a log: an update may have made them."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    else:
        query = text(
            "SELECT tgname FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid "
            "WHERE NOT tgisinternal AND tgenabled <> 'D' "
            "AND pg_class.relnamespace = current_schema()::regnamespace"
        )
    known = set(connection.execute(query).scalars())
    suffixes = ("_in", "_change", "_out") if connection.dialect.name == "sqlite" else ("",)
    return [
        table.name
        for table in metadata.sorted_tables
        if not all(f"{PREFIX}_{table.name}{suffix}" in known for suffix in suffixes)
    ]


def _triggers(connection: Connection, table: Table) -> Iterator[str]:
    yield from _dropped(connection, table)
    name, key = f"{PREFIX}_{table.name}", key_of(table)
    insert = f"INSERT INTO {PREFIX} (table_name, row_id)"
    moved = f"{insert} SELECT '{table.name}', old.{key} WHERE old.{key} <> new.{key};"
    if connection.dialect.name == "sqlite":
        for suffix, event, row in (
            ("in", "INSERT", "new"),
            ("change", "UPDATE", "new"),
            ("out", "DELETE", "old"),
        ):
            extra = moved if event == "UPDATE" else ""
            yield (
                f"CREATE TRIGGER {name}_{suffix} AFTER {event} ON {table.name} BEGIN "
                f"{insert} VALUES ('{table.name}', {row}.{key}); {extra} END"
            )
        return
    yield (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'UPDATE' THEN {moved} END IF; "
        f"IF TG_OP = 'DELETE' THEN {insert} VALUES ('{table.name}', old.{key}); "
        f"ELSE {insert} VALUES ('{table.name}', new.{key}); END IF; "
        "RETURN NULL; END $$"
    )
    yield (
        f"CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table.name} "
        f"FOR EACH ROW EXECUTE FUNCTION {name}()"
    )


def _dropped(connection: Connection, table: Table) -> Iterator[str]:
    name = f"{PREFIX}_{table.name}"
    if connection.dialect.name == "sqlite":
        for suffix in ("in", "change", "out"):
            yield f"DROP TRIGGER IF EXISTS {name}_{suffix}"
        return
    yield f"DROP FUNCTION IF EXISTS {name}() CASCADE"


def _pieces(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(numbers), _PIECE):
        yield numbers[first : first + _PIECE]
