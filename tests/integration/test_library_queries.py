"""Lists and look-ups of videos on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from sopilot.core.config import load_settings
from sopilot.core.errors import VideoNotFound, VideoNotReady
from sopilot.core.records import Role
from sopilot.library import queries
from sopilot.library.schemas import Analysis, UploadMeta, VideoFilter
from sopilot.sop.tasks import ensure_task
from sopilot.store.engine import Database

FOUND = Analysis({"fps": 10.0}, {"overall_pass": True}, 12.0, 9, (0, 4, 9), "model-1", "abcd")


def insert(
    connection: Connection, task_id: str, role: Role, site_id: str | None = None, number: int = 0
) -> int:
    ensure_task(connection, load_settings(), task_id)
    return queries.insert_video(
        connection,
        task_id=task_id,
        role=role,
        sha256=f"{number:064x}",
        size_bytes=10,
        meta=UploadMeta(site_id=site_id),
        enforce_quality=False,
    )


@pytest.fixture
def filled(database: Database) -> Database:
    """Seven trainees and two golds in two tasks and sites."""
    with database.write() as connection:
        for number in range(7):
            site_id = "north" if number < 3 else None
            insert(connection, "a" if number < 5 else "b", Role.TRAINEE, site_id, number)
        insert(connection, "a", Role.GOLD, "north", 7)
        insert(connection, "b", Role.GOLD, None, 8)
    return database


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        (VideoFilter(), [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (VideoFilter(task_id="a"), [8, 5, 4, 3, 2, 1]),
        (VideoFilter(site_id="north"), [8, 3, 2, 1]),
        (VideoFilter(is_gold=True), [9, 8]),
        (VideoFilter(is_gold=False, task_id="b"), [7, 6]),
        (VideoFilter(role=Role.GOLD, task_id="b"), [9]),
        (VideoFilter(role=Role.AUDIT), []),
    ],
)
def test_filters_and_totals_agree(filled: Database, chosen: VideoFilter, ids: list[int]) -> None:
    with filled.read() as connection:
        rows, total = queries.list_videos(connection, chosen, 100, 0)
        assert [row.id for row in rows] == ids
        assert total == len(ids)
        paged = [
            row.id
            for offset in range(0, len(ids) + 2, 2)
            for row in queries.list_videos(connection, chosen, 2, offset)[0]
        ]
    assert paged == ids


def test_only_ready_golds_get_versions(filled: Database) -> None:
    with filled.write() as connection:
        second = insert(connection, "a", Role.GOLD, number=20)
        third = insert(connection, "a", Role.GOLD, number=21)
        queries.mark_failed(connection, second, "X", "broken")
        for video_id in (third, 8, 1):
            queries.mark_ready(connection, queries.get_video(connection, video_id), FOUND)
    with filled.read() as connection:
        versions = {v: queries.get_video(connection, v).gold_version for v in (second, third, 8, 1)}
        assert versions == {second: None, third: 1, 8: 2, 1: None}
        first = queries.first_ready_gold(connection, "a")
        assert first is not None
        assert first.id == third
        assert queries.first_ready_gold(connection, "b") is None
        assert queries.clip_totals(connection, 5) == {"a": 27}


def test_a_video_is_found_by_id_and_uid(filled: Database) -> None:
    with filled.read() as connection:
        video = queries.get_video(connection, 3)
        assert queries.get_video(connection, "3") == video
        assert queries.get_video(connection, video.uid.upper()) == video
        for wrong in (0, 99, "-1", "9" * 30, "x", "", "３"):
            with pytest.raises(VideoNotFound):
                queries.get_video(connection, wrong)


def test_videos_that_are_not_ready_say_why(filled: Database) -> None:
    with filled.write() as connection:
        queries.mark_failed(connection, 2, "UNDECODABLE_VIDEO", "cut off at 3 s")
    with filled.read() as connection:
        with pytest.raises(VideoNotReady, match="wait"):
            queries.get_ready_video(connection, 1)
        with pytest.raises(VideoNotReady, match="cut off at 3 s"):
            queries.get_ready_video(connection, 2)


def test_failed_rows_neither_use_content_nor_count_as_duplicates(filled: Database) -> None:
    content = f"{0:064x}"
    with filled.write() as connection:
        assert queries.content_is_used(connection, content)
        assert queries.find_duplicate(connection, content, "a", Role.TRAINEE) is not None
        assert queries.find_duplicate(connection, content, "a", Role.GOLD) is None
        queries.mark_failed(connection, 1, "X", "broken")
        assert not queries.content_is_used(connection, content)
        assert queries.find_duplicate(connection, content, "a", Role.TRAINEE) is None
