"""The analytics benchmark measures an installation that the analytics can read."""

from __future__ import annotations

from pathlib import Path

from benchmarks.analytics import STEP_COUNT, fill
from sopilot.sop import analytics
from sopilot.sop.analytics_queries import ScoreFilter
from sopilot.store.engine import open_database


def test_what_is_filled_in_is_what_is_counted(tmp_path: Path) -> None:
    fill(tmp_path, 40)
    database = open_database(f"sqlite:///{tmp_path / 'sopilot.db'}")
    with database.read() as connection:
        found = analytics.overview(connection, ScoreFilter(task_id="pilot_task"))
        steps = analytics.step_figures(connection, ScoreFilter())
    database.close()
    assert (found.total.job_count, found.open_count) == (40, 0)
    assert found.agreement.reviewed_count >= 1
    assert (steps.total_jobs, len(steps.counts)) == (40, STEP_COUNT)
