"""The `sopilot` command: its verbs, and how every failure becomes a sentence and an exit code.

Nothing heavy is imported here or at the top of a command's module, so that `--help` stays quick.
"""

from __future__ import annotations

import sys

import typer

from sopilot.cli import (
    audit,
    backup,
    database,
    delivery,
    demo,
    evaluation,
    films,
    incidents,
    onprem,
    outbox,
    score,
    serve,
    settings,
    smoke,
    texts,
    vectors,
    vigil,
    vlm,
    watch,
)
from sopilot.cli.output import ExitCode, complain

app = typer.Typer(
    name="sopilot",
    help="On-prem video intelligence for work: score a trainee's video against a gold video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("score")(score.score)
app.command("demo")(demo.demo)
app.command("films")(films.films)
app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("profile")(onprem.profile)
app.command("flow")(delivery.flow)
app.command("gate")(delivery.gate)
app.command("smoke")(smoke.smoke)
app.command("watch")(watch.watch)
app.command("config")(settings.config)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(audit.app, name="audit")
app.add_typer(database.app, name="db")
app.add_typer(evaluation.app, name="eval")
app.add_typer(incidents.app, name="incidents")
app.add_typer(outbox.app, name="outbox")
app.add_typer(texts.app, name="texts")
app.add_typer(vectors.app, name="vectors")
app.add_typer(vigil.app, name="vigil")
app.add_typer(vlm.app, name="vlm")


@app.command("version")
def version() -> None:
    """Print the version."""
    from sopilot import __version__

    typer.echo(__version__)


def main() -> None:
    """Run a command; known failures print one sentence and exit with their code."""
    from sopilot.core.errors import InputError, JobCancelled, MediaError, SopilotError

    try:
        app()
    except KeyboardInterrupt:
        complain("interrupted; nothing half-written was kept")
        sys.exit(ExitCode.INTERRUPTED)
    except JobCancelled as error:
        complain(error.message)
        sys.exit(ExitCode.INTERRUPTED)
    except (InputError, MediaError) as error:
        complain(f"{error.code}: {error.message}")
        sys.exit(ExitCode.USAGE)
    except SopilotError as error:
        complain(f"{error.code}: {error.message}")
        sys.exit(ExitCode.FAILURE)


if __name__ == "__main__":
    main()
