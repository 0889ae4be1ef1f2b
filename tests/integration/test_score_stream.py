"""A score's progress over a real connection, across a restart of the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest
import uvicorn
from httpx import Client
from service_parts import add, open_test_runtime, work, write_procedure

from sopilot.api import limits
from sopilot.api.app import create_app
from sopilot.core.records import Actor, Role
from sopilot.runtime import close_runtime
from sopilot.sop.evaluate import ScoreOrder, submit


@contextmanager
def server_on(folder: Path) -> Iterator[tuple[Client, uvicorn.Server]]:
    """A server without workers on a data folder, as `sopilot serve` makes it."""
    app = create_app(runtime=open_test_runtime(folder, api_key="secret"), with_workers=False)
    listener = socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=10)
    server = uvicorn.Server(config)
    app.state.is_stopping = lambda: server.should_exit
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(base_url=base, headers={"X-API-Key": "secret"}, timeout=30) as client:
            yield client, server
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with one queued score."""
    runtime = open_test_runtime(tmp_path)
    path = write_procedure(tmp_path / "gold.mp4", (0, 1), 4.0)
    work(runtime, add(runtime, path, Role.GOLD).job.id)
    with runtime.database.write() as connection:
        submit(runtime, connection, ScoreOrder((1,), 1), Actor("test"))
    close_runtime(runtime)
    return tmp_path


def test_a_stream_ends_with_its_server_and_goes_on_at_the_next(folder: Path) -> None:
    address = "/score/1/stream?poll_interval=0.5"
    heard: list[str] = []
    with server_on(folder) as (client, server), client.stream("GET", address) as response:
        assert response.headers["cache-control"] == "no-cache"
        for line in response.iter_lines():
            heard.append(line)
            if line.startswith("id: "):
                stopped_at = time.monotonic()
                server.should_exit = True
    assert time.monotonic() - stopped_at < 5.0
    assert "retry: 2000" in heard
    [last_id] = [line.removeprefix("id: ") for line in heard if line.startswith("id: ")]
    with server_on(folder) as (client, _):
        assert client.post("/score/1/cancel").json()["status"] == "cancelled"
        text = client.get(address, headers={"Last-Event-ID": last_id}).text
    told = [line for line in text.splitlines() if line.startswith("data: ")]
    assert len(told) == 2
    assert '"status":"cancelled"' in told[0]
    assert '"final_status":"cancelled"' in told[1]


def test_a_client_that_leaves_does_not_hold_the_server(folder: Path) -> None:
    with server_on(folder) as (client, server):
        with client.stream("GET", "/score/1/stream") as response:
            next(response.iter_lines())
        deadline = time.monotonic() + 10
        while server.server_state.connections and time.monotonic() < deadline:
            time.sleep(0.05)
        assert client.get("/score/1").json()["status"] == "queued"


def test_one_address_holds_so_many_streams_and_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_STREAMS", 2)
    address = "/score/1/stream"
    with server_on(folder) as (client, _), client.stream("GET", address) as first:
        with client.stream("GET", address) as second:
            assert (first.status_code, second.status_code) == (200, 200)
            refused = client.get(address)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
            assert refused.headers["Retry-After"] == "5"
        deadline = time.monotonic() + 10
        status = 429
        while status == 429 and time.monotonic() < deadline:
            with client.stream("GET", address) as third:  # the server hears of the end in a moment
                status = third.status_code
            time.sleep(0.05)
        assert status == 200
