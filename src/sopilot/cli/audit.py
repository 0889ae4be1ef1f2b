"""`sopilot audit …`: verify the log and its exports, write signed exports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import ExitCode, complain, write_json

if TYPE_CHECKING:
    from sopilot.core.config import Settings
    from sopilot.ops.audit_verify import FileVerdict
    from sopilot.store.engine import Database

app = typer.Typer(help="The audit log and its signed exports.", no_args_is_help=True)

Json = Annotated[str | None, typer.Option("--json", help="Write the findings to PATH, or -.")]


@app.command("verify")
def verify(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Exports; none: the log in the database.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Signing key; others see it in the process list.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option(help="File that holds the signing key.")] = None,
    data_dir: DataDir = None,
    json_target: Json = None,
) -> None:
    """Exit 0 when nothing was changed, removed or reordered, 5 when something was.

    With FILES and --data-dir the database must also still hold the rows of the files. The key is
    --key, else --key-file, else SOPILOT_AUDIT_SIGNING_KEY.
    """
    from sopilot.core.config import load_settings
    from sopilot.ops.audit_verify import gaps

    settings = load_settings(data_dir=data_dir)
    verdicts = _verdicts(files or [], settings, key, key_file) if files else []
    problems = [f"{item.path}: {text}" for item in verdicts for text in _told(item)]
    problems += gaps(item for item in verdicts if item.is_verified)
    rows = None
    if not files or data_dir is not None:
        rows, found = _verify_database(settings, verdicts)
        problems += found
    if json_target is not None:
        report = {"files": [_plain(item) for item in verdicts], "database_rows": rows}
        write_json(report | {"problems": problems, "verified": not problems}, json_target)
    for text in problems:
        complain(text)
    if problems:
        raise typer.Exit(ExitCode.INTEGRITY)
    if json_target != "-":
        _show(verdicts, rows)


@app.command("export")
def export(
    limit: Annotated[int, typer.Option(min=1, max=5000, help="Rows, the newest.")] = 500,
    everything: Annotated[
        bool, typer.Option("--all", help="The whole log, in files of 5000 rows.")
    ] = False,
    data_dir: DataDir = None,
    json_target: Json = None,
) -> None:
    """Write signed exports into `reports` of the data folder; prints their paths."""
    from sopilot.cli.local import opened, requester
    from sopilot.core.config import load_settings
    from sopilot.ops.audit_export import MOST_ITEMS, export_trail

    made = []
    with opened(load_settings(data_dir=data_dir)) as runtime:
        before_seq = None
        while True:
            one = export_trail(
                runtime,
                requester(),
                limit=MOST_ITEMS if everything else limit,
                before_seq=before_seq,
            )
            made.append(one)
            before_seq = one.chain.first_seq
            if not everything or before_seq is None or before_seq == 1:
                break
    if json_target is not None:
        write_json([{"path": str(one.path), "items": one.item_count} for one in made], json_target)
    if json_target != "-":
        for one in made:
            typer.echo(str(one.path))


def verify_script(given: list[str] | None = None) -> int:
    """`scripts/verify_audit_export.py`: JSON on stdout; 0 verified, 2 not."""
    import argparse
    import json

    from sopilot.core.errors import SopilotError
    from sopilot.ops.audit_verify import verify_file

    parser = argparse.ArgumentParser(
        prog="verify_audit_export", description="Verify a signed export of the audit log."
    )
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--key", required=True)
    options = parser.parse_args(given)
    try:
        verdict = verify_file(options.file, options.key)
    except SopilotError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)  # noqa: T201
        return 2
    typer.echo(json.dumps(_plain(verdict), ensure_ascii=False, indent=2))
    return 0 if verdict.is_verified else 2


def _verdicts(
    files: list[Path], settings: Settings, key: str | None, key_file: Path | None
) -> list[FileVerdict]:
    from sopilot.ops.audit_verify import verify_file

    used = _key(settings, key, key_file)
    return [verify_file(path, used) for path in files]


def _key(settings: Settings, key: str | None, key_file: Path | None) -> str:
    """The key of the command line. Raises InputError when there is none."""
    from sopilot.core.errors import InputError

    configured = settings.audit_signing_key
    try:
        if key is None and key_file is not None:
            key = key_file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"the key file {key_file} cannot be read ({error})") from error
    if key is None and configured is not None:
        key = configured.get_secret_value()
    if key is None or not key.strip():
        raise InputError(
            "a signed export is verified by its key; give --key-file, --key, or set "
            "SOPILOT_AUDIT_SIGNING_KEY"
        )
    return key


def _verify_database(settings: Settings, verdicts: list[FileVerdict]) -> tuple[int, list[str]]:
    """Rows of the log, and what is wrong with it or missing from it."""
    from itertools import islice

    from sopilot.ops.audit_verify import MOST_TOLD, log_problems, missing_from_log
    from sopilot.store.audit import count_rows

    with _opened(settings) as database, database.read() as connection:
        problems = [f"the log: {text}" for text in islice(log_problems(connection), MOST_TOLD)]
        for item in verdicts:
            missing = islice(missing_from_log(connection, item.items), MOST_TOLD)
            problems += [f"{item.path}: {text}" for text in missing]
        return count_rows(connection), problems


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    """The database as it is: never made, never migrated."""
    from sopilot.core.errors import InputError
    from sopilot.store.engine import open_database
    from sopilot.store.schema import REVISIONS, stored_revision

    url = settings.resolved_database_url
    if settings.database_url is None and not (settings.data_dir / "sopilot.db").is_file():
        raise InputError(f"{settings.data_dir} holds no database; name a data folder")
    database = open_database(url, ensure=False)
    try:
        with database.read() as connection:
            revision = stored_revision(connection)
        if revision not in REVISIONS[2:]:
            raise InputError(f"the database has schema {revision}, which has no audit log we know")
        yield database
    finally:
        database.close()


def _told(verdict: FileVerdict) -> Iterator[str]:
    if not verdict.payload_sha256_match:
        yield "its content was changed after it was signed"
    elif not verdict.signature_match:
        yield "its signature is not of this key"
    yield from verdict.problems


def _plain(verdict: FileVerdict) -> dict[str, Any]:
    return {
        "file": str(verdict.path),
        "algorithm": verdict.algorithm,
        "key_id": verdict.key_id,
        "payload_sha256_match": verdict.payload_sha256_match,
        "signature_match": verdict.signature_match,
        "problems": list(verdict.problems),
        "verified": verdict.is_verified,
    }


def _show(verdicts: list[FileVerdict], rows: int | None) -> None:
    for item in verdicts:
        typer.echo(f"{item.path}: verified, {len(item.items)} rows, key {item.key_id}")
    if rows is not None:
        typer.echo(f"the log in the database: whole, {rows} rows")
