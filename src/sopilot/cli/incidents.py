"""`sopilot incidents …`: look through a video for dangerous events, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import note, progress_bar, write_bytes, write_json

if TYPE_CHECKING:
    from sopilot.incidents.replay import Replayed

app = typer.Typer(help="Dangerous events in a video.", no_args_is_help=True)

JsonTarget = Annotated[
    str | None, typer.Option("--json", help="Write the record to PATH, or - for stdout.")
]


@app.command("analyze")
def analyze(
    file: Annotated[Path, typer.Argument(help="The video.")],
    domain: Annotated[
        Literal["traffic", "production", "violence", "other", "auto"],
        typer.Option(help="What the video shows; auto = let the model say."),
    ] = "auto",
    language: Annotated[
        Literal["ru", "en", "ja"] | None,
        typer.Option("--lang", "--language", help="Language of texts; default: the setting's."),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(help="A further event type in plain words: `TYPE: question`. Repeatable."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write the report to PATH, .docx or .pdf.")
    ] = None,
    json_target: JsonTarget = None,
    data_dir: DataDir = None,
) -> None:
    """Look through FILE; exit 0 whether or not an event was found."""
    from sopilot.cli.local import analyse_file, opened
    from sopilot.core.config import load_settings
    from sopilot.core.errors import InputError
    from sopilot.core.log import configure_logging
    from sopilot.incidents.page import report_bytes
    from sopilot.incidents.prompting import parse_custom
    from sopilot.incidents.submit import Order

    if report is not None and report.suffix.lower() not in {".docx", ".pdf"}:
        raise InputError(f"the report {report} must end in .docx or .pdf")
    settings = load_settings(data_dir=data_dir)
    configure_logging("ERROR", "console")
    order = Order(
        None if domain == "auto" else domain,
        language or settings.incident_language,
        parse_custom("\n".join(event)) if event else {},
    )
    with opened(settings) as runtime:
        with progress_bar() as bar:
            record = analyse_file(runtime, file, order, bar.stage)
        if report is not None:
            form: Literal["docx", "pdf"] = "pdf" if report.suffix.lower() == ".pdf" else "docx"
            write_bytes(report, report_bytes(runtime, record["incident_iid"], form).data)
    if json_target is not None:
        write_json(record, json_target)
    if json_target != "-":
        _show(record)
    if report is not None:
        note(f"report: {report}")


@app.command("replay")
def replay_incident(
    incident: Annotated[str, typer.Argument(help="Id of the incident.")],
    json_target: JsonTarget = None,
    data_dir: DataDir = None,
) -> None:
    """Conclude the events of a stored analysis anew from its raw answers, without a model; exit 5
    when they differ from what is stored."""
    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.incidents import queries
    from sopilot.incidents.replay import replay

    with (
        opened(load_settings(data_dir=data_dir)) as runtime,
        runtime.database.read() as connection,
    ):
        row = queries.get_incident(connection, incident)
        found = replay(queries.get_analysis(connection, row.id) or {})
    record = {
        "incident_iid": row.id,
        "is_same": found.is_same,
        "damage": found.damage,
        "misread_windows": list(found.misread),
        "stored": list(found.stored),
        "concluded": list(found.concluded),
    }
    if json_target is not None:
        write_json(record, json_target)
    if json_target != "-":
        typer.echo(f"incident {row.id}: {_verdict(found)}")
    raise typer.Exit(0 if found.is_same else 5)


def _verdict(found: Replayed) -> str:
    if found.damage is not None:
        return f"the stored analysis is DAMAGED ({found.damage})"
    if found.misread:
        return f"{len(found.misread)} windows are stored OTHERWISE than their answers say"
    same = found.stored == found.concluded
    return f"{len(found.concluded)} events, {'as' if same else 'OTHERS than'} are stored"


def _show(record: dict[str, Any]) -> None:
    events = record["events"]
    how = "a model looked" if record["method"] == "vlm" else "measured, nobody looked"
    nothing = (
        "no event found in what was checked" if record.get("not_checked") else "no event found"
    )
    count = nothing if not events else f"{len(events)} events"
    typer.secho(f"{count} ({how})", bold=True)
    for event in events:
        span = f"{event['start_time']:.2f}-{event['end_time']:.2f} s"
        typer.echo(f"  {span}  {event['event_type']}: {event['description']}")
    for item in record.get("not_checked", []):
        first, last = item["span"]
        typer.secho(f"  not checked: {first:.2f}-{last:.2f} s ({item['code']})", fg="yellow")
