"""The service over HTTP in one process, with a real worker thread and the real decoder child."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn
from fastapi import FastAPI
from httpx import Client, Response
from prometheus_client.parser import text_string_to_metric_families
from service_parts import files_below, open_test_runtime, write_procedure

from sopilot.api.app import create_app
from sopilot.jobs.loop import run_worker
from sopilot.sop.schemas import ScoreResult
from sopilot.worker import kinds_of

KEY = {"X-API-Key": "secret"}


class Service:
    """A client of a running service, and where its files are."""

    def __init__(self, client: Client, folder: Path, clips: dict[str, Path]) -> None:
        self.client = client
        self.folder = folder
        self.clips = clips

    def upload(self, route: str, name: str, **fields: Any) -> Response:
        path = self.clips[name]
        with path.open("rb") as stream:
            return self.client.post(route, files={"file": (path.name, stream)}, data=fields)

    def finished(self, job_id: int | str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while True:
            found: dict[str, Any] = self.client.get(f"/score/{job_id}").json()
            if found["status"] not in {"queued", "running"} or time.monotonic() > deadline:
                return found
            time.sleep(0.1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    (folder / "text.mp4").write_bytes(b"no video at all\n" * 100)
    (folder / "empty.mp4").touch()
    (folder / "large.mp4").write_bytes(b"x" * (3 << 20))
    return {
        "gold": write_procedure(folder / "gold.mp4", (0, 1, 2), 4.0),
        "swapped": write_procedure(folder / "swapped.mp4", (0, 2, 1), 4.0),
        "dark": write_procedure(folder / "dark.mp4", (0,), 4.0, level=0.1),
        "text": folder / "text.mp4",
        "empty": folder / "empty.mp4",
        "large": folder / "large.mp4",
    }


@contextmanager
def serving(app: FastAPI) -> Iterator[Client]:
    """A client of the application, which a real server serves in a thread."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(base_url=base, headers=KEY, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> Iterator[Service]:
    """Gold 1 and trainee 2 are uploaded, score 1 is completed."""
    folder = tmp_path_factory.mktemp("service")
    runtime = open_test_runtime(folder, api_key="secret", max_upload_mb=2)
    stop = threading.Event()
    worker = threading.Thread(
        target=run_worker, args=(runtime.database, kinds_of(runtime), stop), daemon=True
    )
    app = create_app(runtime=runtime, with_workers=False)
    with serving(app) as client:
        worker.start()
        made = Service(client, runtime.blobs.root, clips)
        assert made.upload("/gold", "gold", task_id="pilot_task").status_code == 200
        assert made.upload("/videos", "swapped", site_id="north").status_code == 200
        order = {"gold_video_id": 1, "trainee_video_id": 2}
        assert client.post("/score", json=order).json()["status"] == "queued"
        made.finished(1)
        yield made
        stop.set()
        worker.join()


def error_of(response: Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"status", "error", "detail"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["detail"] == body["error"]["message"]
    return response.status_code, body["error"]["code"]


def test_an_upload_answers_with_the_fields_of_both_interfaces(service: Service) -> None:
    body = service.upload("/gold", "gold").json()
    assert (body["video_id"], body["status"], body["duplicate"]) == (1, "ready", True)
    assert (body["is_gold"], body["role"], body["gold_version"]) == (True, "gold", 1)
    assert body["clip_count"] == body["num_clips"] == body["step_boundaries"][-1]
    assert {check["name"] for check in body["quality"]["checks"]} == {
        "duration",
        "resolution",
        "brightness",
        "sharpness",
        "stability",
    }
    job = service.client.get(f"/videos/jobs/{body['ingest_job_id']}").json()
    assert (job["status"], job["video_id"], job["num_clips"]) == ("completed", 1, body["num_clips"])
    assert job["requested_by"] == "token:api"
    assert (job["source_fps"], job["sampled_fps"]) == (10.0, 10.0)


@pytest.mark.parametrize("role", ["gold", "trainee", "audit"])
def test_videos_takes_every_role(service: Service, role: str) -> None:
    body = service.upload("/videos", "swapped", task_id="roles", role=role).json()
    assert (body["status"], body["role"], body["is_gold"]) == ("ready", role, role == "gold")
    assert body["gold_version"] == (1 if role == "gold" else None)
    listed = service.client.get(f"/videos?task_id=roles&role={role}").json()["items"]
    assert [item["video_id"] for item in listed] == [body["video_id"]]


def test_quality_is_only_told_of_a_trainee(service: Service) -> None:
    """A dark recording of a trainee is stored, its faults are named, and it is scored."""
    body = service.upload("/videos", "dark", enforce_quality="true").json()
    assert (body["status"], body["quality"]["overall_pass"]) == ("ready", False)
    failed = [check["name"] for check in body["quality"]["checks"] if not check["passed"]]
    assert "brightness" in failed
    order = {"gold_video_id": 1, "trainee_video_id": body["video_id"]}
    done = service.finished(service.client.post("/score", json=order).json()["job_id"])
    assert (done["status"], done["error"]) == ("completed", None)
    assert 0 <= done["score"] <= 100


def test_an_asynchronous_upload_points_to_its_job(service: Service) -> None:
    for route, headers in (
        ("/api/v1/videos?async=true", {}),
        ("/videos", {"Prefer": "respond-async"}),
    ):
        with service.clips["gold"].open("rb") as stream:
            response = service.client.post(
                route, files={"file": ("again.mp4", stream)}, data={"force": "1"}, headers=headers
            )
        assert response.status_code == 202
        assert response.json()["status"] in {"queued", "processing"}
        location = response.headers["Location"]
        assert location.startswith(route.split("?")[0] + "/jobs/")
        deadline = time.monotonic() + 60
        while service.client.get(location).json()["status"] != "completed":
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_raw_body_is_an_upload_too(service: Service) -> None:
    response = service.client.post(
        "/videos?task_id=raw&filename=raw.mp4",
        content=service.clips["gold"].read_bytes(),
        headers={"Content-Type": "video/mp4"},
    )
    body = response.json()
    assert (response.status_code, body["original_filename"]) == (200, "raw.mp4")
    assert (body["task_id"], body["role"]) == ("raw", "trainee")


@pytest.mark.parametrize(
    ("route", "name", "fields", "expected"),
    [
        ("/videos", "text", {}, (400, "UNDECODABLE_VIDEO")),
        ("/videos", "empty", {}, (400, "UNSUPPORTED_MEDIA")),
        ("/videos", "large", {}, (413, "FILE_TOO_LARGE")),
        ("/gold", "dark", {"enforce_quality": "true"}, (422, "QUALITY_GATE_FAILED")),
        ("/videos", "gold", {"role": "judge"}, (422, "VALIDATION_ERROR")),
        ("/videos", "gold", {"task_id": "x" * 200}, (422, "VALIDATION_ERROR")),
    ],
)
def test_refused_uploads_leave_nothing(
    service: Service, route: str, name: str, fields: dict[str, str], expected: tuple[int, str]
) -> None:
    before = files_below(service.folder)
    ready = service.client.get("/videos").json()["items"]
    response = service.upload(route, name, **fields)
    assert error_of(response) == expected
    assert files_below(service.folder) == before
    after = service.client.get("/videos").json()["items"]
    assert [v for v in after if v["status"] != "failed"] == [
        v for v in ready if v["status"] != "failed"
    ]


def test_a_refused_gold_shows_its_quality(service: Service) -> None:
    details = service.upload("/gold", "dark", enforce_quality="true").json()["error"]["details"]
    [check] = [c for c in details["quality"]["checks"] if c["name"] == "brightness"]
    assert not details["quality"]["overall_pass"]
    assert "照度不足" in check["message_ja"]
    assert details["quality"]["recommendations_ja"]
    failed = service.client.get(f"/videos/{details['video_id']}").json()
    assert (failed["status"], failed["error_code"]) == ("failed", "QUALITY_GATE_FAILED")
    assert failed["gold_version"] is None


def test_lists_filter_and_page(service: Service) -> None:
    page = service.client.get("/videos", params={"site_id": "north"}).json()
    assert [v["video_id"] for v in page["items"]] == [2]
    assert (page["total"], page["has_more"]) == (1, False)
    first = service.client.get("/videos", params={"limit": 1}).json()
    assert first["has_more"] is True
    exact = service.client.get("/videos", params={"limit": first["total"]}).json()
    assert exact["has_more"] is False
    golds = service.client.get("/videos", params={"is_gold": True, "task_id": "pilot_task"}).json()
    assert {v["role"] for v in golds["items"]} == {"gold"}


def test_details_and_quality_are_stored_facts(service: Service) -> None:
    video = service.client.get("/videos/2").json()
    assert (video["width_px"], video["height_px"], video["site_id"]) == (192, 108, "north")
    assert video["error"] is None
    assert service.client.get(f"/videos/{video['video_uid']}").json() == video
    report = service.client.get("/videos/2/quality").json()
    assert report["resolution"] == [192, 108]
    assert report["frame_count_sampled"] > 0
    assert all("threshold" in check for check in report["checks"])


@pytest.mark.parametrize("tail", ["stream", "file"])
def test_bytes_come_whole_in_ranges_or_not_at_all(service: Service, tail: str) -> None:
    data = service.clips["gold"].read_bytes()
    path = f"/videos/1/{tail}"
    whole = service.client.get(path)
    assert (whole.content, whole.headers["content-type"]) == (data, "video/mp4")
    part = service.client.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(data)}"
    suffix = service.client.get(path, headers={"Range": "bytes=-5"})
    assert suffix.content == data[-5:]
    head = service.client.head(path)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(data)))
    same = service.client.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    beyond = service.client.get(path, headers={"Range": f"bytes={len(data)}-"})
    assert error_of(beyond) == (416, "RANGE_NOT_SATISFIABLE")
    assert beyond.headers["content-range"] == f"bytes */{len(data)}"
    for malformed in ("bytes=5-2", "bytes=a-b", "items=0-1"):
        ignored = service.client.get(path, headers={"Range": malformed})
        assert (ignored.status_code, ignored.content) == (200, data)


def test_a_completed_score_carries_the_result_record(service: Service) -> None:
    body = service.client.get("/score/1").json()
    assert (body["status"], body["job_id"], body["error"]) == ("completed", 1, None)
    result = ScoreResult.model_validate(body["result"])
    assert body["score"] == result.score
    assert body["queued_at"] == body["created_at"] <= body["started_at"] <= body["finished_at"]
    assert service.client.get(f"/score/{body['score_job_id']}").json() == body
    page = service.client.get("/score", params={"status": "completed"}).json()
    [item] = [entry for entry in page["items"] if entry["id"] == 1]
    assert (item["job_id"], item["score"]) == (1, result.score)
    assert item["score_band"] == result.summary.score_band
    assert item["severity_counts"] == result.summary.severity_counts.model_dump()


def test_the_report_is_one_page_that_fetches_nothing(service: Service) -> None:
    for language in ("ja", "en"):
        page = service.client.get("/score/1/report", params={"lang": language})
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert f'lang="{language}"' in page.text
        assert "gold.mp4" in page.text
        assert 'src="http' not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"gold_video_id": 999, "trainee_video_id": 2}, (404, "VIDEO_NOT_FOUND")),
        ({"gold_video_id": 2, "trainee_video_id": 2}, (409, "VIDEO_NOT_GOLD")),
        ({"gold_video_id": 0, "trainee_video_id": 2}, (422, "VALIDATION_ERROR")),
        ({"gold_video_id": 1}, (422, "VALIDATION_ERROR")),
        (
            {"gold_video_id": 1, "trainee_video_id": 2, "weights": {"w_miss": -1}},
            (422, "VALIDATION_ERROR"),
        ),
        (
            {"gold_video_id": 1, "trainee_video_id": 2, "weights": {"w_all": 1}},
            (422, "VALIDATION_ERROR"),
        ),
    ],
)
def test_bad_orders(service: Service, order: dict[str, Any], expected: tuple[int, str]) -> None:
    assert error_of(service.client.post("/score", json=order)) == expected


def test_rerun_and_cancel(service: Service) -> None:
    again = service.client.post("/score/1/rerun").json()
    assert again["job_id"] > 1
    assert service.finished(again["job_id"])["result"] == service.finished(1)["result"]
    assert error_of(service.client.post("/score/1/cancel")) == (409, "JOB_FINISHED")
    assert error_of(service.client.post("/score/999/cancel")) == (404, "SCORE_JOB_NOT_FOUND")


def test_profile_changes_are_checked_and_versioned(service: Service) -> None:
    old = service.client.get("/task-profile").json()
    changed = service.client.put("/task-profile", json={"pass_score": 70}).json()
    assert (changed["pass_score"], changed["version"]) == (70, old["version"] + 1)
    assert changed["deviation_policy"]["missing_step"] == "critical"
    for body, expected in (
        ({"retrain_score": 71}, (409, "INVALID_STATE")),
        ({"pass_score": 101}, (422, "VALIDATION_ERROR")),
        ({"deviation_policy": {"missing_step": "fatal"}}, (422, "VALIDATION_ERROR")),
        ({"colour": "red"}, (422, "VALIDATION_ERROR")),
    ):
        assert error_of(service.client.put("/task-profile", json=body)) == expected
    assert service.client.get("/task-profile").json() == changed
    assert error_of(service.client.get("/task-profile?task_id=none"))[0] == 404


def test_step_definitions_round_trip_and_refuse_nonsense(service: Service) -> None:
    path = "/tasks/steps?task_id=raw"
    steps = [
        {"step_index": 0, "name_ja": "取外し", "start_sec": 0, "end_sec": 5, "is_critical": True},
        {"step_index": 1, "name_en": "Clean", "start_sec": 5, "end_sec": 9.5, "kind": "cyclic"},
    ]
    stored = service.client.put(path, json={"steps": steps}).json()
    assert (stored["step_count"], stored["steps"][0]["name_ja"]) == (2, "取外し")
    assert [step["kind"] for step in stored["steps"]] == [None, "cyclic"]
    assert service.client.get(path).json() == stored
    for bad in (
        [{"step_index": 0, "start_sec": 5, "end_sec": 1}],
        [{"step_index": 0, "min_duration_sec": "long"}],
        [{"step_index": 0, "colour": "red"}],
        [{"step_index": 0}, {"step_index": 0}],
    ):
        status, code = error_of(service.client.put(path, json={"steps": bad}))
        assert (status, code) == (422, "BAD_STEPS")
    assert service.client.get(path).json() == stored
    beyond = [{"step_index": 0, "start_sec": 0, "end_sec": 500}]
    assert error_of(service.client.put("/tasks/steps", json={"steps": beyond}))[0] == 422
    assert service.client.delete(path).json() == {"task_id": "raw", "deleted_count": 2}
    assert service.client.get(path).json()["step_count"] == 0


def test_metrics_parse_and_count_what_happened(service: Service) -> None:
    response = service.client.get("/metrics", headers={"X-API-Key": ""})
    families = {f.name: f for f in text_string_to_metric_families(response.text)}
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    done = {
        (family, sample.labels["status"]): sample.value
        for family in ("sopilot_ingest_jobs", "sopilot_score_jobs")
        for sample in families[family].samples
    }
    assert done["sopilot_ingest_jobs", "completed"] >= 2
    assert done["sopilot_score_jobs", "completed"] >= 1
    assert done["sopilot_score_jobs", "queued"] >= done["sopilot_score_jobs", "completed"]
    for name in (
        "sopilot_queue_depth",
        "sopilot_job_duration_seconds",
        "sopilot_video_clips_total",
        "sopilot_build_info",
        "sopilot_info",
    ):
        assert name in response.text
    buckets = [
        s.value
        for s in families["sopilot_job_duration_seconds"].samples
        if s.labels.get("job_type") == "ingest" and s.name.endswith("_bucket")
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] >= 2


def test_public_routes_need_no_key_and_others_do(service: Service) -> None:
    bare = {"X-API-Key": "wrong"}
    for prefix in ("", "/api/v1", "/sop"):
        for path in ("/health", "/readiness", "/status", "/metrics"):
            assert service.client.get(prefix + path, headers=bare).status_code == 200
        for path in ("/health", "/readiness"):
            head = service.client.head(prefix + path, headers=bare)
            assert (head.status_code, head.content) == (200, b"")
        assert error_of(service.client.get(prefix + "/videos", headers=bare)) == (
            401,
            "UNAUTHORIZED",
        )
        assert service.client.get(prefix + "/videos").status_code == 200
    assert service.client.get("/status", headers=bare).json()["data_dir"] is None
    assert service.client.get("/status").json()["data_dir"] == str(service.folder)


def test_health_has_the_documented_shape(service: Service) -> None:
    body = service.client.get("/health").json()
    assert (body["status"], body["db"]) == ("healthy", True)
    assert body["checks"]["database"]["status"] == "up"
    assert body["checks"]["disk"]["writable"] is True
    embedder = {"status": "up", "name": "color-motion-v2", "failed_over": False}
    assert body["checks"]["embedder"] == embedder
    ready = service.client.get("/readiness").json()
    details = {"database": "ok", "embedder": "ok", "disk": "ok"}
    assert ready == {"ready": True, "details": details}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nowhere", (404, "NOT_FOUND")),
        ("PUT", "/health", (405, "METHOD_NOT_ALLOWED")),
        ("GET", "/videos/99999", (404, "VIDEO_NOT_FOUND")),
        ("GET", "/videos?limit=0", (422, "VALIDATION_ERROR")),
        ("GET", "/score?status=odd", (422, "VALIDATION_ERROR")),
        ("GET", "/score/none", (404, "SCORE_JOB_NOT_FOUND")),
        ("GET", "/videos/jobs/none", (404, "JOB_NOT_FOUND")),
    ],
)
def test_one_envelope_for_every_failure(
    service: Service, method: str, path: str, expected: tuple[int, str]
) -> None:
    response = service.client.request(method, path, headers={"X-Request-ID": "trace-1"})
    assert error_of(response) == expected
    assert response.headers["X-Request-ID"] == "trace-1"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_harmful_request_id_is_replaced(service: Service) -> None:
    response = service.client.get("/health", headers={"X-Request-ID": "a b"})
    assert response.headers["X-Request-ID"] not in {"a b", ""}


def test_the_documentation_page_is_complete_and_fetches_nothing(service: Service) -> None:
    page = service.client.get("/docs")
    schema = service.client.get("/openapi.json").json()
    assert page.status_code == 200
    assert [path for path in schema["paths"] if path not in page.text] == []
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "<script" not in page.text


def test_an_unforeseen_failure_is_an_envelope_without_a_trace(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("sopilot.sop.queries.list_tasks", crash)
    with structlog.testing.capture_logs() as logs:
        response = service.client.get("/tasks")
    assert error_of(response) == (500, "INTERNAL_ERROR")
    assert "secret detail" not in response.text
    assert [entry["path"] for entry in logs if entry["event"] == "request.crashed"] == ["/tasks"]
