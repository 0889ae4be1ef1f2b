"""Administration over HTTP, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from service_parts import open_test_runtime

from sopilot.api.app import create_app
from sopilot.core.errors import StoreError
from sopilot.jobs.queries import claim, enqueue, fail
from sopilot.library.add import INGEST_KIND
from sopilot.ops.restore import verify_backup
from sopilot.runtime import Runtime, close_runtime
from sopilot.store.audit import rows_from
from sopilot.store.tables import ui_sessions

KEY = {"X-API-Key": "admin-key"}


class Caller:
    """Calls the application without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = ASGITransport(app)

    def get(self, path: str, headers: dict[str, str] = KEY) -> Response:
        return asyncio.run(self._send("GET", path, headers))

    def post(self, path: str) -> Response:
        return asyncio.run(self._send("POST", path, KEY))

    async def _send(self, method: str, path: str, headers: dict[str, str]) -> Response:
        async with AsyncClient(transport=self._transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)


@pytest.fixture
def runtime(tmp_path: Path, database_url: str) -> Runtime:
    return open_test_runtime(tmp_path, database_url, api_key="admin-key")


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Caller]:
    app = create_app(runtime.settings, runtime=runtime, with_workers=False)
    app.state.runtime = runtime
    yield Caller(app)
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
    assert {"ingest", "score", "training"} == set(body["jobs"])


@pytest.mark.parametrize("path", ["/admin/db-stats", "/ops/queue", "/api/v1/admin/db-stats"])
def test_administration_is_closed_without_credentials(client: Caller, path: str) -> None:
    assert client.get(path, headers={"X-API-Key": "wrong"}).status_code == 401


def test_a_backup_is_named_without_the_servers_path(client: Caller, runtime: Runtime) -> None:
    answer = client.post("/admin/backup")
    if not runtime.database.is_sqlite:
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "INVALID_STATE")
        return
    assert str(runtime.blobs.root) not in answer.text
    path = runtime.blobs.root / "backups" / answer.json()["name"]
    assert verify_backup(path)["counts"]["audit_log"] == 0
    with runtime.database.read() as connection:
        assert [*rows_from(connection)][-1]["action"] == "backup.made"
