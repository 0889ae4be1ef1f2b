"""Administration over HTTP, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from caller import Caller, app_of
from service_parts import open_test_runtime

from sopilot.api.app import create_app
from sopilot.core.errors import StoreError
from sopilot.jobs.outbox import enqueue_event
from sopilot.jobs.queries import claim, enqueue, fail
from sopilot.library.add import INGEST_KIND
from sopilot.ops.restore import verify_backup
from sopilot.runtime import Runtime, close_runtime
from sopilot.store.audit import rows_from
from sopilot.store.tables import ui_sessions


@pytest.fixture
def runtime(tmp_path: Path, database_url: str) -> Runtime:
    return open_test_runtime(tmp_path, database_url, api_key="admin-key")


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Caller]:
    yield Caller(app_of(runtime))
    close_runtime(runtime)


def _fill(runtime: Runtime, count: int) -> None:
    rows = [
        {
            "token_sha256": f"{number:064d}",
            "actor": "a" * 100,
            "role": "viewer",
            "created_at": "2026-01-01",
            "expires_at": "2026-01-01",
        }
        for number in range(count)
    ]
    with runtime.database.write() as connection:
        connection.execute(ui_sessions.insert(), rows)


def test_db_stats_has_the_documented_tables(client: Caller) -> None:
    body = client.get("/admin/db-stats").json()
    documented = {"videos", "clips", "score_jobs", "score_reviews", "task_profiles"}
    assert documented <= set(body["tables"])
    assert body["db_size_human"].endswith(("KB", "MB"))


def test_db_stats_counts_what_stands_in_the_log_only(client: Caller, runtime: Runtime) -> None:
    before = client.get("/admin/db-stats").json()
    _fill(runtime, 3000)
    after = client.get("/admin/db-stats").json()
    assert after["tables"]["ui_sessions"] == before["tables"]["ui_sessions"] + 3000
    assert after["db_size_bytes"] > before["db_size_bytes"] + 300_000


def test_optimize_gives_space_back_and_is_recorded(client: Caller, runtime: Runtime) -> None:
    _fill(runtime, 3000)
    with runtime.database.write() as connection:
        connection.execute(ui_sessions.delete())
    body = client.post("/admin/optimize").json()
    assert body["status"] == "optimized"
    assert body["size_after_bytes"] < body["size_before_bytes"]
    with runtime.database.read() as connection:
        last = [*rows_from(connection)][-1]
    assert (last["action"], last["actor"]) == ("database.optimized", "token:api")


def test_the_queue_shows_each_job_where_it_is(client: Caller, runtime: Runtime) -> None:
    with runtime.database.write() as connection:
        for _ in range(3):
            enqueue(connection, INGEST_KIND, {}, requested_by="test")
        retried = claim(connection, "me", 30, kinds=[INGEST_KIND])
        ended = claim(connection, "me", 30, kinds=[INGEST_KIND])
        assert retried is not None
        assert ended is not None
        fail(connection, retried, StoreError("later"), 600.0)
        fail(connection, ended, StoreError("never"), None)
    body = client.get("/ops/queue").json()
    ingest = next(item for item in body["queue"]["queues"] if item["key"] == "ingest")
    assert (ingest["queued"], ingest["scheduled"], ingest["failed"]) == (2, 1, 1)
    assert body["jobs"]["ingest"]["total"] == 3
    kinds = {"ingest", "score", "training", "incident", "vigil", "detect"}
    assert set(body["jobs"]) == kinds


def test_the_queue_says_what_carries_it_and_who_works(client: Caller, runtime: Runtime) -> None:
    with runtime.database.write() as connection:
        enqueue_event(connection, "score.completed", {})
    body = client.get("/ops/queue").json()
    assert body["queue"] | {"queues": []} == {
        "backend": "inline", "redis_ok": None, "error": None, "queues": [],
    }  # fmt: skip
    assert body["runtime_mode"] == "external"
    assert body["webhooks"] == {"pending": 1, "delivered": 0, "dead": 0}
    embedded = create_app(runtime.settings, runtime=runtime)
    embedded.state.runtime = runtime
    assert Caller(embedded).get("/ops/queue").json()["runtime_mode"] == "embedded"


@pytest.mark.parametrize("path", ["/admin/db-stats", "/ops/queue", "/api/v1/admin/db-stats"])
def test_administration_is_closed_without_credentials(client: Caller, path: str) -> None:
    assert client.get(path, headers={"X-API-Key": "wrong"}).status_code == 401


def test_backups_of_one_second_each_have_a_name(
    client: Caller, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopilot.ops.backup._stem", lambda: "sopilot_backup_20260101_000000")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: client.post("/admin/backup"), range(3)))
    assert {answer.status_code for answer in answers} == {200}
    names = {f"sopilot_backup_20260101_000000{end}.zip" for end in ("", "-2", "-3")}
    assert {answer.json()["name"] for answer in answers} == names
    folder = runtime.blobs.root / "backups"
    assert {path.name for path in folder.iterdir()} == names
    for name in names:
        verify_backup(folder / name)


def test_a_disk_that_fails_is_told_without_the_servers_path(
    client: Caller, runtime: Runtime
) -> None:
    (runtime.blobs.root / "backups").touch()  # where the folder should be
    answer = client.post("/admin/backup")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "TRANSIENT_ERROR")
    assert answer.json()["detail"].startswith("backups cannot be read or written")
    assert str(runtime.blobs.root) not in answer.text


def test_a_backup_is_named_without_the_servers_path(client: Caller, runtime: Runtime) -> None:
    answer = client.post("/admin/backup")
    assert answer.status_code == 200
    assert str(runtime.blobs.root) not in answer.text
    path = runtime.blobs.root / "backups" / answer.json()["name"]
    assert verify_backup(path)["counts"]["audit_log"] == 0
    with runtime.database.read() as connection:
        assert [*rows_from(connection)][-1]["action"] == "backup.made"
