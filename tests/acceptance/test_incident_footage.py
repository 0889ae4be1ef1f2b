"""Incidents in real footage: what can be known of it without a person who watched every second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import docx
import pytest
from footage import DATA, need_footage
from typer.testing import CliRunner
from vlm_server import Asked, Script, serving_model

from sopilot.cli.app import app

BOTTLES, PEOPLE = "bottle-detection.mp4", "one-by-one-person-detection.mp4"
CALLED_SEC = (10.0, 16.0)
"""The part of the video of which the model that is no model says something."""


def duration_sec(path: Path) -> float:
    """By the pictures themselves."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [frame.time for frame in container.decode(stream)]
    return float(max(times)) - float(min(times))


def analysed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Any:
    path = DATA / "footage" / name
    need_footage(path)
    for key, value in settings.items():
        monkeypatch.setenv(f"SOPILOT_{key}", value)
    given = ["incidents", "analyze", str(path), "--lang", "en", "--json", "-"]
    given += ["--report", str(tmp_path / "report.docx"), "--data-dir", str(tmp_path / "data")]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    return path, json.loads(done.stdout)


@pytest.mark.parametrize("name", [BOTTLES, PEOPLE])
def test_without_a_model_only_what_was_measured_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = analysed(name, tmp_path, monkeypatch)
    length = duration_sec(path)
    assert told["method"] == "signal"
    assert told["duration_sec"] == pytest.approx(length, abs=0.2)
    starts = [event["start_time"] for event in told["events"]]
    assert starts == sorted(starts)
    for event in told["events"]:
        assert event["method"] == "signal"
        assert 0.0 <= event["start_time"] < event["end_time"] <= length + 0.2
        assert event["confidence"] is None
        assert event["event_type"] in {
            "UNUSUAL_MOTION", "STILLNESS", "LIGHT_CHANGE", "CAMERA_MOVED",
        }  # fmt: skip
    report = docx.Document(str(tmp_path / "report.docx"))
    text = "\n".join(part.text for part in report.paragraphs)
    tables = "\n".join(cell.text for table in report.tables for row in table.rows
                       for cell in row.cells)  # fmt: skip
    assert told["video_sha256"][:12] in text + tables
    assert len(report.inline_shapes) >= len(told["events"])


def test_what_a_model_says_of_a_span_is_told_of_that_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model goes by the times that are stated before the pictures of a real camera."""

    def see(asked: Asked) -> Any:
        assert asked.schema is not None
        fields = asked.schema["properties"]
        if set(fields) == {"domain"}:
            return {"domain": "production"}
        times = [item.time_sec for item in asked.pictures]
        assert all(time is not None and 0.0 <= time <= 40.0 for time in times)
        middle = sum(time for time in times if time is not None) / len(times)
        is_called = CALLED_SEC[0] <= middle <= CALLED_SEC[1]
        ids = asked.schema["$defs"]["Answers"]["required"]
        return {
            "window": fields["window"]["minimum"],
            "caption": "A bottle is taken." if is_called else "Nothing happens.",
            "answers": {name: is_called and name == "FALLING_LOAD" for name in ids},
            "risk_score": 0.9 if is_called else 0.1,
        }

    with serving_model(Script(see, wants_schema=True)) as url:
        _, told = analysed(BOTTLES, tmp_path, monkeypatch, VLM_URL=url)
    assert told["method"] == "vlm"
    (event,) = told["events"]
    assert event["event_type"] == "FALLING_LOAD"
    assert event["start_time"] == pytest.approx(CALLED_SEC[0], abs=1.5)
    assert event["end_time"] == pytest.approx(CALLED_SEC[1], abs=1.5)
    assert len(docx.Document(str(tmp_path / "report.docx")).inline_shapes) >= 1
