"""Deleting and correcting videos on both databases: nothing is left, everything is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_parts import (
    add,
    files_below,
    work,
    write_procedure,
)
from sqlalchemy import Table, func, select

from sopilot.core.errors import Conflict, VideoNotFound
from sopilot.core.records import Actor, Role
from sopilot.jobs import queries as jobs
from sopilot.jobs.records import JobState
from sopilot.library import queries as library
from sopilot.runtime import Runtime
from sopilot.sop.evaluate import ScoreOrder, submit
from sopilot.sop.forget import Forgotten, change_video, delete_video
from sopilot.store import tables
from sopilot.store.audit import rows_from

ADMIN = Actor("token:admin", "admin")


def delete(runtime: Runtime, video_id: int, *, is_forced: bool = False) -> Forgotten:
    with runtime.database.write() as connection:
        return delete_video(runtime, connection, video_id, ADMIN, is_forced=is_forced)


def order(runtime: Runtime, golds: tuple[int, ...] = (1,)) -> int:
    with runtime.database.write() as connection:
        return submit(runtime, connection, ScoreOrder(golds, 2), Actor("test")).job_id


def rows(runtime: Runtime, table: Table) -> int:
    with runtime.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def audited(runtime: Runtime, action: str) -> list[dict[str, object]]:
    with runtime.database.read() as connection:
        return [row for row in rows_from(connection) if row["action"] == action]


def test_a_forced_deletion_leaves_no_row_and_no_file(runtime: Runtime) -> None:
    work(runtime, order(runtime))
    with runtime.database.write() as connection:
        connection.execute(
            tables.score_reviews.insert().values(
                score_id=1, verdict="pass", reviewer="x", created_at="t", updated_at="t"
            )
        )
    assert rows(runtime, tables.score_steps) > 0
    assert delete(runtime, 1, is_forced=True).score_ids == (1,)
    delete(runtime, 2)
    for table in (
        tables.videos,
        tables.scores,
        tables.score_reviews,
        tables.score_steps,
        tables.derived,
        tables.jobs,
    ):
        assert rows(runtime, table) == 0, table.name
    assert files_below(runtime.blobs.root) == set()


def test_a_deletion_names_the_files_that_went(runtime: Runtime) -> None:
    before = files_below(runtime.blobs.root)
    removed = set(delete(runtime, 2).files)
    assert removed
    assert before - files_below(runtime.blobs.root) == removed


def test_a_video_in_a_score_stays_without_force(runtime: Runtime) -> None:
    order(runtime)
    before = files_below(runtime.blobs.root)
    with pytest.raises(Conflict, match=r"scores 1; .*force=true") as caught:
        delete(runtime, 2)
    assert caught.value.details["score_job_ids"] == [1]
    assert (rows(runtime, tables.videos), rows(runtime, tables.scores)) == (2, 1)
    assert files_below(runtime.blobs.root) == before
    assert audited(runtime, "video.deleted") == []


def test_a_later_gold_of_a_score_counts_as_used(runtime: Runtime, clips: dict[str, Path]) -> None:
    other = add(runtime, clips["gold"], Role.GOLD, is_forced=True)
    work(runtime, other.job.id)
    order(runtime, (1, other.video.id))
    with pytest.raises(Conflict):
        delete(runtime, other.video.id)


def test_bytes_go_with_their_last_row(runtime: Runtime, clips: dict[str, Path]) -> None:
    other = add(runtime, clips["gold"], Role.GOLD, is_forced=True)
    work(runtime, other.job.id)
    before = files_below(runtime.blobs.root)
    assert delete(runtime, 1).files == ()
    assert files_below(runtime.blobs.root) == before
    assert len(delete(runtime, other.video.id).files) == 4


def test_a_video_that_waits_for_its_analysis_needs_force(
    runtime: Runtime, clips: dict[str, Path]
) -> None:
    waiting = add(runtime, clips["gold"])
    with pytest.raises(Conflict, match="still being analysed"):
        delete(runtime, waiting.video.id)
    delete(runtime, waiting.video.id, is_forced=True)
    with runtime.database.read() as connection, pytest.raises(VideoNotFound):
        library.get_video(connection, waiting.video.id)


def test_a_worker_that_analyses_a_deleted_video_leaves_nothing(
    runtime: Runtime, clips: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sopilot.library import ingest

    path = write_procedure(tmp_path / "new.mp4", (1, 0), 4.0)
    before = files_below(runtime.blobs.root)
    points = [runtime.vectors.count(one) for one in runtime.vectors.collections()]
    added = add(runtime, path)
    found = ingest._analysis

    def delete_meanwhile(*given: object) -> object:
        delete(runtime, added.video.id, is_forced=True)
        return found(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(ingest, "_analysis", delete_meanwhile)
    with pytest.raises(Exception, match=f"no job {added.job.id}"):
        work(runtime, added.job.id)
    assert files_below(runtime.blobs.root) == before
    assert [runtime.vectors.count(one) for one in runtime.vectors.collections()] == points
    with runtime.database.read() as connection:
        assert jobs.count_jobs(connection).get(("video.ingest", JobState.RUNNING), 0) == 0


def test_a_deletion_is_audited(runtime: Runtime) -> None:
    delete(runtime, 2)
    [row] = audited(runtime, "video.deleted")
    assert (row["actor"], row["resource"], row["task_id"]) == (
        "token:admin",
        "video:2",
        "pilot_task",
    )


def test_a_change_leaves_what_is_not_given_and_is_audited(runtime: Runtime) -> None:
    with runtime.database.write() as connection:
        change_video(connection, 2, {"site_id": "north", "camera_id": "c1"}, ADMIN)
        video = change_video(connection, 2, {"site_id": "south"}, ADMIN)
    assert (video.site_id, video.camera_id, video.operator_id_hash) == ("south", "c1", None)
    assert audited(runtime, "video.changed")[1]["detail"] == {"site_id": ["north", "south"]}


def test_a_change_that_changes_nothing_is_not_recorded(runtime: Runtime) -> None:
    with runtime.database.write() as connection:
        change_video(connection, 2, {"site_id": "north"}, ADMIN)
        change_video(connection, 2, {"site_id": "north"}, ADMIN)
    assert len(audited(runtime, "video.changed")) == 1


def test_the_figures_of_a_task_count_roles_and_sites(runtime: Runtime) -> None:
    with runtime.database.write() as connection:
        change_video(connection, 2, {"site_id": "north"}, ADMIN)
        found = library.dataset_figures(connection, "pilot_task")
    assert (found.total_count, found.gold_count, found.trainee_count) == (2, 1, 1)
    assert (found.ready_count, found.by_site) == (2, {"": 1, "north": 1})
