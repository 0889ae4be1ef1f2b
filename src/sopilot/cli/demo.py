"""`sopilot demo`: film a procedure with known mistakes, score the films, show truth and finding.

Filming and the job engine's own workers share the machine's cores; what is left behind is an
ordinary data folder that `sopilot serve` opens.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sopilot.cli.output import ExitCode, note, progress_bar, write_json, write_text

if TYPE_CHECKING:
    from sopilot.core.records import Role, Step
    from sopilot.evaluation.demo import PlannedFilm, TruthRow
    from sopilot.jobs.records import Job
    from sopilot.runtime import Runtime

TASK_ID = "demo"
_POLL_SEC = 0.1


def demo(
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Folder for films, database and reports.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed films another procedure.")] = 20,
    json_target: Annotated[
        str | None, typer.Option("--json", help="Write the truth table to PATH, or - for stdout.")
    ] = None,
) -> None:
    """Film one gold and twelve trainees, score them all and print truth against finding."""
    from sopilot.cli.local import opened
    from sopilot.core.config import load_settings
    from sopilot.core.log import configure_logging
    from sopilot.evaluation.demo import demo_suite

    started = time.monotonic()
    cores = max(1, len(os.sched_getaffinity(0)))
    settings = load_settings(
        data_dir=data_dir, score_workers=cores, log_level="ERROR", log_format="console"
    )
    configure_logging(settings.log_level, settings.log_form)
    suite = demo_suite(seed)
    with opened(settings) as runtime, _filming(cores) as pool, progress_bar() as bar:
        films = _film_all(pool, suite, data_dir / "films")
        found = _score_all(runtime, suite, films, bar.stage("filming and scoring"))
        rows = _write_reports(runtime, suite[1:], found)
    if json_target is not None:
        write_json([asdict(row) for row in rows], json_target)
    if json_target != "-":
        _show(rows)
    _say_where(data_dir, rows, time.monotonic() - started)
    raise typer.Exit(ExitCode.OK if all(row.agrees for row in rows) else ExitCode.CHECK_FAILED)


@contextmanager
def _filming(cores: int) -> Iterator[ProcessPoolExecutor]:
    # Spawned, not forked: the runtime of this process must not be shared with its children.
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        yield pool


def _film_all(
    pool: ProcessPoolExecutor, suite: Sequence[PlannedFilm], folder: Path
) -> list[Future[Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    return [pool.submit(film_one, planned, folder) for planned in suite]


def film_one(planned: PlannedFilm, folder: Path) -> Path:
    """Draw and encode one film (in a child process); a finished file of the same plan is kept."""
    import cv2

    from sopilot.evaluation.demo import film_planned
    from sopilot.evaluation.generated.film import write_film
    from sopilot.store.whole_files import place, staged_file

    cv2.setNumThreads(1)  # the films are drawn side by side already
    path = folder / f"{planned.suite_seed:03d}-{planned.name}.mp4"
    if not path.exists():
        with staged_file(folder, path.suffix) as staged:
            write_film(film_planned(planned), staged)
            place(staged, path)
    return path


def _score_all(
    runtime: Runtime,
    suite: Sequence[PlannedFilm],
    films: Sequence[Future[Path]],
    progress: Any,
) -> list[tuple[int, Mapping[str, Any]]]:
    """(score id, result record) of every trainee, through the job engine's own workers."""
    from sopilot.cli.local import score_order
    from sopilot.worker import embedded_pool

    _define_steps(runtime, suite)
    video_ids: dict[int, int] = {}
    jobs: dict[int, int] = {}
    score_ids: dict[int, int] = {}
    with embedded_pool(runtime.settings):
        for position, (planned, film) in enumerate(zip(suite, films, strict=True)):
            video_ids[position], jobs[position] = _add(runtime, film.result(), planned.role)
            progress(0.5 * (position + 1) / len(suite))
        for position in range(len(suite)):
            _finish(runtime, jobs[position])
            if position > 0:
                row = score_order(runtime, [video_ids[0]], video_ids[position])
                score_ids[position], jobs[position] = row.id, row.job_id
        found = []
        for position, score_id in score_ids.items():
            _finish(runtime, jobs[position])
            found.append((score_id, _result(runtime, score_id)))
            progress(0.5 + 0.5 * position / (len(suite) - 1))
    return found


def _define_steps(runtime: Runtime, suite: Sequence[PlannedFilm]) -> None:
    """The task's step definitions: names, and bounds in the gold as the generator drew them."""
    from sopilot.cli.local import requester
    from sopilot.evaluation.demo import film_planned
    from sopilot.evaluation.generated.film import gold_steps
    from sopilot.sop.tasks import replace_steps

    steps: tuple[Step, ...] = gold_steps(film_planned(suite[0]))
    with runtime.database.write() as connection:
        replace_steps(connection, runtime.settings, TASK_ID, steps, requester())


def _add(runtime: Runtime, path: Path, role: Role) -> tuple[int, int]:
    from sopilot.cli.local import queue_file

    added = queue_file(runtime, path, TASK_ID, role)
    return added.video.id, added.job.id


def _finish(runtime: Runtime, job_id: int) -> Job:
    from sopilot.cli.local import require_success
    from sopilot.jobs.transport import wait_until_finished

    job = wait_until_finished(
        runtime.database, job_id, timeout_sec=float("inf"), poll_sec=_POLL_SEC
    )
    require_success(job, f"job {job_id}")
    return job


def _result(runtime: Runtime, score_id: int) -> Mapping[str, Any]:
    from sopilot.sop.queries import get_score

    with runtime.database.read() as connection:
        row = get_score(connection, score_id)
    assert row.result is not None
    return row.result


def _write_reports(
    runtime: Runtime,
    trainees: Sequence[PlannedFilm],
    found: Sequence[tuple[int, Mapping[str, Any]]],
) -> list[TruthRow]:
    """A page and a record per trainee, and the truth beside each finding."""
    from sopilot.evaluation.demo import truth_row
    from sopilot.sop.page import score_page

    folder = runtime.settings.data_dir / "reports"
    rows = []
    for planned, (score_id, result) in zip(trainees, found, strict=True):
        write_text(folder / f"{planned.name}.html", score_page(runtime, score_id))
        write_json(result, str(folder / f"{planned.name}.json"))
        rows.append(truth_row(planned, result))
    return rows


def _show(rows: Sequence[TruthRow]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Truth against finding", title_justify="left", show_edge=False)
    for heading in ("film", "truth", "found"):
        table.add_column(heading, overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("decision")
    table.add_column("agrees")
    for row in rows:
        agrees = "yes" if row.agrees else "[bold red]no[/]"
        agrees += f", {row.extra_count} too many" if row.extra_count else ""
        table.add_row(row.name, row.truth, row.finding, f"{row.score:.1f}", row.decision, agrees)
    console = Console()
    # Into a file or pipe: wide enough that a row stays readable.
    Console(width=console.width if console.is_terminal else 140).print(table)


def _say_where(data_dir: Path, rows: Sequence[TruthRow], seconds: float) -> None:
    agreeing = sum(row.agrees for row in rows)
    note("")
    extra = sum(row.extra_count for row in rows)
    note(f"{agreeing} of {len(rows)} films were judged as they are, in {seconds:.0f} s;")
    note(f"{extra} findings besides the true ones.")
    note(f"Reports: {data_dir / 'reports'} (open {data_dir / 'reports' / 'missing-step.html'})")
    note(f"The service on the same data: {_command()} serve --data-dir {data_dir}")


def _command() -> str:
    """How this program was called, so that the advice can be copied."""
    import sys

    return sys.argv[0] if sys.argv[0].endswith("sopilot") else "sopilot"
