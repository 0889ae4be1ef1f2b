"""SIGKILL while a video is looked through or indexed: after restart it has ended exactly once, with
what it would have found undisturbed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from incident_parts import sees_red, write_scene
from service_process import Server
from vigil_parts import write_footage
from vlm_server import Asked, Script, serving_model

_SEED = 20_261_127
_EVENTS = "SELECT event_type, start_sec, end_sec, score FROM incident_events ORDER BY start_sec"


def _delays(count: int, most_sec: float) -> list[tuple[str, float]]:
    """(victim, seconds after the order), seeded."""
    draw = random.Random(_SEED)
    return [
        (("worker", "server")[i % 2], round(draw.uniform(0, most_sec), 2)) for i in range(count)
    ]


def slowly(asked: Asked) -> Any:
    """Sees the red square, and takes its time, so that a kill may hit any question."""
    time.sleep(0.15)
    if asked.schema is not None and "seen" in asked.schema["properties"]:
        number = asked.schema["properties"]["window"]["minimum"]
        return {"window": number, "caption": "", "seen": number == 2}
    return sees_red(asked)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("looks")
    return {
        # Too short for the first pass: the kill may hit any of two.
        "short": write_scene(folder / "short.mp4", [(5.25, 5.65)]),
        "yard": write_footage(folder / "yard.mp4", (("red", 8, 14),), 30.0),
    }


@pytest.fixture
def looking(tmp_path: Path) -> Iterator[Server]:
    with serving_model(Script(slowly)) as url:
        made = Server(tmp_path, SOPILOT_VLM_URL=url, SOPILOT_INCIDENT_LANGUAGE="en")
        made.start()
        yield made
        made.stop()


def hit(server: Server, victim: str, delay_sec: float) -> None:
    time.sleep(delay_sec)
    if victim == "server":
        server.kill()
        server.start()
    else:
        server.kill_worker()


def nothing_is_left_over(server: Server) -> None:
    assert server.rows("SELECT count(*) FROM jobs WHERE state <> 'completed'") == [(0,)]
    # The folder of an attempt goes right after its result is committed.
    server.wait_for(lambda: not [name for name in server.files() if "/.work/" in name])
    assert server.audit_problems() == []


def check_incident(server: Server, clip: Path, victim: str, delay_sec: float) -> None:
    sent = server.upload("/api/v1/incidents/upload", clip, domain="production").json()["data"]
    iid = sent["incident_iid"]
    hit(server, victim, delay_sec)

    def ended() -> Any:
        found = server.client.get(f"/api/v1/incidents/{iid}").json()["data"]
        return found if found["status"] in {"DONE", "ERROR"} else None

    found = server.wait_for(ended)
    assert (found["status"], found["error"], found["has_event"]) == ("DONE", None, True)
    ((kind, start_sec, end_sec, _),) = server.rows(_EVENTS)
    assert kind == "FALLING_LOAD"
    assert start_sec <= 5.65
    assert end_sec >= 5.25
    done = "SELECT count(*) FROM incident_logs WHERE event = 'DONE'"
    assert server.rows(done) == [(1,)]
    ended_once = "SELECT count(*) FROM audit_log WHERE action = 'incident.completed'"
    assert server.rows(ended_once) == [(1,)]
    nothing_is_left_over(server)


@pytest.mark.parametrize(("victim", "delay_sec"), _delays(2, 6.0))
def test_an_incident_ends_exactly_once(
    looking: Server, clips: dict[str, Path], victim: str, delay_sec: float
) -> None:
    check_incident(looking, clips["short"], victim, delay_sec)


@pytest.mark.soak
@pytest.mark.parametrize(("victim", "delay_sec"), _delays(40, 8.0)[2:])
def test_an_incident_ends_exactly_once_wherever_it_is_hit(
    looking: Server, clips: dict[str, Path], victim: str, delay_sec: float
) -> None:
    check_incident(looking, clips["short"], victim, delay_sec)


def check_footage(server: Server, clip: Path, victim: str, delays_sec: tuple[float, ...]) -> None:
    client = server.client
    video = server.upload("/vigil/videos", clip).json()["video_id"]
    client.post(f"/vigil/videos/{video}/index")
    hit(server, victim, delays_sec[0])
    client = server.client
    status = server.wait_for(
        lambda: (s := client.get(f"/vigil/status/{video}").json())["state"] == "ready" and s
    )
    assert status["counts"] == {"shot": 1, "micro": 19, "meso": 4, "macro": 1}
    assert server.rows("SELECT count(*) FROM chunks") == [(25,)]
    order = {"event_type": "CRATE", "description": "A crate stands there"}
    assert client.post("/vigil/events/definitions", json=order).status_code == 201
    run = client.post("/vigil/events/detect", json={}).json()["items"][0]["run_id"]
    hit(server, victim, delays_sec[1])
    client = server.client
    done = server.wait_for(
        lambda: (r := client.get(f"/vigil/events/runs/{run}").json())["state"] == "done" and r
    )
    assert done["unchecked"] == []
    spans = server.rows("SELECT start_sec, end_sec FROM vigil_events")
    assert [(round(a), round(b)) for a, b in spans] == [(6, 9)]
    for action in ("footage.indexed", "events.detected"):
        count = f"SELECT count(*) FROM audit_log WHERE action = '{action}'"
        assert server.rows(count) == [(1,)]
    nothing_is_left_over(server)


@pytest.mark.parametrize("victim", ["worker"])
def test_footage_is_indexed_and_looked_through_exactly_once(
    looking: Server, clips: dict[str, Path], victim: str
) -> None:
    check_footage(looking, clips["yard"], victim, (0.8, 0.5))


@pytest.mark.soak
@pytest.mark.parametrize(("victim", "delay_sec"), _delays(20, 4.0))
def test_footage_is_indexed_exactly_once_wherever_it_is_hit(
    looking: Server, clips: dict[str, Path], victim: str, delay_sec: float
) -> None:
    check_footage(looking, clips["yard"], victim, (delay_sec, delay_sec / 2))
