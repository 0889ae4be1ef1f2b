"""`sopilot vectors …`: the indexes that `/search` and `/vigil/search` look into."""

from __future__ import annotations

from pathlib import Path
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
    source: Annotated[
        str,
        typer.Option("--from", help="embedded, qdrant, or npy:FOLDER of an older product."),
    ],
    target: Annotated[Backend, typer.Option("--to", help="Where they are to be.")],
    model: Annotated[
        str, typer.Option(help="Of npy: the model that made them, part of the collection's name.")
    ] = "unknown",
    videos: Annotated[
        Path | None,
        typer.Option(help='Of npy: a JSON file {"older video id": "id here"}, where they differ.'),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, write nothing.")] = False,
    json_target: Annotated[
        str | None, typer.Option("--json", help="Write the record to PATH, or - for stdout.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Copy all vectors between the data folder and the Qdrant server of SOPILOT_QDRANT_URL, or from
    the files of an older product (level `legacy`).

    Goes on where an earlier run was stopped; exit 3 when a video is not the same afterwards, or one
    of the older product is not in this library. Then set SOPILOT_VECTOR_BACKEND and start the
    service anew.
    """
    from dataclasses import asdict

    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.core.errors import InputError
    from sopilot.runtime import vectors_of
    from sopilot.store.vector_moving import move_vectors
    from sopilot.vigil.older_vectors import import_legacy, labels_in

    if source == target:
        raise InputError("--from and --to are the same; name both backends")
    kind, _, folder = source.partition(":")
    if kind not in ("embedded", "qdrant", "npy") or (kind == "npy") != bool(folder):
        raise InputError(f"--from is {source!r}; give embedded, qdrant or npy:FOLDER")
    settings = load_settings(data_dir=data_dir)
    unknown: tuple[str, ...] = ()
    with opened(settings) as runtime, progress_bar() as bar:
        to = vectors_of(settings, target)
        if kind == "npy":
            done = import_legacy(runtime, Path(folder), to, model, videos, is_dry=dry_run)
            moves, unknown = [done.move], done.unknown
        else:
            moves = move_vectors(
                vectors_of(settings, kind),
                to,
                labels_in(runtime),
                is_dry=dry_run,
                progress=bar.stage("moving vectors"),
            )
    is_same = all(item.is_same for item in moves) and not unknown
    record = {"is_same": is_same, "is_dry": dry_run, "collections": [asdict(m) for m in moves]}
    if json_target is not None:
        write_json(record | {"unknown_videos": list(unknown)}, json_target)
    if json_target != "-":
        for item in moves:
            state = "same" if item.is_same else f"{len(item.different)} videos DIFFERENT"
            typer.echo(
                f"{item.collection}: {item.points} points of {item.videos} videos, "
                f"{item.copied_videos} copied; {state}"
            )
        for name in unknown:
            note(f"the older video {name} is not in this library; name it in --videos")
    raise typer.Exit(ExitCode.OK if is_same or dry_run else ExitCode.CHECK_FAILED)
