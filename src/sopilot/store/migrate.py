"""Alembic on one given connection: up, down, and what differs from tables.py.

Loaded lazily by schema.py; the caller owns the transaction, so a migration that fails leaves the
database as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from sopilot.store import lexical
from sopilot.store.tables import metadata

_FOLDER = Path(__file__).parent / "migrations"


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the revisions that are missing, in order."""
    command.upgrade(_config(connection), revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Undo revisions down to the given one (`base` = an empty database)."""
    command.downgrade(_config(connection), revision)


def differences(connection: Connection) -> list[Any]:
    """What Alembic would change to make the database equal to tables.py; empty when equal."""
    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_name": lexical.is_compared,
    }
    found: list[Any] = compare_metadata(
        MigrationContext.configure(connection, opts=options), metadata
    )
    return found


def revisions() -> tuple[str, ...]:
    """The revisions in the folder, oldest first."""
    script = ScriptDirectory.from_config(_config(None))
    return tuple(reversed([item.revision for item in script.walk_revisions()]))


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
