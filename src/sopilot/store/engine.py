"""The database handle: pooled connections, one way to read, one way to commit.

`open_database` is called once per process by runtime.py; everything else gets the Database.
Functions below take a Connection first and never commit: `Database.write()` is the only commit.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sopilot.core.errors import BadSettings, StoreError
from sopilot.store.faults import database_fault, file_fault

BUSY_TIMEOUT_SEC = 10.0
"""How long a SQLite connection waits for the one writer before it gives up."""

_POOL_WAIT_SEC = 30.0
_AFTER_COMMIT = "sopilot_after_commit"


@dataclass(frozen=True, slots=True)
class Database:
    """An open database; safe to share between threads, not between processes."""

    url: str
    engine: Engine
    _readers: Engine
    _writers: Engine

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database (one file, one writer at a time)."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one snapshot (SQLite) and cannot write; nothing is committed.

        Raises StoreError when the database does not answer or refuses.
        """
        with _named_faults(), self._readers.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Like read, and every query sees the moment of the first one, on both databases."""
        readers = self._readers
        if not self.is_sqlite:
            readers = readers.execution_options(isolation_level="REPEATABLE READ")
        with _named_faults(), readers.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed when the body ends, rolled back when it raises.

        Do not nest: on SQLite the inner one would wait for the outer one and fail.
        Raises StoreError when the database does not answer, DiskFull when it cannot grow.
        """
        actions: list[Callable[[], None]] = []
        with _named_faults(), self._writers.connect() as connection, connection.begin():
            yield connection.execution_options(**{_AFTER_COMMIT: actions})
        for action in actions:
            action()

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """A connection on which every statement stands alone, for what no transaction may hold.

        Raises StoreError when the database does not answer or is locked.
        """
        if not self.is_sqlite:
            engine = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            with _named_faults(), engine.connect() as connection:
                yield connection
            return
        address = self.engine.url
        single = create_engine(
            address, connect_args={"timeout": BUSY_TIMEOUT_SEC, "isolation_level": None}
        )
        try:
            with _named_faults(), single.connect() as connection:
                yield connection
        finally:
            single.dispose()

    def ping(self) -> None:
        """Ask for a sign of life. Raises StoreError when the database does not answer."""
        try:
            with self.read() as connection:
                # From a table: SQLite would answer a bare SELECT 1 without looking at its file.
                connection.execute(text("SELECT 1 FROM alembic_version"))
        except DBAPIError as error:
            raise StoreError("the database has lost its tables; restore a backup") from error

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def after_commit(connection: Connection, action: Callable[[], None]) -> None:
    """Do it when the transaction of `Database.write` is committed; never when it rolls back.

    For what a roll-back could not undo. The action may open a transaction; it must not fail.
    """
    connection.get_execution_options()[_AFTER_COMMIT].append(action)


def open_database(url: str, *, ensure: bool = True) -> Database:
    """Open the database at a SQLAlchemy address and bring its tables to this version.

    A SQLite file and its folder are made when missing. `ensure=False` leaves the tables as they
    are (migration tests). Raises BadSettings for an address that names no usable database,
    StoreError/DiskFull when it cannot be opened, SchemaTooNew when a newer version made it.
    """
    address = _parse(url)
    if address.get_backend_name() == "sqlite":
        engine = _open_sqlite(address)
    else:
        engine = _open_server(address)
    database = Database(
        url=address.render_as_string(hide_password=False),
        engine=engine,
        _readers=_readers_of(engine),
        _writers=engine.execution_options(sopilot_write=True),
    )
    try:
        with _named_faults():
            if database.is_sqlite:
                _switch_to_wal(engine)
            if ensure:
                from sopilot.store.schema import ensure_schema

                ensure_schema(database)
    except BaseException:
        database.close()
        raise
    return database


def _parse(url: str) -> URL:
    address: URL | None = None
    try:
        address = make_url(url)
        address.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        # An address that could not be taken apart may hold a password anywhere: it is not shown,
        # and neither is the cause, whose text quotes it.
        reason = "it cannot be taken apart" if address is None else str(error)
        raise BadSettings(
            f"the database address (SOPILOT_DATABASE_URL) cannot be used ({reason}); "
            "use sqlite:////folder/sopilot.db or postgresql://user:password@host/name"
        ) from None
    name = address.get_backend_name()
    if name not in {"sqlite", "postgresql"}:
        raise BadSettings(f"the database {name!r} is not supported; use sqlite or postgresql")
    if name == "sqlite" and address.database in {None, "", ":memory:"}:
        raise BadSettings(
            "a SQLite database in memory cannot be shared by the workers; "
            "name a file: sqlite:////folder/sopilot.db"
        )
    if name == "postgresql" and address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    return address


def _open_sqlite(address: URL) -> Engine:
    name = str(address.database)
    if not name.startswith("file:"):  # a URI names its file in its own way, and no new folder
        _prepare_place(Path(name))
    # isolation_level None: the driver never begins a transaction by itself, _begin below does.
    engine = _create(
        address,
        connect_args={"timeout": BUSY_TIMEOUT_SEC, "isolation_level": None},
        pool_size=16,
        max_overflow=32,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_place(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadSettings(
            f"{path.parent} is not a folder; name a folder (--data-dir, SOPILOT_DATA_DIR)"
        ) from error
    except OSError as error:
        raise file_fault(error, path.parent) from error
    if path.is_dir():
        raise BadSettings(f"the database {path} is a folder; name a file")


def _open_server(address: URL) -> Engine:
    try:
        return _create(address, pool_size=4, max_overflow=36, pool_pre_ping=True)
    except ImportError as error:
        raise BadSettings(
            "PostgreSQL needs the postgres extra; run pip install 'sopilot[postgres]'"
        ) from error


def _create(address: URL, **options: Any) -> Engine:
    return create_engine(
        address,
        pool_timeout=_POOL_WAIT_SEC,
        pool_use_lifo=True,
        json_serializer=canonical_json,
        **options,
    )


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, ASCII, no spaces; NaN is refused (ValueError)."""
    return json.dumps(
        value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
    )


def _readers_of(engine: Engine) -> Engine:
    if engine.dialect.name == "sqlite":
        return engine.execution_options(sopilot_write=False)
    return engine.execution_options(postgresql_readonly=True)


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # NORMAL under WAL: a power cut may lose the last commits, it never damages the file.
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    # The write lock is taken at the start: a transaction that reads first and writes later
    # could fail with SQLITE_BUSY without waiting, because its snapshot has become stale.
    writes = connection.get_execution_options().get("sopilot_write", True)
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.execute("PRAGMA query_only=OFF" if writes else "PRAGMA query_only=ON")
    raw.execute("BEGIN IMMEDIATE" if writes else "BEGIN")


def _switch_to_wal(engine: Engine) -> None:
    # WAL is a property of the file. The switch itself does not honour the busy timeout, so two
    # processes that meet on a fresh file would fail without this loop.
    deadline = time.monotonic() + BUSY_TIMEOUT_SEC
    while True:
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        finally:
            raw.close()
        time.sleep(0.02)


@contextmanager
def _named_faults() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise StoreError(
            f"no database connection became free within {_POOL_WAIT_SEC:.0f} s; "
            "send fewer requests at the same time"
        ) from error
    except (DBAPIError, sqlite3.DatabaseError) as error:
        # What fails while a SQLite connection is prepared arrives without SQLAlchemy's wrapping.
        origin = error.orig if isinstance(error, DBAPIError) else error
        fault = None if origin is None else database_fault(origin)
        if fault is None:
            raise
        raise fault from error
