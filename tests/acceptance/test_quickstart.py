"""The quickstart, sections 2 to 5, against a real `sopilot serve` with a real HTTP client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from footage import MAINTENANCE, need_footage
from service_process import Server, write_bench

STEPS = [
    {"step_index": index, "name_en": name, "start_sec": 6.0 * index, "end_sec": 6.0 * index + 6.0}
    for index, name in enumerate(("REMOVE", "CLEAN", "SWAP", "CHECK"))
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("quickstart"), SOPILOT_MAX_UPLOAD_MB="2")
    made.start()
    yield made
    assert made.stop()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Gold and trainee: the public demo where it is, else clips of our own."""
    if MAINTENANCE.is_dir():
        return {"gold": MAINTENANCE / "gold.mp4", "trainee": MAINTENANCE / "missing.mp4"}
    folder = tmp_path_factory.mktemp("clips")
    return {
        "gold": write_bench(folder / "gold.mp4", 24.0),
        "trainee": write_bench(folder / "trainee.mp4", 16.0),
    }


@pytest.fixture(scope="module")
def scored(server: Server, videos: dict[str, Path]) -> dict[str, int]:
    """Sections 3.1 to 3.4: ids of gold, trainee and the completed score."""
    gold = server.upload("/gold", videos["gold"], task_id="pilot_task").json()
    assert (gold["status"], gold["is_gold"], gold["gold_version"]) == ("ready", True, 1)
    stored = server.client.put("/tasks/steps", json={"steps": STEPS})
    assert stored.status_code == 200
    trainee = server.upload("/videos", videos["trainee"], task_id="pilot_task").json()
    assert (trainee["status"], trainee["is_gold"]) == ("ready", False)
    order = {"gold_video_id": gold["video_id"], "trainee_video_id": trainee["video_id"]}
    job = server.client.post("/score", json=order).json()
    assert job.items() >= {"status": "queued", "result": None, "weights": None}.items()
    done = server.wait_for(lambda: server.ended_score(job["job_id"]))
    assert done["status"] == "completed", done["error"]
    return {"gold": gold["video_id"], "trainee": trainee["video_id"], "score": job["job_id"]}


def test_health_is_open_and_says_what_runs(server: Server) -> None:
    body = httpx.get(f"{server.client.base_url}/health").json()
    assert body["status"] == "healthy"
    assert body["checks"]["embedder"] == {
        "status": "up",
        "name": "color-motion-v2",
        "failed_over": False,
    }
    assert httpx.get(f"{server.client.base_url}/videos").status_code == 401


def test_the_work_of_worker_processes_is_counted(server: Server, scored: dict[str, int]) -> None:
    lines = httpx.get(f"{server.client.base_url}/metrics").text.splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(figures['sopilot_score_jobs_total{status="completed"}']) >= 1
    assert float(figures['sopilot_dtw_execution_seconds_count{use_gpu="false"}']) >= 1
    assert float(figures["sopilot_embed_primary_successes_total"]) >= 2


def test_the_upload_shows_quality_and_boundaries(server: Server, scored: dict[str, int]) -> None:
    video = server.client.get(f"/videos/{scored['gold']}").json()
    assert video["step_boundaries"][0] == 0
    assert video["step_boundaries"][-1] == video["clip_count"] > 4
    report = server.client.get(f"/videos/{scored['trainee']}/quality").json()
    assert len(report["checks"]) == 5
    assert report["frame_count_sampled"] > 0
    assert report["overall_pass"] == all(check["passed"] for check in report["checks"])


def test_the_result_has_every_documented_field(server: Server, scored: dict[str, int]) -> None:
    result = server.client.get(f"/score/{scored['score']}").json()["result"]
    summary = result["summary"]
    assert 0 <= result["score"] <= 100
    assert summary["decision"] in {"pass", "needs_review", "retrain", "fail"}
    assert (summary["pass_score"], summary["retrain_score"]) == (60.0, 50.0)
    assert set(summary["severity_counts"]) == {"critical", "quality", "efficiency"}
    low, high = result["confidence"]["ci_low"], result["confidence"]["ci_high"]
    assert low <= result["score"] <= high
    for deviation in result["deviations"]:
        start, end = deviation["gold_timecode"]
        assert 0 <= start <= end
        assert deviation["comment_ja"]
        assert deviation["comment_en"]


def test_the_skipped_step_of_the_public_demo_fails(server: Server, scored: dict[str, int]) -> None:
    need_footage()
    result = server.client.get(f"/score/{scored['score']}").json()["result"]
    missing = [d["step_index"] for d in result["deviations"] if d["type"] == "missing_step"]
    assert result["score"] < 60
    assert missing == [1]
    assert result["summary"]["decision"] == "fail"


def test_the_report_is_a_page_of_its_own(server: Server, scored: dict[str, int]) -> None:
    page = server.client.get(f"/score/{scored['score']}/report")
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.lstrip().lower().startswith("<!doctype html>")
    assert "data:image/jpeg" in page.text


def test_video_bytes_come_in_ranges(
    server: Server, scored: dict[str, int], videos: dict[str, Path]
) -> None:
    part = server.client.get(f"/videos/{scored['gold']}/stream", headers={"Range": "bytes=5-24"})
    assert (part.status_code, part.content) == (206, videos["gold"].read_bytes()[5:25])


def test_a_dark_gold_is_refused_and_leaves_nothing(
    server: Server, scored: dict[str, int], tmp_path: Path
) -> None:
    before = server.files()
    dark = write_bench(tmp_path / "dark.mp4", 5.0, level=0.1)
    answer = server.upload("/gold", dark, task_id="pilot_task", enforce_quality="true")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "QUALITY_GATE_FAILED")
    assert error["message"] == "Gold動画が品質基準を満たしていません"
    assert not error["details"]["quality"]["overall_pass"]
    server.check_files(before)
    assert server.rows("SELECT gold_version FROM videos WHERE status = 'failed'") == [(None,)]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"x" * (5 << 20), 413),
        (b"", 400),
        (b"a text that calls itself a video\n" * 50, 400),
    ],
    ids=["oversize", "empty", "text"],
)
def test_bad_files_are_refused_and_leave_nothing(
    server: Server, scored: dict[str, int], tmp_path: Path, content: bytes, status: int
) -> None:
    before = server.files()
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    answer = server.upload("/videos", path)
    body = answer.json()
    assert answer.status_code == status
    assert body["detail"] == body["error"]["message"]
    server.check_files(before)


def test_a_file_cut_in_the_middle_is_refused_and_leaves_nothing(
    server: Server, scored: dict[str, int], tmp_path: Path
) -> None:
    need_footage()
    before = server.files()
    whole = (MAINTENANCE / "swap.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    answer = server.upload("/videos", path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UNDECODABLE_VIDEO")
    server.check_files(before)
