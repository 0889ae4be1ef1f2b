"""The audit log of a started service: exported, verified by the documented script, restored."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_process import Server, write_bench

ROOT = Path(__file__).resolve().parents[2]
SIGNING_KEY = "acceptance-signing-key"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, SOPILOT_AUDIT_SIGNING_KEY=SIGNING_KEY)
    made.start()
    yield made
    made.stop()


def _run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _cli(*words: object) -> int:
    return _run("-m", "sopilot.cli.app", *words).returncode


def _actions(server: Server) -> list[str]:
    return [item["action"] for item in server.client.get("/audit/trail").json()["items"]]


def test_an_export_is_verified_offline_and_survives_what_happens_to_the_service(
    server: Server, tmp_path: Path
) -> None:
    clip = write_bench(tmp_path / "bench.mp4", 10.0)
    assert server.upload("/gold", clip).status_code == 200
    assert server.client.put("/task-profile", json={"pass_score": 70}).status_code == 200
    made = server.client.post("/audit/export").json()
    sent = server.client.get(f"/audit/export/{made['export_id']}/file")
    path = tmp_path / "export.json"
    path.write_bytes(sent.content)

    script = ROOT / "scripts" / "verify_audit_export.py"
    assert _run(script, "--file", path, "--key", SIGNING_KEY).returncode == 0
    server.kill()  # in the middle of whatever it was doing
    server.start()
    both = ("--key", SIGNING_KEY, "--data-dir", server.data_dir)
    assert _cli("audit", "verify", path, *both) == 0

    payload = json.loads(sent.content)
    payload["items"][0]["actor"] = "somebody"
    path.write_text(json.dumps(payload))
    tampered = _run(script, "--file", path, "--key", SIGNING_KEY)
    assert tampered.returncode == 2
    assert json.loads(tampered.stdout)["payload_sha256_match"] is False
    assert _cli("audit", "verify", path, *both) == 5


def test_a_backup_of_a_working_service_becomes_another_service(
    server: Server, tmp_path: Path
) -> None:
    clip = write_bench(tmp_path / "bench.mp4", 10.0)
    assert server.upload("/gold", clip).status_code == 200
    assert server.upload("/videos", write_bench(tmp_path / "other.mp4", seed=3)).status_code == 200
    score = server.client.post("/score", json={"gold_video_id": 1, "trainee_video_id": 1}).json()
    result = server.wait_for(lambda: server.ended_score(score["job_id"]))["result"]
    found = server.client.get("/search", params={"video_id": 1, "clip_index": 0}).json()
    assert found["results"]
    made = server.client.post("/admin/backup").json()

    other = Server(tmp_path / "other")
    (tmp_path / "other").mkdir()
    backup = server.data_dir / "backups" / made["name"]
    assert _cli("restore", backup, "--data-dir", other.data_dir) == 0
    other.start()
    try:
        assert other.client.get(f"/score/{score['job_id']}").json()["result"] == result
        assert other.client.get("/videos/1/stream").content == clip.read_bytes()
        question = {"video_id": 1, "clip_index": 0}
        assert other.client.get("/search", params=question).json() == found
        assert "backup.restored" in _actions(other)
        again = other.upload("/gold", clip).json()
        assert (again["video_id"], again["duplicate"]) == (1, True)
        assert other.client.post("/audit/export").status_code == 503
    finally:
        assert other.stop()
