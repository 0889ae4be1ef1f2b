"""`python -m sopilot.seed`: real films through the real ingest, once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from service_parts import add, files_below, open_test_runtime

from sopilot import seed as seeding
from sopilot.core.errors import ScoreNotFound
from sopilot.library import queries as library
from sopilot.library.schemas import VideoFilter
from sopilot.runtime import close_runtime
from sopilot.seed import TASK_ID, seed
from sopilot.sop.evaluate import ScoreOrder, submit
from sopilot.sop.queries import get_score, list_steps
from sopilot.store.audit import rows_from


@pytest.fixture
def logging_kept() -> Iterator[None]:
    """A main program sets up the logs of its process, which is the tests' here."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


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


@pytest.mark.usefixtures("logging_kept")
def test_a_reset_removes_what_was_seeded_with_its_scores_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(seeding.seed, "__defaults__", (("gold",),))
    runtime = open_test_runtime(tmp_path)
    (tmp_path / "mine.mp4").write_bytes(b"mine" * 1000)
    mine = add(runtime, tmp_path / "mine.mp4", task_id=TASK_ID).video
    before = files_below(runtime.blobs.root)
    [gold] = seed(runtime)
    with runtime.database.write() as connection:
        order = ScoreOrder((gold,), gold)
        score = submit(runtime, connection, order, seeding.BY)
    assert seeding.reset(runtime) == 1
    assert files_below(runtime.blobs.root) == before
    with runtime.database.read() as connection:
        rows, _ = library.list_videos(connection, VideoFilter(), 10, 0)
        with pytest.raises(ScoreNotFound):
            get_score(connection, score.id)
        assert [row["action"] for row in rows_from(connection)][-1] == "video.deleted"
    assert [row.id for row in rows] == [mine.id]
    close_runtime(runtime)
    capsys.readouterr()
    assert seeding.main(["--reset", "--data-dir", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "0 videos removed from task seed",
        "1 videos added to task seed",
    ]
