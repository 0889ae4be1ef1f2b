"""Events of footage: defined in plain words, looked for, reviewed, and what reviews tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from httpx import Client
from service_parts import work
from sqlalchemy import select
from test_vigil import Open, indexed, opener, send
from vigil_parts import write_footage
from vlm_server import Asked, Script, clocks, red_share

from sopilot.runtime import Runtime
from sopilot.store.tables import jobs, outbox


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("footage")
    return {
        "yard": write_footage(folder / "yard.mp4", (("red", 12, 18), ("blue", 30, 36)), 48.0),
        "gate": write_footage(folder / "gate.mp4", (("red", 21, 24),), 36.0, seed=9),
    }


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:
        yield opener(stack, tmp_path, None)


@pytest.fixture
def opened_on_both(tmp_path: Path, database_url: str) -> Iterator[Open]:
    with ExitStack() as stack:
        yield opener(stack, tmp_path, database_url)


def sees_colours(asked: Asked) -> Any:
    """Looks for the colour that the definition names; red is taken for blue as well where the
    wording asks for any crate."""
    assert asked.schema is not None
    number = asked.schema["properties"]["window"]["minimum"]
    red = max((red_share(item.pixels) for item in asked.pictures), default=0.0) > 0.05
    blue = any(_blue_share(item.pixels) > 0.05 for item in asked.pictures)
    seen = (red or blue) if "any crate" in asked.prompt else red
    return {
        "window": number,
        "caption": "A crate stands there." if seen else "An empty yard.",
        "seen": seen,
    }


def _blue_share(pixels: Any) -> float:
    blue, green, red = (pixels[..., i].astype(int) for i in range(3))
    return float(((blue > 150) & (green < 120) & (red < 90)).mean())


def define(client: Client, **body: Any) -> dict[str, Any]:
    wanted = {"event_type": "CRATE_LEFT", "description": "A red crate stands in the yard."} | body
    reply = client.post("/vigil/events/definitions", json=wanted)
    assert reply.status_code == 201, reply.text
    found: dict[str, Any] = reply.json()
    return found


def detect(runtime: Runtime, client: Client, **order: Any) -> list[dict[str, Any]]:
    """Order runs and work on them; the runs afterwards."""
    reply = client.post("/vigil/events/detect", json=order)
    assert reply.status_code == 202, reply.text
    with runtime.database.read() as connection:
        waiting = (
            connection.execute(
                select(jobs.c.id).where(jobs.c.kind == "vigil.detect", jobs.c.state == "queued")
            )
            .scalars()
            .all()
        )
    for job_id in waiting:
        work(runtime, job_id)
    return [
        client.get(f"/vigil/events/runs/{run['run_id']}").json() for run in reply.json()["items"]
    ]


def events(client: Client, video: str, **query: Any) -> dict[str, Any]:
    reply = client.get(f"/vigil/videos/{video}/events", params=query)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_an_event_in_plain_words_is_found_where_it_is(
    opened_on_both: Open, clips: dict[str, Path]
) -> None:
    script = Script(sees_colours, wants_schema=True)
    runtime, client = opened_on_both(script)
    yard = indexed(runtime, client, clips["yard"], camera_id="yard-1")
    gate = indexed(runtime, client, clips["gate"], camera_id="gate-1")
    made = define(client, visual_cues=["red paint"], contrast="The yard is empty.")
    assert (made["version"], made["method"], made["enabled"]) == (1, "zero_shot", True)
    runs = detect(runtime, client)
    assert [run["state"] for run in runs] == ["done", "done"]
    assert all(run["checked_sec"] > 30 and not run["unchecked"] for run in runs)
    (found,) = events(client, yard)["events"]
    assert found["start_sec"] == pytest.approx(12.0, abs=3.1)
    assert found["end_sec"] == pytest.approx(18.0, abs=3.1)
    assert (found["method"], found["status"], found["confidence"]) == ("zero_shot", "new", None)
    assert found["score"] >= 0.5
    (other,) = events(client, gate)["events"]
    assert other["camera_id"] == "gate-1"
    for asked in script.asked:
        for shown, burned in zip(asked.pictures, clocks(asked.pictures), strict=True):
            assert shown.time_sec == pytest.approx(burned, abs=0.06)
        assert "red paint" in asked.prompt
        assert "The yard is empty." in asked.prompt
    queue = client.get("/vigil/events", params={"status": "new"}).json()
    assert (len(queue["events"]), queue["total"]) == (2, 2)
    rest = client.get("/vigil/events", params={"limit": 1, "offset": 1}).json()
    assert (rest["events"], rest["total"]) == (queue["events"][1:], 2)


def test_without_a_model_nobody_looked(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened()
    yard = indexed(runtime, client, clips["yard"])
    define(client)
    (run,) = detect(runtime, client)
    assert (run["state"], run["checked_sec"]) == ("done", 0.0)
    told = events(client, yard)
    assert told["events"] == []
    (missed,) = told["not_checked"]
    assert missed["code"] == "MODEL_UNAVAILABLE"
    assert missed["end_sec"] == pytest.approx(48.0, abs=0.2)
    rates = client.get("/vigil/events/definitions/CRATE_LEFT/rates").json()["rates"]
    assert rates[0]["false_alarms_per_hour"] is None


def test_windows_beyond_the_limit_are_not_checked(opened: Open, clips: dict[str, Path]) -> None:
    script = Script(sees_colours, wants_schema=True)
    runtime, client = opened(script, vigil_max_windows=4)
    yard = indexed(runtime, client, clips["yard"])
    define(client)
    (run,) = detect(runtime, client)
    assert len(script.asked) == 4
    assert run["checked_sec"] == pytest.approx(12.0, abs=0.1)
    assert {item["code"] for item in run["unchecked"]} == {"NOT_ASKED"}
    assert events(client, yard)["not_checked"] == run["unchecked"]


def test_texts_that_speak_of_the_event_are_looked_at_first(
    opened: Open, clips: dict[str, Path]
) -> None:
    script = Script(sees_colours, wants_schema=True)
    runtime, client = opened(script, vigil_max_windows=1)
    yard = indexed(runtime, client, clips["yard"])
    client.put(
        f"/vigil/videos/{yard}/transcript",
        content="WEBVTT\n\n00:40.000 --> 00:41.000\nThat crate again!\n",
        headers={"content-type": "text/vtt"},
    )
    define(client)
    detect(runtime, client)
    (asked,) = script.asked
    assert all(burned is not None and 39 <= burned < 42 for burned in clocks(asked.pictures))


def test_measured_changes_need_no_model(opened_on_both: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened_on_both()
    yard = indexed(runtime, client, clips["yard"])
    define(client, event_type="UNUSUAL_MOTION", description="A burst of motion", method="signal")
    (run,) = detect(runtime, client, event_types=["UNUSUAL_MOTION"], video_ids=[yard])
    assert (run["state"], run["model_version"]) == ("done", "signal-1")
    assert run["checked_sec"] == pytest.approx(48.0, abs=0.2)
    told = events(client, yard)
    assert told["not_checked"] == []
    assert all(event["method"] == "signal" for event in told["events"])


def test_a_review_is_kept_and_tells_the_rate_of_false_alarms(
    opened_on_both: Open, clips: dict[str, Path]
) -> None:
    script = Script(sees_colours, wants_schema=True)
    runtime, client = opened_on_both(script)
    yard = indexed(runtime, client, clips["yard"], camera_id="yard-1")
    define(client, description="It is any crate.")
    detect(runtime, client)
    first, second = events(client, yard)["events"]
    reply = client.put(
        f"/vigil/events/{first['event_id']}/review", json={"status": "confirmed", "note": "seen"}
    )
    assert (reply.json()["status"], reply.json()["note"]) == ("confirmed", "seen")
    assert reply.json()["reviewed_by"]
    client.put(f"/vigil/events/{second['event_id']}/review", json={"status": "false_alarm"})
    rates = client.get("/vigil/events/definitions/CRATE_LEFT/rates").json()["rates"]
    together, camera = rates
    assert (together["camera_id"], camera["camera_id"]) == (None, "yard-1")
    assert (together["confirmed"], together["false_alarms"], together["unreviewed"]) == (1, 1, 0)
    hours = 48 / 3600
    assert together["false_alarms_per_hour"] == pytest.approx(1 / hours, rel=0.01)
    assert together["interval"][0] == pytest.approx(0.0253 / hours, rel=0.02)
    assert together["interval"][1] == pytest.approx(5.5716 / hours, rel=0.02)
    # Looked for again: the same events, the same words of a person.
    detect(runtime, client)
    assert [e["status"] for e in events(client, yard)["events"]] == ["confirmed", "false_alarm"]
    assert events(client, yard, status="confirmed")["events"][0]["event_id"] == first["event_id"]
    taken = client.put(f"/vigil/events/{first['event_id']}/review", json={"status": "new"}).json()
    assert (taken["status"], taken["reviewed_by"]) == ("new", None)


def test_a_new_wording_is_tried_on_the_archive(opened: Open, clips: dict[str, Path]) -> None:
    script = Script(sees_colours, wants_schema=True)
    runtime, client = opened(script)
    yard = indexed(runtime, client, clips["yard"])
    define(client)
    detect(runtime, client)
    changed = client.put(
        "/vigil/events/definitions/CRATE_LEFT", json={"description": "It is any crate."}
    ).json()
    assert changed["version"] == 2
    before = events(client, yard)["events"]
    assert [event["definition_version"] for event in before] == [1]
    detect(runtime, client)
    after = events(client, yard)["events"]
    assert [event["definition_version"] for event in after] == [2, 2]
    diff = client.get("/vigil/events/definitions/CRATE_LEFT/diff").json()
    assert (diff["before"]["version"], diff["after"]["version"]) == (1, 2)
    assert (diff["videos"], diff["kept"], len(diff["lost"])) == (1, 1, 0)
    (gained,) = diff["gained"]
    assert gained["start_sec"] == pytest.approx(30.0, abs=3.1)
    back = client.get("/vigil/events/definitions/CRATE_LEFT/diff?before=2&after=1").json()
    assert (len(back["gained"]), len(back["lost"])) == (0, 1)
    assert len(client.get("/vigil/events/definitions/CRATE_LEFT").json()["versions"]) == 2


def test_thirty_reviews_give_confidences_and_a_threshold(
    opened_on_both: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened_on_both()
    yard = send(client, clips["yard"])["video_id"]
    indexed(runtime, client, clips["yard"])
    told = [
        {"event_type": "CRATE_LEFT", "start_sec": n, "end_sec": n + 1, "score": round(n / 40, 3)}
        for n in range(40)
    ]
    define(client, method="signal", event_type="STILLNESS", description="Nothing moves")
    define(client)
    detect(runtime, client, event_types=["CRATE_LEFT"])
    assert client.post(f"/vigil/videos/{yard}/events", json={"events": told}).status_code == 201
    listed = events(client, yard, type="CRATE_LEFT")["events"]
    assert len(listed) == 40
    for number, event in enumerate(listed[:29]):
        status = "confirmed" if number >= 15 else "false_alarm"
        client.put(f"/vigil/events/{event['event_id']}/review", json={"status": status})
    assert events(client, yard)["events"][0]["confidence"] is None
    last = listed[39]["event_id"]
    client.put(f"/vigil/events/{last}/review", json={"status": "confirmed"})
    known = events(client, yard)["events"]
    assert known[0]["confidence"] == pytest.approx(1 / 17, abs=0.001)
    assert known[39]["confidence"] == pytest.approx(16 / 17, abs=0.001)
    assert len(events(client, yard, min_conf=0.5)["events"]) == 25
    # Nobody looked, so there are no hours to divide by.
    none = client.get("/vigil/events/definitions/CRATE_LEFT/threshold?alarms_per_hour=5").json()
    assert none["threshold"] is None


def test_a_threshold_keeps_within_the_budget(opened: Open, clips: dict[str, Path]) -> None:
    script = Script(sees_colours, wants_schema=True)
    runtime, client = opened(script)
    yard = indexed(runtime, client, clips["yard"])
    define(client)
    detect(runtime, client)
    scores = [("false_alarm", 0.2), ("false_alarm", 0.4), ("confirmed", 0.5), ("confirmed", 0.95)]
    told = [
        {"event_type": "CRATE_LEFT", "start_sec": n, "end_sec": n + 1, "score": score}
        for n, (_, score) in enumerate(scores)
    ]
    client.post(f"/vigil/videos/{yard}/events", json={"events": told})
    for (status, score), event in zip(
        scores,
        [e for e in events(client, yard)["events"] if e["method"] == "imported"],
        strict=True,
    ):
        assert event["score"] == score
        client.put(f"/vigil/events/{event['event_id']}/review", json={"status": status})
    hours = 48 / 3600
    for budget, wanted, kept in ((0.0, 0.5, 2), (1 / hours + 1, 0.4, 2), (999.0, 0.2, 2)):
        found = client.get(
            "/vigil/events/definitions/CRATE_LEFT/threshold", params={"alarms_per_hour": budget}
        ).json()
        assert (found["threshold"], found["confirmed_kept"]) == (wanted, kept), budget
        assert "only 4" in found["note"]


def test_an_alert_goes_out_once_and_not_in_quiet_hours(
    opened: Open, clips: dict[str, Path]
) -> None:
    script = Script(sees_colours, wants_schema=True)
    runtime, client = opened(script, webhook_url="http://127.0.0.1:9/hook")

    def told() -> list[dict[str, Any]]:
        with runtime.database.read() as connection:
            rows = connection.execute(
                select(outbox.c.payload).where(outbox.c.event == "vigil.event_found")
            ).scalars()
            return list(rows)

    indexed(runtime, client, clips["yard"], camera_id="yard-1")
    quiet = {"dedupe_sec": 600, "quiet": {"start": "00:00", "end": "00:00"}}
    define(client, alert=quiet)
    detect(runtime, client)
    assert told() == []
    body = {"description": "A red crate.", "alert": {"dedupe_sec": 600}}
    client.put("/vigil/events/definitions/CRATE_LEFT", json=body)
    detect(runtime, client)
    (alert,) = told()
    assert (alert["event_type"], alert["camera_id"], alert["count"]) == ("CRATE_LEFT", "yard-1", 1)
    client.put("/vigil/events/definitions/CRATE_LEFT", json=body)
    detect(runtime, client)
    assert len(told()) == 1


def test_a_model_that_fails_leaves_the_video_unchecked(
    opened: Open, clips: dict[str, Path]
) -> None:
    script = Script(sees_colours, wants_schema=True, lasting_fault="html")
    runtime, client = opened(script, job_max_retries=0)
    yard = indexed(runtime, client, clips["yard"])
    define(client)
    (run,) = detect(runtime, client)
    assert (run["state"], run["error_code"]) == ("error", "MODEL_REPLY_INVALID")
    (missed,) = events(client, yard)["not_checked"]
    assert missed["code"] == "MODEL_REPLY_INVALID"
    script.lasting_fault = None
    (again,) = detect(runtime, client)
    assert (again["state"], again["error_code"]) == ("done", None)
    assert events(client, yard)["not_checked"] == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"event_type": "x y", "description": "A crate"}, "event_type"),
        ({"event_type": "CRATE", "description": "  "}, "description"),
        ({"event_type": "CRATE", "description": "A crate", "method": "magic"}, "no detector"),
        ({"event_type": "CRATE", "description": "A crate", "method": "signal"}, "UNUSUAL_MOTION"),
        ({"event_type": "CRATE", "description": "A crate", "threshold": 1.5}, "threshold"),
        ({"event_type": "CRATE", "description": "A crate", "alert": {"x": 1}}, "alert"),
    ],
)
def test_bad_definitions_are_refused(opened: Open, body: dict[str, Any], told: str) -> None:
    _, client = opened()
    reply = client.post("/vigil/events/definitions", json=body)
    assert reply.status_code == 422
    assert told in reply.text


def test_what_is_unknown_is_named(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened()
    assert client.get("/vigil/events/definitions/NONE").status_code == 404
    body = {"description": "A crate"}
    missing = client.put("/vigil/events/definitions/NONE", json=body).json()
    assert missing["error"]["code"] == "DEFINITION_NOT_FOUND"
    nothing = client.post("/vigil/events/detect", json={})
    assert nothing.status_code == 422
    assert "no event is defined" in nothing.json()["detail"]
    define(client)
    twice = client.post(
        "/vigil/events/definitions", json={"event_type": "CRATE_LEFT", "description": "again"}
    )
    assert twice.status_code == 409
    video = send(client, clips["yard"])["video_id"]
    early = client.post("/vigil/events/detect", json={"video_ids": [video]})
    assert early.status_code == 409
    indexed(runtime, client, clips["yard"])
    late = {"events": [{"event_type": "X1", "start_sec": 1, "end_sec": 99}]}
    reply = client.post(f"/vigil/videos/{video}/events", json=late)
    assert reply.status_code == 422
    assert "99" in reply.json()["detail"]
    turned = {"events": [{"event_type": "X1", "start_sec": 3, "end_sec": 2}]}
    assert client.post(f"/vigil/videos/{video}/events", json=turned).status_code == 422
    assert events(client, video)["events"] == []


def test_a_plug_in_is_a_method(
    opened: Open, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    from sopilot.vigil import detectors

    entry = EntryPoint("halves", f"{__name__}:halves", detectors.GROUP)
    monkeypatch.setattr(detectors, "entry_points", lambda group: [entry])
    runtime, client = opened()
    yard = indexed(runtime, client, clips["yard"])
    assert "halves" in client.get("/vigil/events/definitions").json()["methods"]
    define(client, method="halves")
    (run,) = detect(runtime, client)
    assert run["model_version"] == "halves-1"
    (event,) = events(client, yard)["events"]
    assert (event["method"], event["end_sec"]) == ("halves", pytest.approx(24.0, abs=0.1))


def halves(task: Any) -> Any:
    """A detector as another package may have it."""
    from sopilot.core.timespan import TimeSpan
    from sopilot.vigil.event_schemas import Detection, FoundEvent

    span = TimeSpan(0.0, task.duration_sec / 2)
    event = FoundEvent(task.definition.event_type, span, 0.5, "the first half")
    return Detection((event,), task.duration_sec, model_version="halves-1")


def test_deletion_takes_runs_and_events_along(opened_on_both: Open, clips: dict[str, Path]) -> None:
    script = Script(sees_colours, wants_schema=True)
    runtime, client = opened_on_both(script)
    yard = indexed(runtime, client, clips["yard"])
    define(client)
    detect(runtime, client)
    assert client.delete(f"/videos/{yard}?force=true").status_code == 200
    assert client.get("/vigil/events").json()["events"] == []
    assert client.get("/vigil/events/runs").json()["total"] == 0
    with runtime.database.read() as connection:
        assert connection.execute(select(jobs.c.kind)).scalars().all() == []
    assert json.dumps(client.get("/vigil/events/definitions").json()).count("CRATE_LEFT") == 1
