"""`sopilot db …`: the schema of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sopilot.cli.options import DataDir

if TYPE_CHECKING:
    from sopilot.store.engine import Database

app = typer.Typer(help="Schema of the database.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema (every start does this too)."""
    with _opened(data_dir, ensure=True) as database, database.read() as connection:
        from sopilot.store.schema import stored_revision

        typer.echo(stored_revision(connection))


@app.command("downgrade")
def downgrade(
    revision: Annotated[str, typer.Argument(help="Target revision, or `base` for none.")],
    data_dir: DataDir = None,
    yes: Annotated[bool, typer.Option("--yes", help="Required: tables are dropped.")] = False,
) -> None:
    """Take the schema back to an older revision; data that it cannot hold is lost."""
    from sopilot.core.errors import InputError

    if not yes:
        raise InputError(
            "a downgrade drops tables with their rows; back up, then repeat with --yes"
        )
    with _opened(data_dir, ensure=False) as database, database.write() as connection:
        from sopilot.store import migrate

        known = (*migrate.revisions(), "base")
        if revision not in known:
            raise InputError(f"revision is {revision!r}; give one of {', '.join(known)}")
        migrate.downgrade(connection, revision)
    typer.echo(revision)


@contextmanager
def _opened(data_dir: Path | None, *, ensure: bool) -> Iterator[Database]:
    from sopilot.core.config import load_settings
    from sopilot.store.engine import open_database

    url = load_settings(data_dir=data_dir).resolved_database_url
    database = open_database(url, ensure=ensure)
    try:
        yield database
    finally:
        database.close()
