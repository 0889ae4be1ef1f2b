"""A second database that follows the first one for the time of a migration.

First database, its change log, second database: everything that the log names is brought to what
the first holds at one moment, in one transaction of the second, which so is always the first at an
earlier moment. There is no two-phase commit: a line leaves the log after that transaction, and who
is killed between the two brings the same rows once more. The first database never waits for the
second. Whoever writes into the second holds it alone, reads the first only then, and finds there
the mark of the latest start: nothing older is written over something newer. Decision 0012.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Table, select, text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from sopilot.core.errors import Conflict, InputError, SopilotError, StoreError
from sopilot.core.records import Progress, no_progress
from sopilot.store import change_log
from sopilot.store.bringing import bring, give_up_values
from sopilot.store.change_log import FollowState
from sopilot.store.engine import Database, open_database
from sopilot.store.moving import TableMove, move
from sopilot.store.rows import PIECE, key_of
from sopilot.store.tables import metadata
from sopilot.store.transfer import raise_counters

_APPLY_LOCK = 0x66_6F_6C_6C  # any fixed number: one writer at a time in a server that follows
_WAIT_SEC = 30.0
_LOCK_WAIT = "300ms"  # under what a server waits before it looks for a deadlock: this side gives in
_MOST_FORGOTTEN = 5000
"""Lines removed in one transaction of the first: writers of a file wait for it."""
_OVERTAKEN = (
    "another `sopilot db follow start` or `stop` came between; let it end, then look at "
    "`sopilot db follow status`"
)

Runs = list[tuple[int, int]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Applied:
    """What one application did. lines: of the log that are done with."""

    lines: int
    written: int
    deleted: int


def start(
    first: Database,
    second: Database,
    progress: Progress = no_progress,
    *,
    is_forced: bool = False,
) -> list[TableMove]:
    """Log changes of the first, copy all its rows into the second, then let changes be applied.

    Goes on where an earlier start was stopped; the service may run. is_forced: rows that only the
    second has are removed. Raises InputError where both are one database, Conflict where the second
    is followed itself, is of another installation, has such rows, or another start comes between;
    StoreError.
    """
    with first.read() as connection:
        earlier = change_log.pair_of(connection)
    _refuse_unfit(second, earlier)
    pair = uuid.uuid4().hex
    was_logged = _change_tables(first, lambda writer: change_log.start_log(writer, pair))
    try:
        _refuse_unfit(second, pair)
        if not second.is_sqlite:
            # Later it would wait for another start that reads these tables, and that one for it.
            _change_tables(second, _let_wait)
        surplus = _surplus(first, second)
        if surplus and not is_forced:
            told = ", ".join(f"{len(keys)} in {name}" for name, keys in surplus.items())
            raise Conflict(
                f"the second database holds rows that the first does not have ({told}); name an "
                "empty one, or remove them with --force"
            )
    except BaseException:
        if not was_logged:
            _change_tables(first, change_log.stop_log)
        raise
    with _told_refusals():
        with first.snapshot() as reader, second.write() as writer:
            _wait_alone(writer)
            if change_log.pair_of(reader) != pair:
                raise Conflict(_OVERTAKEN)
            change_log.set_mark(writer, pair)
            _make_room(reader, writer)
        moves = move(first, second, progress=progress, claim=lambda writer: _claim(writer, pair))
    with first.write() as connection:
        if change_log.pair_of(connection) != pair:
            raise Conflict(_OVERTAKEN)
        change_log.note_copied(connection)
    return moves


def stop(first: Database, *, is_forced: bool = False) -> None:
    """Drop the log; the second database stays as it is. Raises Conflict while lines wait that a
    start has copied for, unless forced."""

    def drop(connection: Connection) -> None:
        if not change_log.is_logged(connection):
            return
        change_log.drop_triggers(connection)  # now everything that is being written is counted
        state = change_log.state_of(connection)
        if not is_forced and state is not None and state.is_copied and state.waiting:
            raise Conflict(
                f"{state.waiting} changes are not in the second database yet; run `sopilot db "
                "follow apply` first, or drop them with --force"
            )
        change_log.stop_log(connection)

    _change_tables(first, drop)


def state_of(first: Database) -> FollowState | None:
    """How far the second is behind; None where nothing follows."""
    try:
        with first.read() as connection:
            return change_log.state_of(connection)
    except (OperationalError, ProgrammingError):  # it was dropped between two looks
        return None


def apply_at(first: Database, url: str) -> Applied | None:
    """Like apply, with a second database that is opened for this only: it may have been away, or be
    another file by now."""
    with _noted(first):
        state = _ready(first)
        if state is None or not state.waiting:
            return None if state is None else Applied(0, 0, 0)
        second = open_database(url)
        try:
            return _apply(first, second)
        finally:
            second.close()


def apply(first: Database, second: Database) -> Applied | None:
    """Bring the second database to what the first holds now; None where nobody may do that now.

    Raises StoreError; then the second is as before and the log whole, and the reason stands in its
    state.
    """
    with _noted(first):
        state = _ready(first)
        if state is None or not state.waiting:
            return None if state is None else Applied(0, 0, 0)
        return _apply(first, second)


def _ready(first: Database) -> FollowState | None:
    """None where nothing may be applied. Raises StoreError where not all changes are logged."""
    state = state_of(first)
    if state is None or not state.is_copied:
        return None
    with first.read() as connection:
        missing = change_log.missing_triggers(connection)
    if missing:
        raise StoreError(
            f"changes of {', '.join(missing)} are not logged (an update of SOPilot?); run "
            "`sopilot db follow start` again"
        )
    return state


def _apply(first: Database, second: Database) -> Applied | None:
    with second.write() as writer:
        if not _has_turn(writer):
            return None
        _let_keys_wait(writer)
        # Read after the lock: what another applier wrote before is older than what is read here.
        with first.snapshot() as reader:
            state = change_log.state_of(reader)
            if state is None or not state.is_copied:
                return None
            if change_log.mark_of(writer) != state.pair:
                raise StoreError(
                    "this second database is not the one that was filled (moved, set up anew, "
                    "another address?); run `sopilot db follow start` again"
                )
            named, runs = _read_lines(reader)
            written, deleted = bring(reader, writer, named)
            raise_counters(reader, writer)
    _forget(first, state.pair, runs)
    return Applied(sum(last - start + 1 for start, last in runs), written, deleted)


def _read_lines(reader: Connection) -> tuple[dict[str, set[int]], Runs]:
    """(table → rows, numbers of the lines as runs without a gap). A gap may be a line that commits
    later, which must stay."""
    named: dict[str, set[int]] = {}
    runs: Runs = []
    for seq, table_name, row_id in change_log.lines(reader):
        named.setdefault(table_name, set()).add(row_id)
        if runs and runs[-1][1] == seq - 1 and seq - runs[-1][0] < _MOST_FORGOTTEN:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return named, runs


def _forget(first: Database, pair: str, runs: Runs) -> None:
    """Remove lines from the log that they were read from; another has the same numbers."""
    at = 0
    while at < len(runs):
        count = 0
        with first.write() as connection:
            if change_log.pair_of(connection) != pair:
                return
            while at < len(runs) and count + runs[at][1] - runs[at][0] < _MOST_FORGOTTEN:
                change_log.forget_lines(connection, *runs[at])
                count += runs[at][1] - runs[at][0] + 1
                at += 1
            if at == len(runs):
                change_log.note_applied(connection)


@contextmanager
def _noted(first: Database) -> Iterator[None]:
    """Write down why the second could not be brought up."""
    try:
        with _told_refusals():
            yield
    except SopilotError as error:
        with suppress(StoreError, DBAPIError), first.write() as connection:
            if change_log.is_logged(connection):
                change_log.note_failed(connection, error.message)
        raise


@contextmanager
def _told_refusals() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise StoreError(
            f"a database refuses: {reason}; if it does so again, run `sopilot db follow start`"
        ) from error


@contextmanager
def at_rest(first: Database, second: Database) -> Iterator[None]:
    """Nothing is applied meanwhile: every change that the second lacks stands in the log.

    Raises Conflict where somebody applies for too long.
    """
    with first.read() as connection:
        is_logged = change_log.is_logged(connection)
    if not is_logged:
        yield
        return
    with second.write() as writer:
        _wait_alone(writer)
        yield


def _wait_alone(writer: Connection) -> None:
    _wait_turn(writer)
    _let_keys_wait(writer)


def _wait_turn(connection: Connection) -> None:
    """Take the place of the one who writes. Raises Conflict where somebody keeps it."""
    deadline = time.monotonic() + _WAIT_SEC
    while not _has_turn(connection):
        if time.monotonic() > deadline:
            raise Conflict("somebody else applies changes just now; try again when that is done")
        time.sleep(0.05)


def _has_turn(connection: Connection) -> bool:
    """Whether this transaction is the one writer until it ends."""
    if connection.dialect.name == "sqlite":  # the writer of a file is alone
        return True
    lock = text("SELECT pg_try_advisory_xact_lock(:n)")
    return bool(connection.execute(lock, {"n": _APPLY_LOCK}).scalar_one())


def _let_keys_wait(writer: Connection) -> None:
    """Let foreign keys be looked at in the end of this transaction."""
    if writer.dialect.name == "sqlite":
        writer.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        return
    _let_wait(writer)
    writer.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")


def _claim(writer: Connection, pair: str) -> None:
    _wait_alone(writer)
    if change_log.mark_of(writer) != pair:
        raise Conflict(_OVERTAKEN)


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


def _change_tables(database: Database, change: Callable[[Connection], T]) -> T:
    """In a transaction that never waits long for a lock, since others then wait behind it; tried
    again where somebody holds one. Raises StoreError when that lasts, Conflict where somebody else
    writes for long."""
    deadline = time.monotonic() + _WAIT_SEC
    while True:
        try:
            with database.write() as connection:
                if not database.is_sqlite:
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
                    _wait_turn(connection)
                return change(connection)
        except StoreError as error:
            cause = error.__cause__
            origin = cause.orig if isinstance(cause, DBAPIError) else None
            is_lock = getattr(origin, "sqlstate", None) in {"55P03", "40P01"}
            if not is_lock or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def _refuse_unfit(second: Database, pair: str | None) -> None:
    """pair: of the first."""
    with second.read() as connection:
        its_pair = change_log.pair_of(connection)
    if its_pair is not None and its_pair == pair:
        raise InputError("both addresses name the same database; name two")
    if its_pair is not None:
        raise Conflict(
            "the second database has a change log: it is the first of another pair; stop that "
            "with `sopilot db follow stop` there"
        )


def _surplus(first: Database, second: Database) -> dict[str, list[int]]:
    """Rows that only the second has, apart from those that the log names, which are known to be
    gone.

    Raises Conflict where a row of one number has two names: that is another installation.
    """
    found: dict[str, list[int]] = {}
    with second.snapshot() as there, first.snapshot() as here:
        logged, _ = _read_lines(here)
        for table in metadata.sorted_tables:
            if "uid" in table.c:
                _refuse_other(here, there, table, logged.get(table.name, set()))
            only = _keys(there, table) - _keys(here, table)
            if left := sorted(only - logged.get(table.name, set())):
                found[table.name] = left
    return found


def _make_room(reader: Connection, writer: Connection) -> None:
    """Remove what only the second has, and unique values that other rows have by now."""
    for table in reversed(metadata.sorted_tables):
        known = _keys(writer, table)
        gone = sorted(known - _keys(reader, table))
        for first in range(0, len(gone), PIECE):
            column = table.c[key_of(table)]
            writer.execute(table.delete().where(column.in_(gone[first : first + PIECE])))
        both = sorted(known.difference(gone))
        for first in range(0, len(both), PIECE):
            give_up_values(reader, writer, table, both[first : first + PIECE], is_final=True)


def _keys(connection: Connection, table: Table) -> set[int]:
    return set(connection.execute(select(table.c[key_of(table)])).scalars())


def _names(connection: Connection, table: Table) -> dict[int, str]:
    query = select(table.c[key_of(table)], table.c.uid)
    return {int(key): str(uid) for key, uid in connection.execute(query)}


def _refuse_other(here: Connection, there: Connection, table: Table, logged: set[int]) -> None:
    ours = _names(here, table)
    for key, uid in _names(there, table).items():
        if ours.get(key, uid) != uid and key not in logged:
            raise Conflict(
                f"row {key} of {table.name} is {ours[key]} here and {uid} in the second database: "
                "that is another installation; name an empty database"
            )
