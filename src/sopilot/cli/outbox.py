"""`sopilot outbox …`: webhooks that wait, were delivered, or were given up."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import note, write_json

app = typer.Typer(help="Webhooks that wait or were given up.", no_args_is_help=True)

State = Literal["pending", "delivered", "dead"]
_WIDTH = 60


@app.command("list")
def list_(
    state: Annotated[State | None, typer.Option(help="Only those of this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest.")] = 50,
    data_dir: DataDir = None,
    json_target: Annotated[str | None, typer.Option("--json", help="PATH or -")] = None,
) -> None:
    """Show webhooks, newest first, with the reason of the last failure."""
    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.jobs.outbox import count_deliveries
    from sopilot.jobs.outbox_care import list_deliveries

    with opened(load_settings(data_dir=data_dir)) as runtime, runtime.database.read() as connection:
        counts = count_deliveries(connection)
        rows = list_deliveries(connection, state, limit)
    if json_target is not None:
        write_json({"counts": counts, "items": [asdict(row) for row in rows]}, json_target)
    if json_target != "-":
        for row in rows:
            reason = (row.last_error or "")[:_WIDTH]
            words = (f"{row.id:>6}", f"{row.state:<9}", row.uid, row.event, f"{row.attempt} tries")
            typer.echo("  ".join((*words, row.created_at[:19], reason)).rstrip())
        note(", ".join(f"{count} {name}" for name, count in counts.items()))


@app.command("retry")
def retry(
    deliveries: Annotated[
        list[str] | None, typer.Argument(help="Numbers or delivery ids of dead webhooks.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead ones.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Send dead webhooks again: workers do it at once, with all attempts ahead."""
    from sopilot.cli.local import opened, requester
    from sopilot.core.config import load_settings
    from sopilot.core.errors import InputError
    from sopilot.jobs.outbox_care import retry_dead

    if bool(deliveries) == everything:
        raise InputError("name the webhooks to send again, or give --all")
    with opened(load_settings(data_dir=data_dir)) as runtime:
        with runtime.database.write() as connection:
            uids = retry_dead(connection, deliveries or None, requester())
        if uids and not runtime.settings.webhook_url:
            note("SOPILOT_WEBHOOK_URL is not set here; a worker that has it delivers them")
    for uid in uids:
        typer.echo(uid)


@app.command("clean")
def clean(
    state: Annotated[
        Literal["delivered", "dead"] | None, typer.Option(help="Which; both when left out.")
    ] = None,
    older_than_days: Annotated[float, typer.Option(min=0, max=36_500, help="Age in days.")] = 30.0,
    data_dir: DataDir = None,
) -> None:
    """Throw away webhooks that were delivered or given up long ago; prints how many."""
    from sopilot.cli.local import opened, requester
    from sopilot.core.config import load_settings
    from sopilot.jobs import outbox_care

    with (
        opened(load_settings(data_dir=data_dir)) as runtime,
        runtime.database.write() as connection,
    ):
        chosen: list[outbox_care.State] = ["delivered", "dead"] if state is None else [state]
        count = outbox_care.clean(connection, chosen, older_than_days, requester())
    typer.echo(str(count))
