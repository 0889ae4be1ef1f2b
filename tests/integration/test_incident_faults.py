"""What is kept and told of an incident when a disk, an upload or a model's server fails, and what a
stored analysis must hold to be concluded anew."""

# ruff: noqa: F401, F811  (fixtures of another file)
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from httpx import Client
from sqlalchemy import text
from test_incidents import Open, clips, data, look, opened, opened_on_both, script, send
from vlm_server import Script

from sopilot.incidents.replay import replay
from sopilot.runtime import Runtime
from sopilot.store.blobs import blob_key


def everything_told(runtime: Runtime, client: Client, iid: int) -> str:
    """What people can read about an incident, its video and its jobs, and their rows."""
    with client.stream("GET", f"/api/v1/incidents/{iid}/status/stream") as stream:
        told = stream.read().decode()
    told += client.get(f"/api/v1/incidents/{iid}").text
    told += client.get(f"/api/v1/logs?incident_iid={iid}").text
    with runtime.database.read() as connection:
        for table in ("jobs", "videos", "incidents", "incident_logs", "audit_log"):
            rows = connection.execute(text(f"SELECT * FROM {table}")).mappings()
            told += json.dumps([dict(row) for row in rows], default=str, ensure_ascii=False)
    return told


@pytest.mark.parametrize("fault", ["drip", "drip_headers"])
def test_a_server_that_never_ends_its_answer_ends_the_analysis(
    opened_on_both: Open, script: Script, clips: dict[str, Path], fault: str
) -> None:
    script.lasting_fault = fault
    runtime, client = opened_on_both(vlm_timeout_sec=0.5, vlm_attempts=2)
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["error_code"]) == ("ERROR", "MODEL_UNAVAILABLE")
    assert "did not answer in time" in found["error"]
    assert script.dripped_whole_count == 0
    most = 2 * runtime.settings.vlm_attempts * runtime.settings.vlm_concurrency
    assert 2 <= len(script.asked) <= most
    assert client.get(f"/api/v1/incidents/{iid}/media").status_code == 200


def test_a_fault_of_the_disk_is_told_without_its_folders(
    opened_on_both: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened_on_both()
    iid = send(client, clips["short"], domain="production")
    work = runtime.blobs.root / "derived/.work"
    shutil.rmtree(work, ignore_errors=True)
    work.parent.mkdir(exist_ok=True)
    work.write_text("in the way")
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["error_code"]) == ("ERROR", "STORAGE_FULL")
    assert "derived/.work" in found["error"]
    assert str(runtime.blobs.root) not in everything_told(runtime, client, iid)


def test_a_lost_upload_is_called_as_its_sender_called_it(
    opened_on_both: Open, script: Script, clips: dict[str, Path]
) -> None:
    script.lasting_fault = "html"
    runtime, client = opened_on_both()
    iid = send(client, clips["short"], domain="production")
    look(runtime, iid)
    script.lasting_fault = None
    with runtime.database.read() as connection:
        (sha256,) = connection.execute(text("SELECT sha256 FROM videos")).scalars()
    upload = runtime.blobs.root / blob_key("raw", sha256)
    for kept in upload.parent.parent.parent.glob("derived/??/*"):
        kept.unlink()
    upload.unlink()
    client.post(f"/api/v1/incidents/{iid}/analyze")
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert found["status"] == "ERROR"
    assert sha256 not in found["error"]
    answer = client.get(f"/api/v1/incidents/{iid}/media")
    assert (answer.status_code, sha256 in answer.text) == (404, False)
    assert "short.mp4" in answer.text
    assert str(runtime.blobs.root) not in everything_told(runtime, client, iid)


def test_a_file_that_is_no_video_is_called_as_its_sender_called_it(
    opened: Open, tmp_path: Path
) -> None:
    runtime, client = opened()
    path = tmp_path / "the yard.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(5000))
    iid = send(client, path)
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["error"].startswith("the yard.mp4 ")) == ("ERROR", True)
    assert str(runtime.blobs.root) not in everything_told(runtime, client, iid)


def test_probabilities_are_kept_so_that_an_analysis_can_be_concluded_anew(
    opened_on_both: Open, script: Script, clips: dict[str, Path]
) -> None:
    script.has_logprobs = True
    runtime, client = opened_on_both()
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    analysis = data(client, f"/incidents/{iid}")["analysis_json"]
    window = analysis["passes"][0]["windows"][0]
    assert window["choices"]["FALLING_LOAD"] == [["false", -0.10536], ["true", -2.302585]]
    assert window["scores"]["FALLING_LOAD"] == pytest.approx(0.1, abs=1e-3)
    again = replay(analysis)
    assert again.is_same
    concluded = json.dumps(again.concluded, sort_keys=True)
    assert concluded == json.dumps(analysis["events"], sort_keys=True)
    assert again.concluded[0]["event_type"] == "FALLING_LOAD"

    def tampered(**changes: Any) -> bool:
        copy = json.loads(json.dumps(analysis))
        copy["passes"][0]["windows"][0].update(changes)
        return replay(copy).misread == (0,)

    assert tampered(scores=window["scores"] | {"FALLING_LOAD": 0.11})
    assert tampered(choices={})
    assert tampered(choices=window["choices"] | {"FALLING_LOAD": [["true", -0.1]]})
    assert not tampered()
