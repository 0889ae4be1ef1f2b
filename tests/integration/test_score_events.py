"""What the end of a score leaves in the outbox, in the transaction of the end itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_parts import add, open_test_runtime, work, write_procedure
from sqlalchemy import select

from sopilot.core.records import Actor, Role
from sopilot.jobs.records import JobState
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop.evaluate import ScoreOrder, submit
from sopilot.store.tables import outbox

HOOK = "http://127.0.0.1:9/hook"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_procedure(tmp_path_factory.mktemp("clips") / "gold.mp4")


def _runtime(folder: Path, clip: Path, hook: str) -> Runtime:
    runtime = open_test_runtime(folder, webhook_url=hook)
    for role in (Role.GOLD, Role.TRAINEE):
        assert work(runtime, add(runtime, clip, role).job.id).state is JobState.COMPLETED
    return runtime


@pytest.fixture
def runtime(tmp_path: Path, clip: Path) -> Iterator[Runtime]:
    opened = _runtime(tmp_path, clip, HOOK)
    yield opened
    close_runtime(opened)


def _score(runtime: Runtime) -> JobState:
    with runtime.database.write() as connection:
        row = submit(runtime, connection, ScoreOrder((1,), 2), Actor("test"))
    return work(runtime, row.job_id).state


def _rows(runtime: Runtime) -> list[Any]:
    with runtime.database.read() as connection:
        return list(connection.execute(select(outbox)))


def test_a_completed_score_is_announced_with_the_documented_fields(runtime: Runtime) -> None:
    assert _score(runtime) is JobState.COMPLETED
    [row] = _rows(runtime)
    assert (row.event, row.state, row.attempt) == ("score.completed", "pending", 0)
    documented = {"job_id", "score", "decision", "task_id", "gold_video_id", "trainee_video_id"}
    assert documented <= set(row.payload)
    assert (row.payload["job_id"], row.payload["decision"]) == (1, "pass")


def test_a_failed_score_is_announced_with_its_code(runtime: Runtime) -> None:
    shutil.rmtree(runtime.blobs.root / "derived")
    assert _score(runtime) is JobState.FAILED
    [row] = _rows(runtime)
    assert (row.event, row.payload["error_code"]) == ("score.failed", "BLOB_NOT_FOUND")


def test_without_an_address_nothing_is_kept(tmp_path: Path, clip: Path) -> None:
    runtime = _runtime(tmp_path, clip, "")
    assert _score(runtime) is JobState.COMPLETED
    assert _rows(runtime) == []
    close_runtime(runtime)
