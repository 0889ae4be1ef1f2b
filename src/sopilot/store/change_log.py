"""Which rows changed, written by the database itself in the transaction that changed them.

Made for the time in which a second database follows the first (`store.follow`) and dropped after
it, so it stands outside of the schema. Triggers see every writer, cascades included. A line names a
row, not its values: whoever reads it looks at the row as it is then, so that reading a line twice
does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    literal_column,
    select,
    text,
)

from sopilot.store.lexical import CHANGE_LOG
from sopilot.store.rows import key_of
from sopilot.store.tables import metadata
from sopilot.store.times import after_text, now_text

PREFIX = CHANGE_LOG
MOST_COUNTED = 100_000
"""Lines that wait are counted up to this, so that asking takes no longer with a large backlog."""
_NOW = {
    "sqlite": "CAST(strftime('%s', 'now') AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM now()) AS bigint)",
}
_own = MetaData()

change_log = Table(
    PREFIX,
    _own,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("table_name", String(64), nullable=False),
    Column("row_id", Integer, nullable=False),
    Column("logged_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
follow_state = Table(
    f"{PREFIX}_state",
    _own,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("pair", String(32), nullable=False),
    Column("is_copied", Integer, nullable=False),
    Column("applied_at", String(32)),
    Column("last_error", Text),
)
"""One row. pair: a name that every start gives anew. is_copied: the second database once held all
rows, so that changes may be applied."""
follow_mark = Table(
    f"{PREFIX}_mark",
    _own,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("pair", String(32), nullable=False),
)
"""One row, in the second database: of which start its rows are; who writes there looks at it."""


@dataclass(frozen=True, slots=True)
class FollowState:
    """How far the second database is behind. waiting: lines of the log, up to MOST_COUNTED.
    waiting_since: when the oldest of them was written."""

    pair: str
    is_copied: bool
    waiting: int
    applied_at: str | None
    waiting_since: str | None
    last_error: str | None


def is_logged(connection: Connection) -> bool:
    """Is there a log?"""
    return inspect(connection).has_table(PREFIX)


def start_log(connection: Connection, pair: str) -> bool:
    """Make the log and the triggers of all tables, or renew them; was there a log?

    Nothing is applied until `note_copied`. On a server this waits for writers, not for readers.
    """
    if not (was_logged := is_logged(connection)):
        for table in (change_log, follow_state):
            table.create(connection)
        connection.execute(follow_state.insert().values(id=1, pair=pair, is_copied=0))
    connection.execute(follow_state.update().values(pair=pair, is_copied=0, last_error=None))
    follow_mark.drop(connection, checkfirst=True)  # who is the first follows nobody
    for table in metadata.sorted_tables:
        for statement in _triggers(connection, table):
            connection.exec_driver_sql(statement)
    return was_logged


def drop_triggers(connection: Connection) -> None:
    """Log no change any more. On a server this waits for whoever writes or reads just now."""
    for table in metadata.sorted_tables:
        for statement in _dropped(connection, table):
            connection.exec_driver_sql(statement)


def stop_log(connection: Connection) -> None:
    """Drop triggers and log; nothing where there is none."""
    drop_triggers(connection)
    _own.drop_all(connection)


def set_mark(connection: Connection, pair: str) -> None:
    """Say in the second database of which start its rows are from now on."""
    follow_mark.create(connection, checkfirst=True)
    connection.execute(follow_mark.delete())
    connection.execute(follow_mark.insert().values(id=1, pair=pair))


def mark_of(connection: Connection) -> str | None:
    """Of which start the rows of a second database are; None where it follows nobody."""
    if not inspect(connection).has_table(follow_mark.name):
        return None
    return connection.execute(select(follow_mark.c.pair)).scalar_one_or_none()


def lines(connection: Connection) -> Iterator[tuple[int, str, int]]:
    """(seq, table, row) of every line, in order."""
    query = select(change_log.c.seq, change_log.c.table_name, change_log.c.row_id)
    query = query.order_by(change_log.c.seq).execution_options(yield_per=1000)
    with connection.execute(query) as rows:
        for seq, table_name, row_id in rows:
            yield int(seq), str(table_name), int(row_id)


def forget_lines(connection: Connection, first: int, last: int) -> None:
    """Remove lines by number, both included, all of which must have been read."""
    connection.execute(change_log.delete().where(change_log.c.seq.between(first, last)))


def state_of(connection: Connection) -> FollowState | None:
    """None where there is no log."""
    if not is_logged(connection):
        return None
    some = select(change_log.c.seq).limit(MOST_COUNTED).subquery()
    waiting = connection.execute(select(func.count()).select_from(some)).scalar_one()
    # By the clock of the database, which may be another one than ours.
    now = literal_column(_NOW[connection.dialect.name], BigInteger)
    age = now - change_log.c.logged_at
    age_sec = connection.execute(select(age).order_by(change_log.c.seq).limit(1)).scalar()
    row = connection.execute(select(follow_state)).one()
    return FollowState(
        row.pair,
        bool(row.is_copied),
        int(waiting),
        row.applied_at,
        None if age_sec is None else after_text(-max(0, int(age_sec))),
        row.last_error,
    )


def pair_of(connection: Connection) -> str | None:
    """The name of the start that the log is of; None where there is no log."""
    if not is_logged(connection):
        return None
    return str(connection.execute(select(follow_state.c.pair)).scalar_one())


def note_copied(connection: Connection) -> None:
    """The second database holds all rows; from now on changes are applied."""
    connection.execute(follow_state.update().values(is_copied=1, last_error=None))


def note_applied(connection: Connection) -> None:
    """The lines that were read are in the second database."""
    connection.execute(follow_state.update().values(applied_at=now_text(), last_error=None))


def note_failed(connection: Connection, message: str) -> None:
    """They are not, and why."""
    connection.execute(follow_state.update().values(last_error=message[:2000]))


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
    name, key, now = f"{PREFIX}_{table.name}", key_of(table), _NOW[connection.dialect.name]
    insert = f"INSERT INTO {PREFIX} (table_name, row_id, logged_at)"
    moved = f"{insert} SELECT '{table.name}', old.{key}, {now} WHERE old.{key} <> new.{key};"
    if connection.dialect.name == "sqlite":
        yield from _dropped(connection, table)
        for suffix, event, row in (
            ("in", "INSERT", "new"),
            ("change", "UPDATE", "new"),
            ("out", "DELETE", "old"),
        ):
            extra = moved if event == "UPDATE" else ""
            yield (
                f"CREATE TRIGGER {name}_{suffix} AFTER {event} ON {table.name} BEGIN "
                f"{insert} VALUES ('{table.name}', {row}.{key}, {now}); {extra} END"
            )
        return
    # As the account and in the schema of who starts it: other programs write as others, and need
    # not know of the log.
    yield (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
        "SECURITY DEFINER SET search_path FROM CURRENT AS $$ BEGIN "
        f"IF TG_OP = 'UPDATE' THEN {moved} END IF; "
        f"IF TG_OP = 'DELETE' THEN {insert} VALUES ('{table.name}', old.{key}, {now}); "
        f"ELSE {insert} VALUES ('{table.name}', new.{key}, {now}); END IF; "
        "RETURN NULL; END $$"
    )
    yield (
        f"CREATE OR REPLACE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON {table.name} "
        f"FOR EACH ROW EXECUTE FUNCTION {name}()"
    )


def _dropped(connection: Connection, table: Table) -> Iterator[str]:
    name = f"{PREFIX}_{table.name}"
    if connection.dialect.name == "sqlite":
        for suffix in ("in", "change", "out"):
            yield f"DROP TRIGGER IF EXISTS {name}_{suffix}"
        return
    yield f"DROP FUNCTION IF EXISTS {name}() CASCADE"
