"""What monitoring sees over HTTP, of an installation that works and of one that does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caller import KEY, Caller, app_of
from service_parts import open_test_runtime
from sqlalchemy import text

from sopilot.core.errors import ModelError, StoreError
from sopilot.embed.color_motion import ColorMotionEmbedder
from sopilot.jobs.queries import enqueue
from sopilot.library.add import INGEST_KIND
from sopilot.runtime import Runtime, close_runtime

BARE: dict[str, str] = {}


@pytest.fixture
def runtime(tmp_path: Path, database_url: str) -> Iterator[Runtime]:
    opened = open_test_runtime(tmp_path, database_url, api_key=KEY["X-API-Key"])
    yield opened
    close_runtime(opened)


@pytest.fixture
def client(runtime: Runtime) -> Caller:
    return Caller(app_of(runtime))


def _lose_tables(runtime: Runtime) -> None:
    with runtime.database.write() as connection:
        connection.execute(text("DROP TABLE alembic_version"))


def test_an_installation_that_works_says_so_to_everybody(client: Caller) -> None:
    health = client.get("/health", BARE)
    assert (health.status_code, health.json()["status"]) == (200, "healthy")
    assert set(health.json()["checks"]) == {"database", "disk", "embedder"}
    ready = client.get("/readiness", BARE)
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert set(ready.json()["details"].values()) == {"ok"}


STATS = {
    "requests_total": 0,
    "primary_successes_total": 0,
    "fallback_uses_total": 0,
    "failure_capsules_total": 0,
    "failed_over": False,
    "permanently_failed": False,
    "retry_interval_seconds": 0.0,
}


def test_status_has_the_documented_fields(client: Caller, runtime: Runtime) -> None:
    with runtime.database.write() as connection:
        for _ in range(3):
            enqueue(connection, INGEST_KIND, {}, requested_by="test")
    body = client.get("/status").json()
    assert body == {
        "version": body["version"],
        "primary_task_id": "pilot_task",
        "embedder": "color-motion-v2",
        "embedder_stats": STATS,
        "queue_depth": 3,
        "data_dir": str(runtime.blobs.root),
    }
    assert client.get("/status", BARE).json()["data_dir"] is None


@pytest.mark.parametrize("prefix", ["", "/api/v1", "/sop"])
def test_without_a_database_nothing_is_healthy_or_ready(
    client: Caller, runtime: Runtime, prefix: str
) -> None:
    _lose_tables(runtime)
    health = client.get(f"{prefix}/health", BARE)
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert health.json()["db"] is False
    assert health.json()["checks"]["database"] == {"status": "down", "latency_ms": None}
    ready = client.get(f"{prefix}/readiness", BARE)
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ready.json()["details"] == {"database": "unavailable", "embedder": "ok", "disk": "ok"}


def _no_folder(runtime: Runtime) -> Runtime:
    shutil.rmtree(runtime.blobs.root)
    return runtime


class Broken(ColorMotionEmbedder):
    """An embedder that cannot say what it is, because its model cannot be loaded."""

    def producer_for(self, role: Any) -> Any:
        raise ModelError("the weights are not there")


@pytest.mark.parametrize(
    ("spoil", "lacking"),
    [(_no_folder, "disk"), (lambda runtime: replace(runtime, embedder=Broken()), "embedder")],
    ids=["disk", "embedder"],
)
def test_a_part_that_fails_is_degraded_and_not_ready(
    tmp_path: Path, spoil: Callable[[Runtime], Runtime], lacking: str
) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    runtime = open_test_runtime(tmp_path, url, api_key=KEY["X-API-Key"])
    client = Caller(app_of(spoil(runtime)))
    health = client.get("/health", BARE)
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["checks"][lacking]["status"] == "down"
    ready = client.get("/readiness", BARE)
    assert (ready.status_code, ready.json()["details"][lacking]) == (503, "unavailable")
    assert [client.get(path, BARE).status_code for path in ("/status", "/metrics")] == [200, 200]
    close_runtime(runtime)


def test_a_status_that_cannot_be_read_is_one_envelope(
    client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> Any:
        raise StoreError("the database does not answer")

    monkeypatch.setattr("sopilot.api.health.count_jobs", refuse)
    answer = client.get("/status", BARE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "TRANSIENT_ERROR")
    assert answer.headers["retry-after"]
