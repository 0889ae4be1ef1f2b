"""`sopilot vectors …`: the index of moments that `/search` looks into."""

from __future__ import annotations

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import note, write_json

app = typer.Typer(help="Index of moments for the search.", no_args_is_help=True)


@app.command("rebuild")
def rebuild(data_dir: DataDir = None) -> None:
    """Build the index anew from the database and the stored features; the service may run."""
    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.library import moments

    with opened(load_settings(data_dir=data_dir)) as runtime:
        counts = moments.rebuild(runtime)
    note(f"{sum(counts.values())} moments in {len(counts)} collections")
    write_json(counts, "-")
