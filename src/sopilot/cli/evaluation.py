"""`sopilot eval …`: how good findings are, against the truth that a person wrote down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sopilot.cli.output import write_json

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
        Path,
        typer.Argument(help="`{questions: [{question, ranked, truth}]}` of moments with times."),
    ],
    least_tiou: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Overlap from which a moment is a hit.")
    ] = 0.5,
    json_target: Annotated[str, typer.Option("--json", help="PATH, or - for stdout.")] = "-",
) -> None:
    """Recall as hit rate and as coverage, MRR, nDCG, R1 by overlap."""
    from sopilot.evaluation.files import retrieval_figures

    write_json(retrieval_figures(questions, least_tiou), json_target)
