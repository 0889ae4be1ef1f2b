"""`sopilot score`: gold and trainee files in, a verdict out; no server needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sopilot.cli.output import (
    DECISION_CODES,
    note,
    progress_bar,
    write_bytes,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from sopilot.core.errors import InputError
    from sopilot.core.records import Step
    from sopilot.library.schemas import VideoRow
    from sopilot.runtime import Runtime
    from sopilot.sop.queries import ScoreRow

_COLOURS = {"pass": "green", "needs_review": "yellow", "retrain": "yellow", "fail": "red"}


def score(
    gold: Annotated[Path, typer.Argument(help="Gold video; the steps are marked in this one.")],
    trainee: Annotated[Path, typer.Argument(help="Trainee's video.")],
    further_golds: Annotated[
        list[Path] | None, typer.Option("--gold", help="A further gold; up to nine.")
    ] = None,
    steps: Annotated[Path | None, typer.Option(help="Steps file, YAML or JSON.")] = None,
    task: Annotated[str | None, typer.Option(help="Task id; default: the primary task.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for result.json and report.html.")
    ] = None,
    json_target: Annotated[
        str | None, typer.Option("--json", help="Write the result record to PATH, or - for stdout.")
    ] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write the report as PDF to PATH.")] = None,
    language: Annotated[
        Literal["en", "ja", "ru"],
        typer.Option("--lang", "--language", help="Language of the report."),
    ] = "en",
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Folder of the database and files.")
    ] = None,
) -> None:
    """Score TRAINEE against GOLD: exit 0 pass, 10 needs review, 11 retrain, 12 fail."""
    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.core.errors import BadSteps, BadUpload
    from sopilot.core.log import configure_logging

    _require_files(BadUpload, gold, trainee, *(further_golds or ()))
    _require_files(BadSteps, *((steps,) if steps else ()))
    settings = load_settings(data_dir=data_dir)
    configure_logging("ERROR", "console")
    with opened(settings) as runtime:
        task_id = task or settings.primary_task_id
        row = _run(runtime, [gold, *(further_golds or ())], trainee, task_id, steps)
        if out is not None:
            from sopilot.sop.page import score_page

            write_json(row.result, str(out / "result.json"))
            write_text(out / "report.html", score_page(runtime, row.id, language))
        if pdf is not None:
            from sopilot.report.pdf import render_score_pdf
            from sopilot.sop.page import score_report

            write_bytes(pdf, render_score_pdf(score_report(runtime, row.id), language))
    _show(row, json_target)
    for path in (out and out / "report.html", pdf):
        if path:
            note(f"report: {path}")
    raise typer.Exit(DECISION_CODES[str(row.decision)])


def _require_files(error: type[InputError], *paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            raise error(f"{path} is a folder; name a file")
        if not path.exists():
            raise error(f"{path} does not exist; check the path")


def _run(
    runtime: Runtime, golds: list[Path], trainee: Path, task_id: str, steps_file: Path | None
) -> ScoreRow:
    """Bring in every file, then score; a bar on stderr shows the stages."""
    from sopilot.cli.local import bring_in, score_now
    from sopilot.core.records import Role

    with progress_bar() as bar:
        gold_rows: list[VideoRow] = []
        steps: tuple[Step, ...] | None = None
        for path in golds:
            row = bring_in(runtime, path, task_id, Role.GOLD, bar.stage(f"gold {path.name}"))
            if steps_file is not None and not gold_rows:
                from sopilot.sop.steps import load_steps

                steps = load_steps(steps_file, row.duration_sec or 0.0)
            gold_rows.append(row)
        stage = bar.stage(f"trainee {trainee.name}")
        trainee_row = bring_in(runtime, trainee, task_id, Role.TRAINEE, stage)
        return score_now(runtime, gold_rows, trainee_row, steps, bar.stage("comparing"))


def _show(row: ScoreRow, json_target: str | None) -> None:
    from sopilot.sop.schemas import ScoreResult
    from sopilot.sop.summary_text import describe

    if json_target is not None:
        write_json(row.result, json_target)
    if json_target != "-":
        first, *rest = describe(ScoreResult.model_validate(row.result)).splitlines()
        typer.secho(first, fg=_COLOURS[str(row.decision)], bold=True)
        for line in rest:
            typer.echo(line)
