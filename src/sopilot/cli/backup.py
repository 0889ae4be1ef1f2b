"""`sopilot backup` and `sopilot restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import ExitCode, complain, note


def backup(
    target: Annotated[str, typer.Argument(help="New file or a folder; or the word verify.")],
    file: Annotated[Path | None, typer.Argument(help="After verify: the backup.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Back up database and files while the service works; `backup verify FILE` checks one."""
    from sopilot.core.errors import BackupDamaged, InputError

    if target == "verify" and file is not None:
        from sopilot.ops.restore import verify_backup

        try:
            manifest = verify_backup(file)
        except BackupDamaged as error:
            complain(f"{error.code}: {error.message}")
            raise typer.Exit(ExitCode.INTEGRITY) from error
        typer.echo(f"{file}: whole, {len(manifest['files'])} files of {manifest['created_at']}")
        return
    if file is not None:
        raise InputError(f"one target is enough, got {target} and {file}")
    from sopilot.cli.local import opened, requester
    from sopilot.core.config import load_settings
    from sopilot.ops.backup import record_backup

    with opened(load_settings(data_dir=data_dir)) as runtime:
        made = record_backup(runtime, Path(target), requester())
    typer.echo(made["path"])


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    data_dir: DataDir = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing data.")] = False,
) -> None:
    """Verify a backup and put it in the place of a data folder's content."""
    from sopilot.cli.local import opened, requester
    from sopilot.core.config import load_settings
    from sopilot.core.errors import BackupDamaged
    from sopilot.library import moments
    from sopilot.ops.restore import restore_backup

    settings = load_settings(data_dir=data_dir)
    try:
        aside = restore_backup(file, settings, requester(), is_forced=force)
    except BackupDamaged as error:
        complain(f"{error.code}: {error.message}")
        raise typer.Exit(ExitCode.INTEGRITY) from error
    if aside is not None:
        note(f"the old data lies in {aside}; delete it when it is not needed any more")
    with opened(settings) as runtime:
        moments.rebuild(runtime)  # the index of moments is no part of a backup
    typer.echo(str(settings.data_dir.resolve()))
