"""`sopilot vigil …`: footage without a server: take it in, index it, find moments, ask about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import note, progress_bar, write_json

app = typer.Typer(help="Hours of footage: index, search, ask.", no_args_is_help=True)

JsonTarget = Annotated[
    str | None, typer.Option("--json", help="Write the record to PATH, or - for stdout.")
]
Domain = Annotated[
    Literal["generic", "factory", "surveillance", "sports"] | None,
    typer.Option(help="What kind of scene it shows; decides how long its chunks are."),
]
Video = Annotated[str, typer.Argument(help="Id of the video, as `vigil add` printed it.")]
Videos = Annotated[
    list[str] | None, typer.Option("--video", help="Look in this video only. Repeatable.")
]
Count = Annotated[int, typer.Option("--top", "-k", min=1, max=100, help="Moments to find.")]


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="The video.")],
    domain: Domain = "generic",
    camera: Annotated[str | None, typer.Option(help="Id of the camera.")] = None,
    site: Annotated[str | None, typer.Option(help="Id of the site.")] = None,
    task: Annotated[str | None, typer.Option(help="Id of the procedure it shows.")] = None,
    recorded_at: Annotated[
        str | None, typer.Option(help="When recording began, such as 2026-02-28T09:00:00+09:00.")
    ] = None,
    json_target: JsonTarget = None,
    data_dir: DataDir = None,
) -> None:
    """Take FILE in; the same bytes are one video. Prints its id; `vigil index` makes it found."""
    from sopilot.api.schemas_vigil import FootageForm, added_shape
    from sopilot.cli.local import opened, requester
    from sopilot.core.config import load_settings
    from sopilot.sop.tasks import task_opener
    from sopilot.vigil.add import add_footage_file

    _quiet()
    form = FootageForm(
        domain=domain or "generic",
        camera_id=camera,
        site_id=site,
        task_id=task,
        recorded_at=recorded_at,
    )
    with opened(load_settings(data_dir=data_dir)) as runtime:
        added = add_footage_file(
            runtime,
            file,
            form.order(None),
            open_task=task_opener(runtime.settings),
            by=requester(),
        )
    record = added_shape(added.footage, is_duplicate=added.is_duplicate).model_dump()
    _give(record, json_target, record["video_id"])
    if added.is_duplicate:
        note("the same bytes were there before")


@app.command("index")
def index(
    video: Video,
    domain: Domain = None,
    transcribe: Annotated[
        bool, typer.Option("--transcribe", help="Recognise what is said in it.")
    ] = False,
    json_target: JsonTarget = None,
    data_dir: DataDir = None,
) -> None:
    """Index a video of the library, and wait for it."""
    from sopilot.api.schemas_vigil import status_shape
    from sopilot.cli.local import index_now, opened
    from sopilot.core.config import load_settings
    from sopilot.vigil import queries
    from sopilot.vigil.schemas import Domain as Scene
    from sopilot.vigil.speech import speech_job

    _quiet()
    with opened(load_settings(data_dir=data_dir)) as runtime:
        with progress_bar() as bar:
            scene = None if domain is None else Scene(domain)
            row = index_now(runtime, video, scene, bar.stage, wants_speech=transcribe)
        with runtime.database.read() as connection:
            texts = queries.count_texts(connection, row.video_id)
            speech = speech_job(connection, row.video_id)
    record = status_shape(row, texts, speech).model_dump()
    counts = ", ".join(f"{count} {level}" for level, count in record["counts"].items())
    said = f"{counts}; {record['covered_sec']} of {record['duration_sec']} s covered"
    _give(record, json_target, said)


@app.command("transcript")
def transcript(
    video: Video,
    file: Annotated[Path, typer.Argument(help="A WebVTT or SubRip file.")],
    language: Annotated[str | None, typer.Option(help="Such as en, ru or ja.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Import a transcript in the place of the one that was there."""
    from sopilot.cli.local import opened, requester
    from sopilot.core.config import load_settings
    from sopilot.core.errors import InputError
    from sopilot.vigil.transcript import import_transcript

    _quiet()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); check it") from error
    with opened(load_settings(data_dir=data_dir)) as runtime:
        found = import_transcript(runtime, video, data, requester(), language)
    typer.echo(f"{len(found.rows)} sentences")
    for text in found.notes:
        note(text)


@app.command("transcribe")
def transcribe_video(
    video: Video,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove the imported transcript for it, if any.")
    ] = False,
    json_target: JsonTarget = None,
    data_dir: DataDir = None,
) -> None:
    """Recognise what is said in a video, and wait for it; needs SOPILOT_ASR_BACKEND."""
    from sopilot.api.schemas_vigil import transcript_shape
    from sopilot.cli.local import opened, transcribe_now
    from sopilot.core.config import load_settings
    from sopilot.vigil.transcript import transcript_of

    _quiet()
    with opened(load_settings(data_dir=data_dir)) as runtime:
        with progress_bar() as bar:
            transcribe_now(runtime, video, bar.stage, replaces_import=replace)
        with runtime.database.read() as connection:
            record = transcript_shape(*transcript_of(connection, video)).model_dump()
    _give(record, json_target, f"{record['num_text']} sentences")


@app.command("search")
def search(
    query: Annotated[str, typer.Argument(help="Words, any of them; '' to search by look only.")],
    video: Videos = None,
    image: Annotated[Path | None, typer.Option(help="A picture to find the like of.")] = None,
    like: Annotated[
        str | None, typer.Option(help="A moment to find the like of, as VIDEO@SECONDS.")
    ] = None,
    top: Count = 10,
    rerank: Annotated[
        bool, typer.Option(help="Let the model of SOPILOT_VLM_URL put the first ones in order.")
    ] = False,
    json_target: JsonTarget = None,
    data_dir: DataDir = None,
) -> None:
    """Find moments by words, by a picture or by another moment."""
    from sopilot.api.schemas_vigil import search_shape
    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.core.errors import InputError
    from sopilot.vigil import search as footage
    from sopilot.vigil.scope import Scope

    _quiet()
    moment = None
    if like is not None:
        name, _, seconds = like.rpartition("@")
        try:
            moment = footage.LikeMoment(name, float(seconds))
        except ValueError as error:
            raise InputError(f"--like is {like!r}; write it as VIDEO@SECONDS") from error
    try:
        picture = None if image is None else image.read_bytes()
    except OSError as error:
        raise InputError(f"{image} cannot be read ({error.strerror}); check it") from error
    with opened(load_settings(data_dir=data_dir)) as runtime:
        scope = Scope(videos=tuple(video or ()))
        found = footage.search(
            runtime, query, scope, top, picture=picture, like=moment, wants_model=rerank
        )
    record = search_shape(query, found).model_dump()
    if json_target is not None:
        write_json(record, json_target)
    if json_target != "-":
        for item in record["results"]:
            typer.echo(f"{_place(item)}  {item['why_relevant']}")
            if item["transcript_text"]:
                typer.echo(f"    {item['transcript_text']}")
        for text in record["unknowns"]:
            note(text)


@app.command("ask")
def ask(
    question: Annotated[str, typer.Argument(help="In plain words.")],
    video: Videos = None,
    top: Annotated[int, typer.Option("--top", "-k", min=1, max=20)] = 5,
    json_target: JsonTarget = None,
    data_dir: DataDir = None,
) -> None:
    """Answer a question with the moments that the answer rests on."""
    from sopilot.api.schemas_vigil import answer_shape
    from sopilot.cli.local import opened, requester
    from sopilot.core.config import load_settings
    from sopilot.vigil import ask as footage
    from sopilot.vigil.scope import Scope

    _quiet()
    with opened(load_settings(data_dir=data_dir)) as runtime:
        scope = Scope(videos=tuple(video or ()))
        row = footage.ask(runtime, question, scope, top, by=requester())
    record = answer_shape(row).model_dump()
    if json_target is not None:
        write_json(record, json_target)
    if json_target != "-":
        typer.secho(record["answer"], bold=True)
        for item in record["evidence"]:
            typer.echo(f"  {item['id']}  {_place(item)}  {item['why_relevant']}")
        for text in record["unknowns"]:
            note(f"not known: {text}")


@app.command("define")
def define(
    event_type: Annotated[str, typer.Argument(help="Its name, such as CRATE_LEFT.")],
    description: Annotated[str, typer.Argument(help="The event in plain words.")],
    cue: Annotated[list[str] | None, typer.Option(help="What it is seen by. Repeatable.")] = None,
    contrast: Annotated[str | None, typer.Option(help="How it looks when it is not.")] = None,
    method: Annotated[str, typer.Option(help="zero_shot, signal, sop, or a plug-in.")] = (
        "zero_shot"
    ),
    threshold: Annotated[float | None, typer.Option(min=0.0, max=1.0)] = None,
    json_target: JsonTarget = None,
    data_dir: DataDir = None,
) -> None:
    """Define an event, or give it its next version."""
    from pydantic import ValidationError

    from sopilot.api.schemas_vigil_events import NewDefinitionBody, definition_shape
    from sopilot.cli.local import opened, requester
    from sopilot.core.config import load_settings
    from sopilot.core.errors import InputError
    from sopilot.vigil import event_queries, events

    _quiet()
    try:
        body = NewDefinitionBody(
            event_type=event_type,
            description=description,
            visual_cues=cue or [],
            contrast=contrast,
            method=method,
            threshold=threshold,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['loc'][0]}: {first['msg']}") from error
    made = body.made(event_type)
    with (
        opened(load_settings(data_dir=data_dir)) as runtime,
        runtime.database.write() as connection,
    ):
        if event_queries.has_definition(connection, event_type):
            row = events.redefine(connection, made, requester())
        else:
            row = events.define(connection, made, requester())
    record = definition_shape(row).model_dump()
    _give(record, json_target, f"{row.event_type} version {row.version}")


@app.command("events")
def list_events(
    video: Annotated[str, typer.Argument(help="Id of the video.")],
    event: Annotated[
        list[str] | None, typer.Option("--type", help="Only this event. Repeatable.")
    ] = None,
    json_target: JsonTarget = None,
    data_dir: DataDir = None,
) -> None:
    """Look for the defined events in a video, and list them with what nobody looked at."""
    from sopilot.api.schemas_vigil_events import VigilEvents, event_shape, unchecked_shapes
    from sopilot.cli.local import detect_now, opened
    from sopilot.core.config import load_settings
    from sopilot.core.timespan import timecode

    _quiet()
    with opened(load_settings(data_dir=data_dir)) as runtime:
        with progress_bar() as bar:
            runs, rows = detect_now(runtime, video, event or [], bar.stage)
    missed = [item for run in runs for item in unchecked_shapes(run)]
    told = VigilEvents(events=[event_shape(row) for row in rows], not_checked=missed)
    record = told.model_dump()
    if json_target is not None:
        write_json(record, json_target)
    if json_target != "-":
        for item in record["events"]:
            score = "" if item["score"] is None else f" ({item['score']:.2f})"
            place = f"{timecode(item['start_sec'])}-{timecode(item['end_sec'])}"
            typer.echo(f"{place}  {item['event_type']}{score} {item['description']}")
        if not record["events"]:
            note("no event found in what was looked at")
        for item in record["not_checked"]:
            place = f"{timecode(item['start_sec'])}-{timecode(item['end_sec'])}"
            note(f"not checked: {place} ({item['code']})")


@app.command("expire")
def expire(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name them, delete nothing.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Delete what the retention rules let go; the service does that every hour."""
    from datetime import UTC, datetime

    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.vigil import retention

    _quiet()
    with opened(load_settings(data_dir=data_dir)) as runtime:
        now = datetime.now(UTC)
        if dry_run:
            with runtime.database.read() as connection:
                gone = [row.uid for row in retention.expired(connection, now)]
        else:
            gone = retention.expire(runtime, now)
    for uid in gone:
        typer.echo(uid)
    note(f"{len(gone)} videos {'would go' if dry_run else 'deleted'}")


def _place(item: dict[str, Any]) -> str:
    from sopilot.core.timespan import timecode

    name = item.get("filename") or item["video_id"]
    return f"{name} {timecode(item['start_sec'])}-{timecode(item['end_sec'])}"


def _give(record: dict[str, Any], target: str | None, said: str) -> None:
    if target is not None:
        write_json(record, target)
    if target != "-":
        typer.echo(said)


def _quiet() -> None:
    """Only errors on stderr: the result is what a command says."""
    from sopilot.core.log import configure_logging

    configure_logging("ERROR", "console")
