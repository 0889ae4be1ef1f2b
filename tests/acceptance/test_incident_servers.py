"""The status of an incident, heard from several server processes that come and go."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from incident_parts import sees_red, write_scene
from service_process import Server
from vlm_server import Asked, Script, serving_model


def slowly(asked: Asked) -> Any:
    """Sees the red square, and takes its time, so that a server may be killed meanwhile."""
    time.sleep(0.15)
    return sees_red(asked)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    with ExitStack() as stack:
        url = stack.enter_context(serving_model(Script(slowly)))
        variables = {"SOPILOT_VLM_URL": url, "SOPILOT_INCIDENT_LANGUAGE": "en"}
        found = []
        for name in ("one", "other"):
            server = Server(tmp_path, name, **variables)
            server.start()
            stack.callback(server.stop)
            found.append(server)
        yield found[0], found[1]


@dataclass
class Heard:
    """What a client of the stream knows: the messages with their ids, and how it ended."""

    messages: list[tuple[int, str, int | None]] = field(default_factory=list)
    is_closed: bool = False

    @property
    def last_id(self) -> str:
        return str(self.messages[-1][0])


def listen(server: Server, iid: int, heard: Heard, most: int | None = None) -> None:
    """Hear the stream to its end, or until so many messages came; goes on after the last one."""
    headers = {"Last-Event-ID": heard.last_id} if heard.messages else {}
    route = f"/api/v1/incidents/{iid}/status/stream"
    with server.client.stream("GET", route, headers=headers) as reply:
        assert reply.status_code == 200
        told: dict[str, str] = {}
        for line in reply.iter_lines():
            name, _, value = line.partition(":")
            if line:
                told[name] = value.strip()
                continue
            if ("data" in told and _take(heard, told)) or len(heard.messages) == most:
                return
            told = {}


def _take(heard: Heard, told: dict[str, str]) -> bool:
    """Whether it was the last message."""
    message = json.loads(told["data"])
    heard.is_closed = message.get("event") == "close"
    if not heard.is_closed:
        heard.messages.append((int(told["id"]), message["status"], message.get("stage")))
    return heard.is_closed


def log_of(server: Server, iid: int) -> list[tuple[int, str, int | None]]:
    rows = server.rows(
        f"SELECT id, status, stage FROM incident_logs WHERE incident_id = {iid} ORDER BY id"
    )
    return [(int(number), str(status), stage) for number, status, stage in rows]


def test_a_client_hears_everything_once_whoever_dies(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    one, other = servers
    clip = write_scene(tmp_path / "short.mp4", [(5.25, 5.65)])  # takes two passes
    sent = one.upload("/api/v1/incidents/upload", clip, domain="production").json()["data"]
    iid = int(sent["incident_iid"])
    heard = Heard()
    listen(other, iid, heard, most=2)
    other.kill()
    other.start()
    listen(other, iid, heard, most=3)
    one.kill()  # with its worker, which may have the analysis: the other's goes on
    listen(other, iid, heard)
    one.start()
    assert heard.is_closed
    assert heard.messages[-1][1] == "DONE"
    ids = [number for number, *_ in heard.messages]
    assert ids == sorted(set(ids))
    assert heard.messages == [row for row in log_of(one, iid) if row[0] >= ids[0]]
    for server in servers:
        route = f"/api/v1/incidents/{iid}/status/stream"
        again = server.client.get(route, headers={"Last-Event-ID": heard.last_id})
        assert again.status_code == 204
        assert server.client.get("/api/v1/incidents/999/status/stream").status_code == 404
    late = Heard()
    listen(one, iid, late)
    assert (late.messages, late.is_closed) == (heard.messages[-1:], True)


def test_a_stream_that_is_cut_leaves_the_server_whole(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    one, other = servers
    clip = write_scene(tmp_path / "short.mp4", [(5.25, 5.65)])
    sent = one.upload("/api/v1/incidents/upload", clip, domain="production").json()["data"]
    route = f"/api/v1/incidents/{sent['incident_iid']}/status/stream"
    for _ in range(5):
        with other.client.stream("GET", route) as reply:
            next(reply.iter_lines())
    heard = Heard()
    listen(other, int(sent["incident_iid"]), heard)
    assert heard.messages[-1][1] == "DONE"
    assert other.client.get("/health", timeout=httpx.Timeout(30)).status_code == 200
