"""The earlier inference service's interface: ours to serve, and theirs to use as a backend."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from docx import Document
from httpx import Client
from incident_parts import sees_red, stated_times_are_true, write_scene
from test_api_service import serving
from vlm_server import MODEL, Script, serving_model

from sopilot.api.vlm_service import create_vlm_app
from sopilot.core.config import load_settings
from sopilot.core.errors import ModelUnavailable
from sopilot.media.picture_size import jpeg_size_px


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("wire") / "event.mp4", [(4.6, 7.3)])


@pytest.fixture
def script() -> Script:
    return Script(sees_red)


@pytest.fixture
def client(script: Script, tmp_path: Path) -> Iterator[Client]:
    with serving_model(script) as url:
        settings = load_settings(
            data_dir=tmp_path, vlm_url=url, vlm_attempts=1, incident_language="en"
        )
        with serving(create_vlm_app(settings)) as opened:
            yield opened


def analyzed(client: Client, video: Path, **query: Any) -> Any:
    with video.open("rb") as stream:
        answer = client.post(
            "/analyze_video", params=query, files={"file": ("event.mp4", stream, "video/mp4")}
        )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_video_is_looked_through_once(client: Client, script: Script, video: Path) -> None:
    found = analyzed(client, video, window_sec=1.5, target_fps=10, frames_per_window=5)
    assert (found["status"], found["has_event"]) == ("OK", True)
    assert found["inferred_domain"] == "production"
    (event,) = found["events"]
    assert event["event_type"] == "FALLING_LOAD"
    assert event["interval_start_sec"] == pytest.approx(4.6, abs=0.4)
    assert event["interval_end_sec"] == pytest.approx(7.3, abs=0.4)
    assert event["interval_start_sec"] <= event["highlight_start_sec"]
    assert found["metadata"]["num_windows"] == len(found["timeline"]) == 8
    assert found["metadata"]["num_frames"] == 240
    assert stated_times_are_true(script.asked)


def test_what_is_no_video_or_no_parameter_is_refused(client: Client, video: Path) -> None:
    broken = client.post("/analyze_video", files={"file": ("a.mp4", b"none" * 50, "video/mp4")})
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "UNDECODABLE_VIDEO")
    with video.open("rb") as stream:
        wrong = client.post(
            "/analyze_video", params={"window_sec": 0}, files={"file": ("a.mp4", stream)}
        )
    assert wrong.status_code == 422


def test_text_is_generated_about_pictures_without_times(client: Client, script: Script) -> None:
    script.see = lambda asked: f"{len(asked.pictures)} pictures"
    data = cv2.imencode(".jpg", np.zeros((60, 80, 3), np.uint8))[1].tobytes()
    order = {
        "prompt": "What is there?",
        "images_b64": [base64.b64encode(data).decode()] * 2,
        "max_tokens": 30,
    }
    assert client.post("/generate", json=order).json() == {"text": "2 pictures"}
    (asked,) = script.asked
    assert [item.time_sec for item in asked.pictures] == [None, None]
    for bad in ("%%%", base64.b64encode(b"\x89PNG" * 9).decode(), bomb_b64(data)):
        answer = client.post("/generate", json={**order, "images_b64": [bad]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert len(script.asked) == 1


def bomb_b64(jpeg: bytes) -> str:
    """The picture, its header saying that it has 65,535 x 65,535 pixels."""
    assert jpeg_size_px(jpeg) == (80, 60)
    place = jpeg.index(b"\xff\xc0") + 5
    return base64.b64encode(jpeg[:place] + b"\xff" * 4 + jpeg[place + 4 :]).decode()


def test_bodies_have_a_limit(client: Client) -> None:
    order = {"prompt": "x", "images_b64": ["A" * (66 << 20)], "max_tokens": 1}
    answer = client.post("/generate", json=order)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "FILE_TOO_LARGE")


def test_more_events_than_the_setting_may_be_wished(
    client: Client, script: Script, tmp_path: Path
) -> None:
    squares = [(float(second), second + 0.5) for second in range(0, 24, 2)]
    video = write_scene(tmp_path / "many.mp4", squares, length_sec=24)
    wish = {"window_sec": 0.5, "domain": "production"}
    assert len(analyzed(client, video, **wish, max_highlights=20)["events"]) == 12
    assert len(analyzed(client, video, **wish, max_highlights=3)["events"]) == 3


def test_a_report_is_made_from_either_form(client: Client, video: Path) -> None:
    wire = analyzed(client, video)
    ours = {
        "has_event": True,
        "inferred_domain": "traffic",
        "events": [
            {
                "event_type": "NEAR_CRASH",
                "start_time": 7.36,
                "end_time": 8.86,
                "description": "Столкновение экскаватора и внедорожника на перекрёстке",
                "highlight": "7.36-8.86",
            }
        ],
    }
    for given, word in ((wire, "FALLING_LOAD"), (ours, "NEAR_CRASH")):
        answer = client.post(
            "/generate_report_from_json", data={"analysis_json": json.dumps(given)}
        )
        assert answer.status_code == 200, answer.text
        text = [p.text for p in Document(io.BytesIO(answer.content)).paragraphs]
        assert any(word in line for line in text)
    none = client.post("/generate_report_from_json", data={"analysis_json": '{"a": 1}'})
    assert (none.status_code, none.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


def made(client: Client, given: Any, form: str = "docx", **files: Any) -> Any:
    text = given if isinstance(given, str) else json.dumps(given)
    answer = client.post(
        f"/generate_report_from_json?return_format={form}&language=en",
        files={"analysis_json": ("a.json", text.encode(), "application/json"), **files},
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def test_the_report_of_a_large_analysis_with_its_video(client: Client, video: Path) -> None:
    """As a field and as a file; starlette alone takes fields of at most 1 MB."""
    wire = analyzed(client, video) | {"padding": "x" * (3 << 20)}
    answer = client.post(
        "/generate_report_from_json",
        data={"analysis_json": json.dumps(wire)},
        files={"video": ("event.mp4", video.read_bytes(), "video/mp4")},
    )
    assert answer.status_code == 200, answer.text
    assert len(Document(io.BytesIO(answer.content)).inline_shapes) == 1
    assert len(Document(io.BytesIO(made(client, wire))).inline_shapes) == 0
    broken = {"video": ("event.mp4", b"none" * 50, "video/mp4"), "analysis_json": ("a", b"{}")}
    answer = client.post("/generate_report_from_json", files=broken)
    assert answer.status_code == 422


def test_what_a_json_says_was_not_checked_is_told(client: Client) -> None:
    wire = {
        "status": "OK", "has_event": False, "events": [],
        "timeline": [
            {"window_idx": 0, "timestamp_sec": 0, "interval_end_sec": 4, "has_event": False},
            {"window_idx": 1, "timestamp_sec": 4, "interval_end_sec": 6, "label": "title"},
        ],
        "metadata": {"duration_sec": 9, "num_frames": 1, "num_windows": 2},
    }  # fmt: skip
    told = json.loads(made(client, wire, "json"))
    assert [item["label"] for item in told["windows"]] == ["SAFE", "NOT_CHECKED"]
    assert told["unchecked"] == [
        {"code": "NOT_CHECKED", "span": [4.0, 6.0]},
        {"code": "NOT_TOLD", "span": [6.0, 9.0]},
    ]
    ours = {"has_event": False, "events": [], "duration_sec": 9}
    for further, code in (
        ({}, "NOT_TOLD"),
        ({"not_checked": [{"span": [1, 2], "code": "MODEL_UNAVAILABLE"}]}, "MODEL_UNAVAILABLE"),
    ):
        told = json.loads(made(client, ours | further, "json"))
        assert [item["code"] for item in told["unchecked"]] == [code]


_PASS = {"number": 1, "parameters": {}, "state": "run"}
_OURS: dict[str, Any] = {"has_event": True, "events": [], "not_checked": []}


@pytest.mark.parametrize(
    "given",
    [
        "", "null", "[]", "{", '"text"', "[" * 100_000, '{"has_event": NaN, "events": []}',
        _OURS | {"passes": [_PASS | {"number": [1]}]},
        _OURS | {"passes": [_PASS | {"number": 4}]},
        _OURS | {"passes": [_PASS | {"state": "title"}]},
        _OURS | {"passes": [_PASS | {"window_count": "many"}]},
        _OURS | {"passes": [_PASS | {"parameters": {str(i): "x" for i in range(1000)}}]},
        _OURS | {"passes": [_PASS | {"windows": [{"index": 0, "span": [0]}]}]},
        _OURS | {"duration_sec": 1e308},
        '{"has_event": true, "events": [], "duration_sec": 1e999}',
        '{"has_event": true, "events": [], "duration_sec": ' + "9" * 5000 + "}",
        _OURS | {"events": [{"event_type": "A", "start_time": -1, "end_time": 1}]},
        _OURS | {"events": [{"event_type": "A", "start_time": 0, "end_time": 1,
                             "highlight": "9" * 400 + "-1"}]},
        _OURS | {"events": [{"event_type": "A", "start_time": 0, "end_time": 1}] * 1001},
        _OURS | {"inferred_domain": "title"},
        {"metadata": {"duration_sec": 1, "num_frames": 10**400, "num_windows": 1}},
    ],
)  # fmt: skip
def test_a_json_that_is_no_analysis_is_refused(client: Client, given: Any) -> None:
    text = given if isinstance(given, str) else json.dumps(given)
    answer = client.post(
        "/generate_report_from_json", files={"analysis_json": ("a.json", text.encode())}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


def test_words_that_no_page_can_hold_are_left_out_of_a_report(client: Client) -> None:
    event = {"event_type": "A\0B", "start_time": 3, "end_time": 1, "description": "\x1b[31m\ufffe!"}
    for form in ("docx", "pdf"):
        assert made(client, _OURS | {"events": [event]}, form)
    (told,) = json.loads(made(client, _OURS | {"events": [event]}, "json"))["events"]
    assert (told["type"], told["description"], told["end_sec"]) == ("AB", "[31m!", 3.0)


def test_the_document_names_every_failure(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    told = {
        route: {status for status in paths[route]["post"]["responses"] if status >= "400"}
        for route in ("/analyze_video", "/generate", "/generate_report_from_json")
    }
    assert told == {
        "/analyze_video": {"400", "413", "422", "502", "503", "507"},
        "/generate": {"413", "422", "502", "503"},
        "/generate_report_from_json": {"400", "413", "422", "507"},
    }
    failure = paths["/generate"]["post"]["responses"]["502"]["content"]["application/json"]
    assert failure["example"]["error"]["code"]
    form = paths["/generate_report_from_json"]["post"]["requestBody"]["content"]
    assert set(form["multipart/form-data"]["schema"]["properties"]) == {"analysis_json", "video"}


def test_health_names_the_model(client: Client) -> None:
    assert client.get("/health").json() == {"status": "ok", "models": [MODEL]}


def test_it_needs_a_model_behind_it(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="SOPILOT_VLM_URL"):
        create_vlm_app(load_settings(data_dir=tmp_path))
