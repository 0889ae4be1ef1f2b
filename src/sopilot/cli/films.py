"""`sopilot films`: write a drawn filter change, done right and in five wrong ways."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def films(
    out_dir: Annotated[
        Path, typer.Option("--out-dir", help="Folder for the films, made when it is not there.")
    ] = Path("demo_videos/maintenance_filter_swap"),
    duration_sec: Annotated[
        float, typer.Option("--duration-sec", help="Length of every film, 16 to 240 seconds.")
    ] = 24.0,
) -> None:
    """Write gold, missing, swap, deviation, time_over and mixed .mp4 for a first rollout; prints
    their paths. `sopilot gate` takes them."""
    from sopilot.core.errors import InputError
    from sopilot.evaluation.filter_swap import DURATION_SEC, PLANS, write_film
    from sopilot.store.faults import file_fault

    least, most = DURATION_SEC
    if not least <= duration_sec <= most:
        raise InputError(f"--duration-sec is {duration_sec:g}; give {least:g} to {most:g} seconds")
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for name, plan in PLANS.items():
            staged = out_dir / f".{name}.part.mp4"
            try:
                write_film(staged, plan, duration_sec)
                staged.replace(out_dir / f"{name}.mp4")
            finally:
                staged.unlink(missing_ok=True)
            typer.echo(out_dir / f"{name}.mp4")
    except OSError as error:
        raise file_fault(error, out_dir) from error
