"""`sopilot vectors …`: the indexes that `/search` and `/vigil/search` look into."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import ExitCode, note, progress_bar, write_json

app = typer.Typer(help="Indexes of vectors for the searches.", no_args_is_help=True)

Backend = Literal["embedded", "qdrant"]


@app.command("rebuild")
def rebuild(data_dir: DataDir = None) -> None:
    """Build the index anew from the database and the stored features; the service may run."""
    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.library import moments
    from sopilot.vigil.rebuild import rebuild_chunks, rebuild_texts

    settings = load_settings(data_dir=data_dir)
    with opened(settings) as runtime:
        counts = moments.rebuild(runtime)
        chunks = rebuild_chunks(runtime)
        texts = rebuild_texts(runtime)
    note(f"{sum(counts.values())} moments in {len(counts)} collections")
    note(f"{sum(chunks.values())} chunks of footage")
    if settings.text_embedding_url:
        note(f"texts of {texts} videos")
    write_json(counts | chunks, "-")


@app.command("migrate")
def migrate(
    source: Annotated[Backend, typer.Option("--from", help="Where the vectors are.")],
    target: Annotated[Backend, typer.Option("--to", help="Where they are to be.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, write nothing.")] = False,
    json_target: Annotated[
        str | None, typer.Option("--json", help="Write the record to PATH, or - for stdout.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Copy all vectors between the data folder and the Qdrant server of SOPILOT_QDRANT_URL.

    Goes on where an earlier run was stopped; exit 3 when a video is not the same afterwards. Then
    set SOPILOT_VECTOR_BACKEND and start the service anew.
    """
    from dataclasses import asdict

    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.core.errors import InputError, VideoNotFound
    from sopilot.runtime import vectors_of
    from sopilot.store.vector_moving import move_vectors
    from sopilot.vigil import queries

    if source == target:
        raise InputError("--from and --to are the same; name both backends")
    settings = load_settings(data_dir=data_dir)

    def labels_of(video_id: int) -> dict[str, str | None]:
        with runtime.database.read() as connection:
            try:
                return dict(queries.labels_of(connection, video_id))
            except VideoNotFound:
                return {}

    with opened(settings) as runtime:
        stores = {name: vectors_of(settings, name) for name in (source, target)}
        with progress_bar() as bar:
            moves = move_vectors(
                stores[source],
                stores[target],
                labels_of,
                is_dry=dry_run,
                progress=bar.stage("moving vectors"),
            )
    is_same = all(item.is_same for item in moves)
    record = {"is_same": is_same, "is_dry": dry_run, "collections": [asdict(m) for m in moves]}
    if json_target is not None:
        write_json(record, json_target)
    if json_target != "-":
        for item in moves:
            state = "same" if item.is_same else f"{len(item.different)} videos DIFFERENT"
            typer.echo(
                f"{item.collection}: {item.points} points of {item.videos} videos, "
                f"{item.copied_videos} copied; {state}"
            )
    raise typer.Exit(ExitCode.OK if is_same or dry_run else ExitCode.CHECK_FAILED)
