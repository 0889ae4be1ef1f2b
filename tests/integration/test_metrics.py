"""Every documented metric moves when what it counts happens, over HTTP, on both databases.

One story is told per database and /metrics is read between its scenes; each test looks at one name.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from httpx import Client
from prometheus_client.parser import text_string_to_metric_families
from service_parts import open_test_runtime, write_procedure
from sqlalchemy import insert
from test_api_service import Service, serving

from sopilot.api.app import create_app
from sopilot.api.metrics import MOST_TASKS
from sopilot.jobs.loop import run_worker
from sopilot.runtime import Runtime
from sopilot.store.tables import tasks, videos
from sopilot.store.times import now_text
from sopilot.worker import kinds_of

NAMES = {
    "sopilot_ingest_jobs_total": "counter",
    "sopilot_score_jobs_total": "counter",
    "sopilot_training_jobs_total": "counter",
    "sopilot_job_duration_seconds": "histogram",
    "sopilot_dtw_execution_seconds": "histogram",
    "sopilot_embedding_generation_seconds": "histogram",
    "sopilot_queue_depth": "gauge",
    "sopilot_gpu_memory_bytes": "gauge",
    "sopilot_video_clips_total": "gauge",
    "sopilot_active_workers": "gauge",
    "sopilot_build_info": "gauge",
    "sopilot_embed_requests_total": "counter",
    "sopilot_embed_primary_successes_total": "counter",
    "sopilot_embed_fallback_uses_total": "counter",
    "sopilot_embed_failure_capsules_total": "counter",
    "sopilot_embed_failed_over": "gauge",
    "sopilot_embed_permanently_failed": "gauge",
    "sopilot_embed_retry_interval_seconds": "gauge",
    "sopilot_vram_free_bytes": "gauge",
    "sopilot_vram_total_bytes": "gauge",
    "sopilot_info": "gauge",
}
"""Section 2.5 of the contract."""

Sample = tuple[str, tuple[tuple[str, str], ...]]


class Scrape(dict[Sample, float]):
    """The samples of one reading of /metrics."""

    def __init__(self, client: Client) -> None:
        self.text = client.get("/metrics").raise_for_status().text
        families = text_string_to_metric_families(self.text)
        super().__init__(
            ((s.name, tuple(sorted(s.labels.items()))), s.value)
            for f in families
            for s in f.samples
        )

    def of(self, name: str, **labels: str) -> float:
        """One sample; missing ones count as 0, as in Prometheus' rates."""
        return self.get((name, tuple(sorted(labels.items()))), 0.0)


@dataclass(slots=True)
class Story:
    """What /metrics said after each scene, and the figures seen while the work went on."""

    service: Service
    scenes: dict[str, Scrape] = field(default_factory=dict)
    most_busy: float = 0.0

    def mark(self, scene: str) -> None:
        self.scenes[scene] = Scrape(self.service.client)

    def moved(self, before: str, after: str, name: str, **labels: str) -> float:
        return self.scenes[after].of(name, **labels) - self.scenes[before].of(name, **labels)

    def watch(self, job_uid: str) -> None:
        """Scrape until an ingest job has ended."""
        while True:
            now = Scrape(self.service.client)
            busy = now.of("sopilot_active_workers", queue_name="ingest")
            self.most_busy = max(self.most_busy, busy)
            job = self.service.client.get(f"/videos/jobs/{job_uid}").json()
            if job["status"] in {"completed", "failed"}:
                return
            time.sleep(0.02)


@contextmanager
def working(runtime: Runtime) -> Iterator[None]:
    """A worker, as long as the block lasts."""
    stop = threading.Event()
    arguments = (runtime.database, kinds_of(runtime), stop)
    worker = threading.Thread(target=run_worker, args=arguments, daemon=True)
    worker.start()
    yield
    stop.set()
    worker.join()


def tell(story: Story, runtime: Runtime) -> None:
    """All that can happen to jobs, videos and scores."""
    service = story.service
    client = service.client
    story.mark("start")
    job_uid = service.upload("/gold?async=true", "gold").json()["ingest_job_id"]
    story.mark("gold queued")
    with working(runtime):
        story.watch(job_uid)
        story.mark("gold ready")
        assert service.upload("/videos", "text").status_code == 400
        story.mark("upload failed")
        assert service.upload("/videos", "swapped").json()["video_id"] == 3
        client.post("/score", json={"gold_video_id": 1, "trainee_video_id": 3})
        assert service.finished(1)["status"] == "completed"
        story.mark("scored")
        training = client.post("/train/nightly").json()["training_job_id"]
        while client.get(f"/train/jobs/{training}").json()["status"] in {"queued", "running"}:
            time.sleep(0.05)
        story.mark("trained")
    client.post("/score", json={"gold_video_id": 1, "trainee_video_id": 3})
    client.post("/score/2/cancel").raise_for_status()
    story.mark("cancelled")
    client.delete("/videos/3?force=true").raise_for_status()
    story.mark("deleted")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    (folder / "text.mp4").write_bytes(b"no video at all\n" * 100)
    return {
        "gold": write_procedure(folder / "gold.mp4", (0, 1, 2), 4.0),
        "swapped": write_procedure(folder / "swapped.mp4", (0, 2, 1), 4.0),
        "text": folder / "text.mp4",
    }


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def story(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    clips: dict[str, Path],
) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    is_sqlite = request.param == "sqlite"
    url = None if is_sqlite else request.getfixturevalue("postgres").emptied()
    runtime = open_test_runtime(
        folder,
        url,
        api_key="secret",
        enable_failure_capsule=True,
        build_commit="abc123",
        build_date="2026-02-28",
    )
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        made = Story(Service(client, runtime.blobs.root, clips))
        tell(made, runtime)
        yield made


def test_every_name_has_its_type(story: Story) -> None:
    lines = story.scenes["start"].text.splitlines()
    types = dict(line.split()[2:] for line in lines if line.startswith("# TYPE"))
    assert {name: types.get(name) for name in NAMES} == NAMES


@pytest.mark.parametrize(
    ("before", "after", "name", "labels", "by"),
    [
        ("start", "gold queued", "sopilot_ingest_jobs_total", {"status": "queued"}, 1),
        ("start", "gold queued", "sopilot_queue_depth", {"queue_name": "ingest"}, 1),
        ("gold queued", "gold ready", "sopilot_queue_depth", {"queue_name": "ingest"}, -1),
        ("gold queued", "gold ready", "sopilot_ingest_jobs_total", {"status": "running"}, 1),
        ("gold queued", "gold ready", "sopilot_ingest_jobs_total", {"status": "completed"}, 1),
        ("gold ready", "upload failed", "sopilot_ingest_jobs_total", {"status": "failed"}, 1),
        ("gold queued", "gold ready", "sopilot_embed_requests_total", {}, 1),
        ("gold queued", "gold ready", "sopilot_embed_primary_successes_total", {}, 1),
        ("gold ready", "upload failed", "sopilot_embed_requests_total", {}, 1),
        ("gold ready", "upload failed", "sopilot_embed_primary_successes_total", {}, 0),
        ("gold ready", "upload failed", "sopilot_embed_failure_capsules_total", {}, 1),
        (
            "gold queued",
            "gold ready",
            "sopilot_job_duration_seconds_count",
            {"job_type": "ingest"},
            1,
        ),
        (
            "gold queued",
            "gold ready",
            "sopilot_embedding_generation_seconds_count",
            {"embedder_type": "color-motion"},
            1,
        ),
        ("upload failed", "scored", "sopilot_score_jobs_total", {"status": "completed"}, 1),
        ("upload failed", "scored", "sopilot_dtw_execution_seconds_count", {"use_gpu": "false"}, 1),
        (
            "upload failed",
            "scored",
            "sopilot_job_duration_seconds_count",
            {"job_type": "score"},
            1,
        ),
        (
            "scored",
            "trained",
            "sopilot_training_jobs_total",
            {"status": "queued", "trigger": "manual"},
            1,
        ),
        (
            "scored",
            "trained",
            "sopilot_training_jobs_total",
            {"status": "skipped", "trigger": "manual"},
            1,
        ),
        (
            "scored",
            "trained",
            "sopilot_job_duration_seconds_count",
            {"job_type": "training"},
            1,
        ),
        ("trained", "cancelled", "sopilot_score_jobs_total", {"status": "cancelled"}, 1),
        ("trained", "cancelled", "sopilot_queue_depth", {"queue_name": "score"}, 0),
    ],
)
def test_an_event_moves_its_figure(
    story: Story, before: str, after: str, name: str, labels: dict[str, str], by: float
) -> None:
    assert story.moved(before, after, name, **labels) == by


def test_a_busy_worker_is_counted_while_it_works(story: Story) -> None:
    assert story.most_busy == 1
    assert story.scenes["deleted"].of("sopilot_active_workers", queue_name="ingest") == 0


def test_clips_are_those_of_ready_videos(story: Story) -> None:
    task = {"task_id": "pilot_task"}
    assert story.moved("gold queued", "gold ready", "sopilot_video_clips_total", **task) > 0
    assert story.moved("cancelled", "deleted", "sopilot_video_clips_total", **task) < 0


def test_no_counter_falls_when_jobs_are_deleted(story: Story) -> None:
    before, after = story.scenes["cancelled"], story.scenes["deleted"]
    growing = {key for key in before if key[0].endswith(("_total", "_count", "_sum", "_bucket"))}
    growing = {key for key in growing if key[0] != "sopilot_video_clips_total"}
    assert len(growing) > 50
    assert {key for key in growing if after[key] < before[key]} == set()


def test_buckets_are_cumulative_and_end_at_the_count(story: Story) -> None:
    found: dict[str, list[tuple[float, float]]] = {}
    for (name, labels), value in story.scenes["deleted"].items():
        if name == "sopilot_job_duration_seconds_bucket":
            given = dict(labels)
            found.setdefault(given["job_type"], []).append((float(given["le"]), value))
    assert set(found) == {
        "ingest", "score", "training", "incident", "vigil_index", "vigil_detect", "vigil_texts",
    }  # fmt: skip
    for kind, pairs in found.items():
        values = [value for _, value in sorted(pairs)]
        assert values == sorted(values)
        count = story.scenes["deleted"].of("sopilot_job_duration_seconds_count", job_type=kind)
        assert values[-1] == count
    assert [bound for bound, _ in sorted(found["score"])][:2] == [0.1, 0.5]


def test_what_runs_is_told(story: Story) -> None:
    [build] = [dict(key[1]) for key in story.scenes["start"] if key[0] == "sopilot_build_info"]
    [about] = [dict(key[1]) for key in story.scenes["start"] if key[0] == "sopilot_info"]
    assert set(build) == {"version", "commit", "build_date"}
    assert (build["commit"], build["build_date"]) == ("abc123", "2026-02-28")
    assert (about["task_id"], about["embedder"]) == ("pilot_task", "color-motion-v2")


def test_a_capsule_tells_the_cause_and_names_nobody(story: Story) -> None:
    path = story.service.folder / "embedder_failures.jsonl"
    [line] = [json.loads(line) for line in path.read_text().splitlines()]
    assert (line["embedder"], line["video_id"], line["code"]) == (
        "color-motion",
        2,
        "UNDECODABLE_VIDEO",
    )
    assert "text.mp4" not in path.read_text()


def test_the_status_tells_the_same_of_the_embedder(story: Story) -> None:
    stats: dict[str, Any] = story.service.client.get("/status").json()["embedder_stats"]
    last = story.scenes["deleted"]
    for name in ("requests", "primary_successes", "fallback_uses", "failure_capsules"):
        assert stats[f"{name}_total"] == last.of(f"sopilot_embed_{name}_total")


def test_a_backend_that_stands_in_is_counted_and_shown(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    runtime = open_test_runtime(tmp_path, api_key="secret", embedder_backend="vjepa2")
    with serving(create_app(runtime=runtime, with_workers=False)) as client, working(runtime):
        assert Service(client, runtime.blobs.root, clips).upload("/gold", "gold").is_success
        now = Scrape(client)
        health = client.get("/health")
        video = client.get("/videos/1").json()
    assert now.of("sopilot_embed_fallback_uses_total") == 1
    assert now.of("sopilot_embed_primary_successes_total") == 0
    assert now.of("sopilot_embed_failed_over") == 1
    assert now.of("sopilot_embed_permanently_failed") == 1
    assert now.of("sopilot_embed_retry_interval_seconds") == 0
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["checks"]["embedder"]["failed_over"] is True
    assert video["embedding_model"] == "color-motion-v2"


def test_tasks_beyond_a_limit_share_one_series(tmp_path: Path) -> None:
    runtime = open_test_runtime(tmp_path, api_key="secret")
    now = now_text()
    with runtime.database.write() as connection:
        for number in range(MOST_TASKS + 5):
            times = {"created_at": now, "updated_at": now, "uid": str(number)}
            profile = {"pass_score": 60, "retrain_score": 50, "version": 1, "task_name": "x"}
            profile |= {"default_weights": {}, "deviation_policy": {}}
            task = {"task_id": f"t{number}"}
            connection.execute(insert(tasks).values(**task, **profile, **times))
            video = {"role": "gold", "status": "ready", "sha256": "0", "size_bytes": 1}
            video |= {"clip_count": 2, "enforce_quality": False}
            connection.execute(insert(videos).values(**task, **video, **times))
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        now_seen = Scrape(client)
    series = [key for key in now_seen if key[0] == "sopilot_video_clips_total"]
    assert len(series) == MOST_TASKS + 1
    assert now_seen.of("sopilot_video_clips_total", task_id="") == 10
