"""`sopilot watch`: load what is put into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import note


def watch(
    data_dir: DataDir = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Folder to watch; else SOPILOT_WATCH_DIR.")
    ] = None,
) -> None:
    """Load videos from a folder until SIGTERM; a worker or the service works on them."""
    from sopilot.core.config import load_settings
    from sopilot.core.log import configure_logging
    from sopilot.jobs.stop import stop_on_signals
    from sopilot.library.watch import Watcher, watch
    from sopilot.runtime import close_runtime, open_runtime
    from sopilot.sop.tasks import task_opener

    settings = load_settings(data_dir=data_dir, watch_dir=folder.resolve() if folder else None)
    configure_logging(settings.log_level, settings.log_form)
    runtime = open_runtime(settings)
    try:
        with Watcher(runtime, task_opener(settings), settings.resolved_watch_dir) as watcher:
            note(f"watching {watcher.folder.resolve()}")
            watch(watcher, stop_on_signals())
    finally:
        close_runtime(runtime)


def main() -> None:
    """`sopilot-watch`, the name of older installations."""
    import sys

    from sopilot.cli.app import main as sopilot

    sys.argv[1:1] = ["watch"]
    sopilot()
