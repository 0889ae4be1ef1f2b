"""The status of an incident, heard from several server processes that come and go."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from incident_parts import sees_red, write_scene
from service_process import Server
from vlm_server import Asked, Script, serving_model


class Patient:
    """Sees the red square, and answers no question of a pass before the test lets that pass end."""

    def __init__(self) -> None:
        self.may_end = {1: threading.Event(), 2: threading.Event()}

    def __call__(self, asked: Asked) -> Any:
        self.may_end[pass_of(asked)].wait(60)
        return sees_red(asked)

    def go_on(self) -> None:
        for pass_ends in self.may_end.values():
            pass_ends.set()


def pass_of(asked: Asked) -> int:
    """By the time between two pictures: 0.3 s in the first pass, at most 0.15 s in the second."""
    times = [picture.time_sec or 0 for picture in asked.pictures]
    return 1 if len(times) > 1 and times[1] - times[0] > 0.2 else 2


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def servers(tmp_path: Path, patient: Patient) -> Iterator[tuple[Server, Server]]:
    with ExitStack() as stack:
        url = stack.enter_context(serving_model(Script(patient)))
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


def listen(
    server: Server,
    iid: int,
    heard: Heard,
    until_stage: int | None = None,
    then: Callable[[], None] = lambda: None,
) -> None:
    """Hear the stream to its end, or until a pass begins; goes on after the last message heard.

    `then` is called when the stream is open.
    """
    headers = {"Last-Event-ID": heard.last_id} if heard.messages else {}
    route = f"/api/v1/incidents/{iid}/status/stream"
    with server.client.stream("GET", route, headers=headers) as reply:
        assert reply.status_code == 200
        then()
        told: dict[str, str] = {}
        for line in reply.iter_lines():
            name, _, value = line.partition(":")
            if line:
                told[name] = value.strip()
                continue
            if "data" in told and _take(heard, told):
                return
            if until_stage is not None and heard.messages and heard.messages[-1][2] == until_stage:
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
    servers: tuple[Server, Server], patient: Patient, tmp_path: Path
) -> None:
    one, other = servers
    clip = write_scene(tmp_path / "short.mp4", [(5.25, 5.65)])  # takes two passes
    sent = one.upload("/api/v1/incidents/upload", clip, domain="production").json()["data"]
    iid = int(sent["incident_iid"])
    heard = Heard()
    listen(other, iid, heard, until_stage=1)
    other.kill()
    other.start()
    listen(other, iid, heard, until_stage=2, then=patient.may_end[1].set)
    one.kill()  # with its worker, which may have the analysis: the other's goes on
    listen(other, iid, heard, then=patient.may_end[2].set)
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
    servers: tuple[Server, Server], patient: Patient, tmp_path: Path
) -> None:
    one, other = servers
    clip = write_scene(tmp_path / "short.mp4", [(5.25, 5.65)])
    sent = one.upload("/api/v1/incidents/upload", clip, domain="production").json()["data"]
    route = f"/api/v1/incidents/{sent['incident_iid']}/status/stream"
    for _ in range(5):
        with other.client.stream("GET", route) as reply:
            next(reply.iter_lines())
    heard = Heard()
    listen(other, int(sent["incident_iid"]), heard, then=patient.go_on)
    assert heard.messages[-1][1] == "DONE"
    assert other.client.get("/health", timeout=httpx.Timeout(30)).status_code == 200
