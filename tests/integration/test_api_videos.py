"""Changing, deleting, filtering and counting videos over HTTP, and how long an upload waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from httpx import Client, Response
from service_parts import open_test_runtime, work, write_procedure
from test_api_service import serving

from sopilot.api.app import create_app
from sopilot.runtime import Runtime


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_procedure(tmp_path_factory.mktemp("clips") / "bench.mp4")


@contextmanager
def running(tmp_path: Path, **changes: object) -> Iterator[tuple[Client, Runtime]]:
    """A service on which nobody works."""
    runtime = open_test_runtime(tmp_path, auth_required="false", **changes)
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        yield client, runtime


def upload(client: Client, clip: Path, **fields: str) -> Response:
    with clip.open("rb") as stream:
        return client.post("/videos", files={"file": (clip.name, stream)}, data=fields)


def test_the_mode_async_never_waits(tmp_path: Path, clip: Path) -> None:
    with running(tmp_path, ingest_mode="async") as (client, _):
        answer = upload(client, clip)
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        assert answer.headers["Location"].endswith(answer.json()["ingest_job_id"])


def test_the_mode_auto_waits_as_long_as_it_is_told(tmp_path: Path, clip: Path) -> None:
    with running(tmp_path, ingest_mode="auto", ingest_wait_seconds=0.2) as (client, _):
        assert upload(client, clip).status_code == 202


def test_a_video_is_changed_filtered_counted_and_deleted(tmp_path: Path, clip: Path) -> None:
    with running(tmp_path, ingest_mode="async") as (client, runtime):
        upload(client, clip, site_id="north", operator_id_hash="op1")
        assert client.get("/videos?status=processing").json()["total"] == 1
        assert client.delete("/videos/1").status_code == 409
        work(runtime, 1)
        changed = client.patch("/videos/1", json={"site_id": "south", "camera_id": None})
        assert (changed.json()["site_id"], changed.json()["operator_id_hash"]) == ("south", "op1")
        page = client.get("/videos?site_id=south&operator_id_hash=op1&limit=1").json()
        assert (page["total"], page["has_more"]) == (1, False)
        assert client.get("/videos?site_id=north").json()["total"] == 0
        summary = client.get("/dataset/summary").json()
        assert summary["target"] == {"gold": 20, "trainee": 50}
        assert summary["progress"] == {"gold_pct": 0.0, "trainee_pct": 2.0}
        assert (summary["ready_videos"], summary["by_site"]) == (1, {"south": 1})
        gone = client.delete("/videos/1").json()
        assert (gone["video_id"], gone["task_id"], gone["deleted"]) == (1, "pilot_task", True)
        assert len(gone["removed_files"]) == 4
        assert client.get("/videos/1").status_code == 404
        assert client.delete("/videos/1").status_code == 404


@pytest.mark.parametrize("body", [{"site_id": "x" * 129}, {"site_id": 3}, {"role": "gold"}, []])
def test_a_bad_change_is_refused(tmp_path: Path, body: object) -> None:
    with running(tmp_path) as (client, _):
        assert client.patch("/videos/1", json=body).status_code == 422


def test_an_unknown_task_has_no_summary(tmp_path: Path) -> None:
    with running(tmp_path) as (client, _):
        assert client.get("/dataset/summary?task_id=other").status_code == 404
