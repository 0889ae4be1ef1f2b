"""Settings change what they name; those whose effect no other test shows. See
tests/unit/test_settings_table.py for which test shows which.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_parts import add, open_test_runtime, work
from sqlalchemy import select
from test_api_service import Service, serving

from sopilot import worker
from sopilot.api.app import create_app
from sopilot.core.records import Role
from sopilot.jobs.outbox import receiver_of
from sopilot.library import ingest
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop.training import watch_the_clock
from sopilot.store.tables import jobs

_ADDRESS = re.compile(r"listening on (http://\S+)")


@contextmanager
def started(folder: Path, **variables: str) -> Iterator[tuple[str, list[str]]]:
    """`sopilot serve` with these variables: its address, and the lines it has written by then."""
    own = {"SOPILOT_DATA_DIR": str(folder), "SOPILOT_SCORE_WORKERS": "1"} | variables
    process = subprocess.Popen(
        [sys.executable, "-m", "sopilot.cli.app", "serve"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | own,
    )
    assert process.stderr is not None
    lines: list[str] = []
    try:
        while not (found := _ADDRESS.search("".join(lines))):
            line = process.stderr.readline()
            assert line, lines
            lines.append(line)
        while True:  # the service answers only after all of its start was logged
            try:
                httpx.get(f"{found[1]}/health")
                break
            except httpx.TransportError:
                assert process.poll() is None
        yield found[1], lines
    finally:
        process.terminate()
        lines += process.communicate(timeout=60)[1].splitlines(keepends=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))
        return int(probe.getsockname()[1])


def test_the_service_listens_and_stores_where_it_is_told(tmp_path: Path) -> None:
    port = free_port()
    wanted = {"SOPILOT_HOST": "127.0.0.2", "SOPILOT_PORT": str(port)}
    with started(tmp_path / "data", **wanted) as (address, _):
        assert address == f"http://127.0.0.2:{port}"
        assert httpx.get(f"{address}/readiness").json()["ready"]
    assert (tmp_path / "data" / "sopilot.db").is_file()


@pytest.mark.parametrize(
    ("variables", "is_json", "is_told"),
    [
        ({}, True, True),
        ({"SOPILOT_LOG_JSON": "false"}, False, True),
        ({"SOPILOT_LOG_JSON": "true", "SOPILOT_LOG_FORMAT": "console"}, False, True),
        ({"SOPILOT_LOG_LEVEL": "ERROR"}, True, False),
    ],
)
def test_logs_have_the_form_and_level_asked_for(
    tmp_path: Path, variables: dict[str, str], is_json: bool, is_told: bool
) -> None:
    with started(tmp_path / "data", SOPILOT_PORT="0", **variables) as (_, lines):
        pass
    told = [line for line in lines if "service.started" in line]
    assert bool(told) == is_told
    assert all(line.startswith("{") == is_json for line in told)


def test_browsers_may_call_from_the_listed_origins_only(tmp_path: Path) -> None:
    runtime = open_test_runtime(tmp_path, api_key="secret", cors_origins="http://ui.example")
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        for origin, allowed in (("http://ui.example", True), ("http://evil.example", False)):
            found = client.get("/health", headers={"Origin": origin})
            assert (found.headers.get("access-control-allow-origin") == origin) == allowed


def test_a_new_task_begins_with_the_defaults_of_the_settings(tmp_path: Path) -> None:
    runtime = open_test_runtime(
        tmp_path,
        api_key="secret",
        primary_task_id="line-7",
        primary_task_name="部品交換",
        default_pass_score=82,
        default_retrain_score=41,
    )
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        profile = client.get("/task-profile").json()
    assert (profile["task_id"], profile["task_name"]) == ("line-7", "部品交換")
    assert (profile["pass_score"], profile["retrain_score"]) == (82, 41)


def test_failures_are_kept_where_and_as_what_is_asked(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all\n" * 100)
    for number, is_wanted in enumerate((True, False)):
        kept = tmp_path / f"kept-{number}.jsonl"
        runtime = open_test_runtime(
            tmp_path / str(number),
            enable_failure_capsule=is_wanted,
            embedder_failure_capsule_path=kept,
            run_id="trial-1",
        )
        work(runtime, add(runtime, bad).job.id)
        close_runtime(runtime)
        assert kept.exists() == is_wanted
    line = json.loads((tmp_path / "kept-0.jsonl").read_text())
    assert (line["run_id"], line["attempt"]) == ("trial-1", 1)


def test_the_decoder_gets_the_limits_of_the_settings(
    tmp_path: Path, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    real = ingest.run_limited

    def spy(*arguments: Any, **options: Any) -> Any:
        seen.update(options)
        return real(*arguments, **options)

    monkeypatch.setattr(ingest, "run_limited", spy)
    runtime = open_test_runtime(tmp_path, decoder_memory_mb=3000, decoder_cpu_seconds=77)
    work(runtime, add(runtime, clips["gold"], Role.GOLD).job.id)
    close_runtime(runtime)
    assert (seen["memory_mb"], seen["cpu_seconds"]) == (3000, 77)


def test_a_job_has_the_attempts_and_the_lease_of_the_settings(
    tmp_path: Path, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = open_test_runtime(tmp_path, job_max_retries=6, job_lease_seconds=12.5)
    add(runtime, clips["gold"], Role.GOLD)
    with runtime.database.read() as connection:
        assert connection.execute(select(jobs.c.max_attempts)).scalars().all() == [7]
    seen: dict[str, Any] = {}
    monkeypatch.setattr(worker, "run_worker", lambda *_, **options: seen.update(options))
    worker.run_standalone(runtime.settings, burst=True)
    close_runtime(runtime)
    assert seen["lease_sec"] == 12.5


def test_deliveries_take_the_time_and_the_tries_of_the_settings(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/hook"
    runtime = open_test_runtime(
        tmp_path, webhook_url=url, webhook_timeout_sec=1.5, webhook_max_attempts=3
    )
    receiver = receiver_of(runtime.settings)
    close_runtime(runtime)
    assert receiver is not None
    assert (receiver.url, receiver.timeout_sec, receiver.max_attempts) == (url, 1.5, 3)


def test_the_scheduler_looks_as_often_as_the_settings_say(tmp_path: Path) -> None:
    class Clock(threading.Event):
        waits: list[float | None] = []  # noqa: RUF012

        def wait(self, timeout: float | None = None) -> bool:
            self.waits.append(timeout)
            self.set()
            return True

    runtime = open_test_runtime(tmp_path, nightly_enabled=True, nightly_check_sec=7)
    watch_the_clock(runtime, Clock())
    close_runtime(runtime)
    assert Clock.waits == [7]


def test_without_the_adapter_a_training_is_skipped_with_the_reason(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    runtime: Runtime = open_test_runtime(
        tmp_path, api_key="secret", enable_feature_adapter=False, nightly_min_new_videos=0
    )
    with serving(create_app(runtime=runtime, with_workers=False)) as client:
        service = Service(client, tmp_path, clips)
        uid = service.client.post("/train/nightly").json()["training_job_id"]
        work(runtime, 1)
        found = client.get(f"/train/jobs/{uid}").json()
    assert found["status"] == "skipped"
    assert "SOPILOT_ENABLE_FEATURE_ADAPTER" in found["result"]["reason"]
