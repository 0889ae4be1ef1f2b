"""Which version a database has, and how it gets to ours. Called by `open_database` only.

Importing Alembic costs a third of a second, so it is loaded only for a database that an older
version made; an empty one gets the tables directly, which a test proves to be the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select, text

from sopilot.core.errors import SchemaTooNew, StoreError
from sopilot.store.lexical import create_word_index
from sopilot.store.score_cells import create_score_cells
from sopilot.store.tables import metadata

if TYPE_CHECKING:
    from sopilot.store.engine import Database

REVISIONS = tuple(f"{number:04}" for number in range(1, 15))
"""All revisions of migrations/versions, oldest first; a test compares them with the files."""

HEAD = REVISIONS[-1]

_ADVISORY_LOCK = 0x50_4C_54_53  # any fixed number: openers of one database queue up on it

_version_table = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True)
)


def stored_revision(connection: Connection) -> str | None:
    """The revision that the database says it has; None for one that SOPilot has not made."""
    if not inspect(connection).has_table(_version_table.name):
        return None
    return connection.execute(select(_version_table.c.version_num)).scalar_one_or_none()


def ensure_schema(database: Database) -> None:
    """Make or migrate the tables, in one transaction, while other openers wait.

    Raises SchemaTooNew for a revision this version does not know, StoreError for a database
    that holds tables of somebody else.
    """
    with database.read() as connection:
        revision = stored_revision(connection)
    if revision == HEAD:
        return
    _refuse_unknown(revision)
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _ADVISORY_LOCK})
        # Another process may have done the work while this one waited for the lock.
        revision = stored_revision(connection)
        _refuse_unknown(revision)
        if revision is None:
            _create_all(connection)
        elif revision != HEAD:
            from sopilot.store.migrate import upgrade

            upgrade(connection)


def _refuse_unknown(revision: str | None) -> None:
    if revision is not None and revision not in REVISIONS:
        raise SchemaTooNew(
            f"the database has schema {revision}, this version knows up to {HEAD}; "
            "install the newer SOPilot, or use another data folder"
        )


def _create_all(connection: Connection) -> None:
    foreign = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if foreign:
        raise StoreError(
            f"the database already holds tables that this SOPilot did not make "
            f"({', '.join(foreign)}); use another data folder or database"
        )
    metadata.create_all(connection, checkfirst=False)
    create_word_index(connection)
    create_score_cells(connection)
    # Written out: the version table must look as Alembic itself would have made it.
    connection.execute(
        text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(_version_table.insert().values(version_num=HEAD))
