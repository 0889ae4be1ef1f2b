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
    from sopilot.store.moving import move

    if source == target:
        raise InputError("--from and --to are the same database; name two")
    with _both(source, target) as (here, there), progress_bar() as bar:
        moves = move(here, there, is_dry=dry_run, progress=bar.stage("moving rows"))
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


@app.command("compare")
def compare_rows(
    source: Annotated[str, typer.Option("--from", help="Address of one database.")],
    target: Annotated[str, typer.Option("--to", help="Address of the other.")],
    json_target: Annotated[
        str | None, typer.Option("--json", help="Write the record to PATH, or - for stdout.")
    ] = None,
) -> None:
    """Compare two databases row by row, by hashes; exit 3 when a row differs that is not waiting in
    the change log. The service may run."""
    from dataclasses import asdict

    from sopilot.core.errors import InputError
    from sopilot.store.comparing import compare

    if source == target:
        raise InputError("--from and --to are the same database; name two")
    with _both(source, target) as (here, there):
        found = compare(here, there)
    is_same = all(item.is_same for item in found)
    if json_target is not None:
        tables = [asdict(item) | {"is_same": item.is_same} for item in found]
        write_json({"is_same": is_same, "tables": tables}, json_target)
    if json_target != "-":
        for item in found:
            if item.rows or item.surplus:
                typer.echo(
                    f"{item.table}: {item.rows} rows, {item.missing} missing, {item.surplus} only "
                    f"there, {item.differing} different, {item.waiting} of these waiting"
                )
    raise typer.Exit(ExitCode.OK if is_same else ExitCode.CHECK_FAILED)


follow_app = typer.Typer(help="A second database that follows.", no_args_is_help=True)
app.add_typer(follow_app, name="follow")


@follow_app.command("start")
def follow_start(
    data_dir: DataDir = None,
    force: Annotated[
        bool, typer.Option("--force", help="Remove rows that only the second database has.")
    ] = False,
) -> None:
    """Log changes, copy everything to SOPILOT_SECOND_DATABASE_URL, let the workers apply changes.

    The service may run. Goes on where an earlier start was stopped.
    """
    from sopilot.store import follow

    with _pair(data_dir) as (here, there), progress_bar() as bar:
        moves = follow.start(here, there, bar.stage("copying rows"), is_forced=force)
    copied = sum(item.copied + item.changed for item in moves)
    typer.echo(
        f"{sum(item.rows for item in moves)} rows, {copied} written; changes are applied now"
    )


@follow_app.command("status")
def follow_status(data_dir: DataDir = None) -> None:
    """How far the second database is behind, as JSON; `null` where nothing follows."""
    from dataclasses import asdict

    from sopilot.store import follow

    with _opened(data_dir, ensure=True) as database:
        state = follow.state_of(database)
    write_json(None if state is None else asdict(state), "-")


@follow_app.command("apply")
def follow_apply(data_dir: DataDir = None) -> None:
    """Bring the second database up to date now, as the workers do every other second."""
    from sopilot.core.errors import Conflict
    from sopilot.store import follow

    with _pair(data_dir) as (here, there):
        done = follow.apply(here, there)
    if done is None:
        raise Conflict(
            "nothing can be applied: follow has not been started, or somebody else applies just now"
        )
    typer.echo(f"{done.lines} changes: {done.written} rows written, {done.deleted} deleted")


@follow_app.command("stop")
def follow_stop(
    data_dir: DataDir = None,
    force: Annotated[bool, typer.Option("--force", help="Drop changes that wait.")] = False,
) -> None:
    """End it; both databases stay as they are."""
    from sopilot.store import follow

    with _opened(data_dir, ensure=True) as database:
        follow.stop(database, is_forced=force)
    typer.echo("nothing follows any more")


@contextmanager
def _pair(data_dir: Path | None) -> Iterator[tuple[Database, Database]]:
    """The database of the settings and the second one. Raises InputError where there is none."""
    from sopilot.core.config import load_settings
    from sopilot.core.errors import InputError

    settings = load_settings(data_dir=data_dir)
    if not settings.second_database_url:
        raise InputError("no second database is named; set SOPILOT_SECOND_DATABASE_URL")
    with _both(settings.resolved_database_url, settings.second_database_url) as both:
        yield both


@contextmanager
def _both(source: str, target: str) -> Iterator[tuple[Database, Database]]:
    from sopilot.store.engine import open_database

    here = open_database(source)
    try:
        there = open_database(target)
        try:
            yield here, there
        finally:
            there.close()
    finally:
        here.close()


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
