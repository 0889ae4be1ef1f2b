"""`sopilot eval …`: how good findings are, against the truth that a person wrote down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sopilot.cli.options import DataDir
from sopilot.cli.output import ExitCode, note, write_json

app = typer.Typer(help="Figures of findings against truth.", no_args_is_help=True)


@app.command("detection")
def detection(
    found: Annotated[
        list[Path], typer.Argument(help="Files that `sopilot incidents analyze --json` wrote.")
    ],
    truth: Annotated[
        Path, typer.Option(help='`{"videos": {"<sha256>": [{event_type, start_time, end_time}]}}`.')
    ],
    live_score: Annotated[
        float | None, typer.Option(help="Threshold in use; without one every event is an alarm.")
    ] = None,
    tolerance_sec: Annotated[
        float | None, typer.Option(min=0.0, help="How far an instant may be missed.")
    ] = None,
    json_target: Annotated[str, typer.Option("--json", help="PATH, or - for stdout.")] = "-",
) -> None:
    """Precision, recall, F1, average precision, false alarms per hour really analysed, delay."""
    from sopilot.evaluation.files import detection_figures

    figures = detection_figures(found, truth, live_score=live_score, tolerance_sec=tolerance_sec)
    write_json(figures, json_target)


@app.command("retrieval")
def retrieval(
    questions: Annotated[
        Path, typer.Argument(help="`{questions: [{question, truth, ranked}], floors}`.")
    ],
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask the installation, with search and answer.")
    ] = False,
    least_tiou: Annotated[
        float | None,
        typer.Option(min=0.01, max=1.0, help="Overlap of a hit, in place of the file's."),
    ] = None,
    json_target: Annotated[str, typer.Option("--json", help="PATH, or - for stdout.")] = "-",
    data_dir: DataDir = None,
) -> None:
    """Recall as hit rate and as coverage, MRR, mAP, nDCG, R1 by overlap; of answers abstention and
    faithfulness. Exit 3 where a floor of the file is not reached."""
    from sopilot.evaluation.files import read_questions, retrieval_figures

    asked = read_questions(questions)
    if least_tiou is not None:
        asked = asked.model_copy(update={"least_tiou": least_tiou})
    if ask:
        from sopilot.cli.asking import answered_by_installation
        from sopilot.cli.local import opened
        from sopilot.core.config import load_settings

        with opened(load_settings(data_dir=data_dir)) as runtime:
            asked = answered_by_installation(runtime, asked)
    figures = retrieval_figures(asked)
    write_json(figures, json_target)
    for text in figures["missed_floors"]:
        note(text)
    if figures["missed_floors"]:
        raise typer.Exit(ExitCode.CHECK_FAILED)
