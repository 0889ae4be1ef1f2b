"""`sopilot db …`: the schema of the database, and its rows in another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import ExitCode, progress_bar, write_json

if TYPE_CHECKING:
    from sopilot.store.engine import Database

app = typer.Typer(help="Schema and rows of the database.", no_args_is_help=True)


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


@app.command("migrate")
def migrate_rows(
    source: Annotated[str, typer.Option("--from", help="Address of the database that is there.")],
    target: Annotated[str, typer.Option("--to", help="Address of the database to fill.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, write nothing.")] = False,
    json_target: Annotated[
        str | None, typer.Option("--json", help="Write the record to PATH, or - for stdout.")
    ] = None,
) -> None:
    """Move all rows of an installation into another database; stop the service first.

    Goes on where an earlier run was stopped. Every table is compared row by row afterwards; exit 3
    when one differs. The files of the data folder stay where they are.
    """
    from dataclasses import asdict

    from sopilot.core.errors import InputError
    from sopilot.store.engine import open_database
    from sopilot.store.moving import move

    if source == target:
        raise InputError("--from and --to are the same database; name two")
    here = open_database(source)
    try:
        there = open_database(target)
        try:
            with progress_bar() as bar:
                moves = move(here, there, is_dry=dry_run, progress=bar.stage("moving rows"))
        finally:
            there.close()
    finally:
        here.close()
    is_same = all(item.is_same for item in moves)
    record = {"is_same": is_same, "is_dry": dry_run, "tables": [asdict(item) for item in moves]}
    if json_target is not None:
        write_json(record, json_target)
    if json_target != "-":
        for item in moves:
            if item.rows or item.extra:
                state = "same" if item.is_same else "DIFFERENT"
                extra = f", {item.extra} more there" if item.extra else ""
                typer.echo(
                    f"{item.table}: {item.rows} rows, {item.copied} copied, {item.changed} "
                    f"changed{extra}; {state}"
                )
    raise typer.Exit(ExitCode.OK if is_same or dry_run else ExitCode.CHECK_FAILED)


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
