"""`sopilot config`: the settings in force and where each comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sopilot.cli.output import note, write_json


def config(
    data_dir: Annotated[Path | None, typer.Option("--data-dir")] = None,
    json_target: Annotated[str | None, typer.Option("--json", help="PATH or -")] = None,
) -> None:
    """Print the effective settings with their origin; secrets are masked."""
    from sopilot.core.config import load_settings
    from sopilot.core.environment import effective_settings, unknown_variables

    rows = effective_settings(load_settings(data_dir=data_dir))
    if json_target is not None:
        write_json(
            {row.name: {"value": row.value, "origin": row.origin} for row in rows}, json_target
        )
    else:
        for row in rows:
            typer.echo(f"{row.name:<36} {row.value:<40} {row.origin}")
    for name, reason in unknown_variables().items():
        note(f"warning: {name} is set, but {reason}")
