"""The committed questions, put to an installation as the command does, hold their floors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.questions import CAMERAS, QUESTIONS, write_camera
from sopilot.cli.app import app


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("questions")
    where = ("--data-dir", str(folder / "data"))
    for name in CAMERAS:
        path, talk = write_camera(name, folder)
        talk_path = path.with_suffix(".vtt")
        talk_path.write_text(talk, encoding="utf-8")
        added = run("vigil", "add", str(path), "--camera", f"{name}-1", "--json", "-", *where)
        video = json.loads(added)["video_id"]
        run("vigil", "index", video, *where)
        run("vigil", "transcript", video, str(talk_path), *where)
    return where[1]


def test_the_floors_hold(data: str) -> None:
    told = json.loads(run("eval", "retrieval", str(QUESTIONS), "--ask", "--data-dir", data))
    assert told["missed_floors"] == []
    assert (told["question_count"], told["answered_count"]) == (29, 25)
    assert told["hit_rate"]["1"]["total"] == 20


def test_a_floor_that_is_not_reached_ends_with_3(data: str, tmp_path: Path) -> None:
    asked = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    asked["questions"][0]["truth"][0] |= {"start_sec": 100.0, "end_sec": 104.0}
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(asked), encoding="utf-8")
    done = CliRunner().invoke(app, ["eval", "retrieval", str(path), "--ask", "--data-dir", data])
    assert done.exit_code == 3
    assert "faithfulness is 0.947" in done.output


def test_footage_that_is_not_there_is_named(data: str, tmp_path: Path) -> None:
    truth = [{"video": "roof.mp4", "start_sec": 0, "end_sec": 1}]
    path = tmp_path / "questions.json"
    path.write_text(json.dumps({"questions": [{"question": "crate", "truth": truth}]}))
    done = CliRunner().invoke(app, ["eval", "retrieval", str(path), "--ask", "--data-dir", data])
    assert done.exit_code != 0
    assert "roof.mp4" in str(done.exception) + done.output
