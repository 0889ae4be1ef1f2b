"""`python -m sopilot.seed`: real films through the real ingest, once."""

from __future__ import annotations

from pathlib import Path

from service_parts import open_test_runtime

from sopilot.library import queries as library
from sopilot.runtime import close_runtime
from sopilot.seed import TASK_ID, seed
from sopilot.sop.queries import list_steps


def test_seeding_twice_makes_the_same_videos_once(tmp_path: Path) -> None:
    runtime = open_test_runtime(tmp_path)
    first = seed(runtime, ("gold",))
    again = seed(runtime, ("gold",))
    with runtime.database.read() as connection:
        video = library.get_ready_video(connection, first[0])
        steps = list_steps(connection, TASK_ID)
    close_runtime(runtime)
    assert (len(first), again) == (1, [])
    assert (video.task_id, video.is_gold, video.site_id) == (TASK_ID, True, "seed")
    assert len(steps) == 5
