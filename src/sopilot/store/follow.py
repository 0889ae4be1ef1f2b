"""A second database that follows the first one for the time of a migration, and the proof of it.

First database, its change log, second database: everything that the log names is brought to what
the first holds at one moment, in one transaction of the second, which so is always the first at an
earlier moment. There is no two-phase commit: a line leaves the log after that transaction, and who
is killed between the two brings the same rows once more. The first database never waits for the
second. Decision 0012.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection, Table, select, text

from sopilot.core.errors import Conflict, StoreError
from sopilot.core.records import Progress, no_progress
from sopilot.store import change_log
from sopilot.store.change_log import FollowState
from sopilot.store.engine import Database
from sopilot.store.moving import TableMove, move
from sopilot.store.rows import PIECE, Row, hashes_of, key_of, rows_of
from sopilot.store.tables import metadata
from sopilot.store.transfer import raise_counters

MOST_KEYS = 20
"""Of rows that differ, named per table."""
_APPLY_LOCK = 0x66_6F_6C_6C  # any fixed number: one applier at a time writes into a server


@dataclass(frozen=True, slots=True)
class Applied:
    """What one application did. lines: of the log that are done with."""

    lines: int
    written: int
    deleted: int


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


def start(
    first: Database,
    second: Database,
    progress: Progress = no_progress,
    *,
    is_forced: bool = False,
) -> list[TableMove]:
    """Log changes of the first, copy all its rows into the second, then let changes be applied.

    Goes on where an earlier start was stopped; the service may run. is_forced: rows that only the
    second has are removed. Raises Conflict where the second is followed itself, is of another
    installation, or has such rows; StoreError.
    """
    with second.read() as connection:
        if change_log.is_logged(connection):
            raise Conflict(
                "the second database has a change log: it is the first of another pair; stop that "
                "with `sopilot db follow stop` there"
            )
    surplus = _surplus(first, second)
    if surplus and not is_forced:
        told = ", ".join(f"{len(keys)} in {name}" for name, keys in surplus.items())
        raise Conflict(
            f"the second database holds rows that the first does not have ({told}); name an empty "
            "one, or remove them with --force"
        )
    with first.write() as connection:
        change_log.start_log(connection)
    with second.write() as writer:
        if not second.is_sqlite:
            _let_wait(writer)
        _is_alone(writer)
        for table in reversed(metadata.sorted_tables):
            for key in surplus.get(table.name, ()):
                writer.execute(table.delete().where(table.c[key_of(table)] == key))
    moves = move(first, second, progress=progress)
    with first.write() as connection:
        change_log.note_copied(connection)
    return moves


def stop(first: Database) -> None:
    """Drop the log; the second database stays as it is. Raises Conflict while lines wait."""
    with first.write() as connection:
        state = change_log.state_of(connection)
        if state is not None and state.is_copied and state.waiting:
            raise Conflict(
                f"{state.waiting} changes are not in the second database yet; run `sopilot db "
                "follow apply` first, or drop them with --force"
            )
        change_log.stop_log(connection)


def force_stop(first: Database) -> None:
    """Drop the log with what waits in it."""
    with first.write() as connection:
        change_log.stop_log(connection)


def state_of(first: Database) -> FollowState | None:
    """How far the second is behind; None where nothing follows."""
    with first.read() as connection:
        return change_log.state_of(connection)


def apply(first: Database, second: Database) -> Applied | None:
    """Bring the second database to what the first holds now; None where nobody may do that now.

    Raises StoreError; then the second is as before and the log whole, and the reason stands in its
    state.
    """
    try:
        applied = _apply(first, second)
    except StoreError as error:
        with suppress(StoreError), first.write() as connection:
            if change_log.is_logged(connection):
                change_log.note_failed(connection, error.message)
        raise
    return applied


def _apply(first: Database, second: Database) -> Applied | None:
    with first.read() as connection:
        state = change_log.state_of(connection)
        if state is None or not state.is_copied:
            return None
        if missing := change_log.missing_triggers(connection):
            raise StoreError(
                f"changes of {', '.join(missing)} are not logged (an update of SOPilot?); run "
                "`sopilot db follow start` again"
            )
        if not state.waiting:
            return Applied(0, 0, 0)
    with second.write() as writer:
        if not _is_alone(writer):
            return None
        # Read after the lock: what another applier wrote before is older than what is read here.
        with first.snapshot() as reader:
            waiting = change_log.lines(reader)
            written, deleted = _bring(reader, writer, waiting)
            raise_counters(reader, writer)
    with first.write() as connection:
        change_log.forget_lines(connection, [seq for seq, _, _ in waiting])
        change_log.note_applied(connection)
    return Applied(len(waiting), written, deleted)


def _is_alone(writer: Connection) -> bool:
    """Take the place of the one applier, and let foreign keys wait for the end."""
    if writer.dialect.name == "sqlite":  # the writer of a file is alone
        writer.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        return True
    lock = text("SELECT pg_try_advisory_xact_lock(:n)")
    if not writer.execute(lock, {"n": _APPLY_LOCK}).scalar_one():
        return False
    writer.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
    return True


def _bring(
    reader: Connection, writer: Connection, waiting: Sequence[tuple[int, str, int]]
) -> tuple[int, int]:
    """(rows written, rows deleted). What is gone goes first, for its unique values may be taken by
    what is new; foreign keys are looked at in the end."""
    named: dict[str, set[int]] = {}
    for _, table_name, row_id in waiting:
        named.setdefault(table_name, set()).add(row_id)
    tables = [table for table in metadata.sorted_tables if table.name in named]
    present: dict[str, dict[int, Row]] = {}
    deleted = 0
    for table in reversed(tables):
        keys = sorted(named[table.name])
        present[table.name] = rows_of(reader, table, keys)
        gone = [key for key in keys if key not in present[table.name]]
        for first in range(0, len(gone), PIECE):
            column = table.c[key_of(table)]
            done = writer.execute(table.delete().where(column.in_(gone[first : first + PIECE])))
            deleted += done.rowcount
    written = 0
    for table in tables:
        rows = present.pop(table.name)
        _write(writer, table, rows)
        written += len(rows)
    return written, deleted


def _write(writer: Connection, table: Table, rows: Mapping[int, Row]) -> None:
    known = rows_of(writer, table, sorted(rows))
    missing = [row for key, row in rows.items() if key not in known]
    for first in range(0, len(missing), PIECE):
        writer.execute(table.insert(), missing[first : first + PIECE])
    for key, row in rows.items():
        if key in known and known[key] != row:
            writer.execute(table.update().where(table.c[key_of(table)] == key).values(row))


def compare(first: Database, second: Database) -> list[Comparison]:
    """Every table by the hashes of its rows, each database at one moment. Raises StoreError."""
    found = []
    with first.snapshot() as here, second.snapshot() as there:
        waiting: dict[str, set[int]] = {}
        if change_log.is_logged(here):
            for _, name, row_id in change_log.lines(here):
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


def _let_wait(connection: Connection) -> None:
    """Let the foreign keys of a server be looked at in the end of a transaction where one asks for
    that; nothing else changes."""
    query = text(
        "SELECT conrelid::regclass::text AS name, conname FROM pg_constraint "
        "WHERE contype = 'f' AND NOT condeferrable AND connamespace = "
        "current_schema()::regnamespace"
    )
    for name, constraint in connection.execute(query).all():
        connection.exec_driver_sql(
            f'ALTER TABLE {name} ALTER CONSTRAINT "{constraint}" DEFERRABLE INITIALLY IMMEDIATE'
        )


def _surplus(first: Database, second: Database) -> dict[str, list[int]]:
    """Rows that only the second has, apart from those that the log names, which go by themselves.

    Raises Conflict where a row of one number has two names: that is another installation.
    """
    found: dict[str, list[int]] = {}
    with first.snapshot() as here, second.snapshot() as there:
        logged: set[tuple[str, int]] = set()
        if change_log.is_logged(here):
            logged = {(name, row_id) for _, name, row_id in change_log.lines(here)}
        for table in metadata.sorted_tables:
            if "uid" in table.c:
                _refuse_other(_names(here, table), _names(there, table), table)
            only = _keys(there, table) - _keys(here, table)
            left = sorted(key for key in only if (table.name, key) not in logged)
            if left:
                found[table.name] = left
    return found


def _keys(connection: Connection, table: Table) -> set[int]:
    return set(connection.execute(select(table.c[key_of(table)])).scalars())


def _names(connection: Connection, table: Table) -> dict[int, str]:
    query = select(table.c[key_of(table)], table.c.uid)
    return {int(key): str(uid) for key, uid in connection.execute(query)}


def _refuse_other(ours: Mapping[int, str], theirs: Mapping[int, str], table: Table) -> None:
    for key, uid in theirs.items():
        if ours.get(key, uid) != uid:
            raise Conflict(
                f"row {key} of {table.name} is {ours[key]} here and {uid} in the second database: "
                "that is another installation; name an empty database"
            )
