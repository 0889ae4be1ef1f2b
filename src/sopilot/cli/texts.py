"""`sopilot texts …`: the timed texts of videos that searches read."""

from __future__ import annotations

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import note, write_json

app = typer.Typer(help="Timed texts of videos for the search.", no_args_is_help=True)


@app.command("rebuild")
def rebuild(data_dir: DataDir = None) -> None:
    """Write steps, deviations and incidents anew as texts, after an update; the service may run."""
    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.incidents import annotate as incidents
    from sopilot.library.annotations import reindex_texts
    from sopilot.sop import annotate as sop

    with opened(load_settings(data_dir=data_dir)) as runtime:
        counts = {
            "scores": sop.annotate_all(runtime),
            "incidents": incidents.annotate_all(runtime),
            "reindexed": reindex_texts(runtime.database),
        }
    note(f"texts of {counts['scores']} scores and {counts['incidents']} incidents")
    write_json(counts, "-")
