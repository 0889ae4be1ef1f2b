"""`python -m sopilot.seed [--reset]`: a gold and trainees to look at, through the real ingest.

Films are drawn (`evaluation.generated`), so their features are real; the older product inserted
invented vectors. What is there already is not filmed again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sopilot.core.config import load_settings
from sopilot.core.errors import SopilotError
from sopilot.core.log import configure_logging
from sopilot.core.records import Actor
from sopilot.evaluation.demo import PlannedFilm, demo_suite, film_planned
from sopilot.evaluation.generated.film import gold_steps, write_film
from sopilot.jobs.loop import run_until_finished
from sopilot.library import queries as library
from sopilot.library.add import Upload, add_file
from sopilot.library.schemas import UploadMeta, VideoFilter, VideoRow, VideoStatus
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.forget import delete_video
from sopilot.sop.tasks import replace_steps, task_opener
from sopilot.worker import kinds_of

TASK_ID = SITE_ID = "seed"
BY = Actor("cli:seed", "admin")
NAMES = ("gold", "good-1", "missing-step", "swapped-steps", "over-time")


def seed(runtime: Runtime, names: tuple[str, ...] = NAMES) -> list[int]:
    """Bring in the films that are not there yet; the ids of the new videos."""
    known = {row.original_filename for row in _seeded(runtime) if row.status is VideoStatus.READY}
    plans = [plan for plan in demo_suite() if plan.name in names and _file_name(plan) not in known]
    with tempfile.TemporaryDirectory() as folder:
        added = [_bring_in(runtime, plan, Path(folder)) for plan in plans]
    return added


def reset(runtime: Runtime) -> int:
    """Delete what seeding brought in, with its scores and files; how many videos.

    Nothing else goes: what other people put into the task has another site.
    """
    count = 0
    while rows := _seeded(runtime):
        for row in rows:
            with runtime.database.write() as connection:
                delete_video(runtime, connection, row.id, BY, is_forced=True)
        count += len(rows)
    return count


def _seeded(runtime: Runtime) -> Sequence[VideoRow]:
    chosen = VideoFilter(task_id=TASK_ID, site_id=SITE_ID)
    with runtime.database.read() as connection:
        return library.list_videos(connection, chosen, 1000, 0)[0]


def _bring_in(runtime: Runtime, plan: PlannedFilm, folder: Path) -> int:
    path = folder / _file_name(plan)
    film = film_planned(plan)
    write_film(film, path)
    meta = UploadMeta(original_filename=path.name, site_id=SITE_ID, operator_id_hash=plan.name)
    opener = task_opener(runtime.settings)
    upload = Upload(TASK_ID, plan.role, meta)
    added = add_file(runtime, path, upload, open_task=opener, by=BY)
    if plan.name == "gold":
        with runtime.database.write() as connection:
            replace_steps(connection, runtime.settings, TASK_ID, gold_steps(film), BY)
    run_until_finished(runtime.database, kinds_of(runtime), added.job.id)
    return added.video.id


def _file_name(plan: PlannedFilm) -> str:
    return f"seed-{plan.name}.mp4"


def main(given: list[str] | None = None) -> int:
    """Seed the data folder of the environment; the exit status."""
    parser = argparse.ArgumentParser(prog="sopilot.seed", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument(
        "--reset", action="store_true", help="delete what seeding brought in, then seed anew"
    )
    options = parser.parse_args(given)
    try:
        settings = load_settings(data_dir=options.data_dir)
        configure_logging(settings.log_level, settings.log_form)
        runtime = open_runtime(settings)
        try:
            removed = reset(runtime) if options.reset else 0
            added = seed(runtime)
        finally:
            close_runtime(runtime)
    except SopilotError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)  # noqa: T201
        return 1
    if options.reset:
        print(f"{removed} videos removed from task {TASK_ID}")  # noqa: T201
    print(f"{len(added)} videos added to task {TASK_ID}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
