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
    bad = client.post("/generate", json={**order, "images_b64": ["%%%"]})
    assert bad.status_code == 422


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


def test_health_names_the_model(client: Client) -> None:
    assert client.get("/health").json() == {"status": "ok", "models": [MODEL]}


def test_it_needs_a_model_behind_it(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="SOPILOT_VLM_URL"):
        create_vlm_app(load_settings(data_dir=tmp_path))
