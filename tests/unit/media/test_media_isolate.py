"""The limited child: what a file may do to it, and what the parent hears of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sopilot.core.errors import DecodeError, JobCancelled, NoFrames, SopilotError, WorkerLost
from sopilot.core.records import Progress, no_progress
from sopilot.media.isolate import run_limited

FOLDER = Path(__file__).parent


@pytest.fixture(autouse=True)
def _targets_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FOLDER))


def run(
    name: str,
    arguments: dict[str, Any] | None = None,
    progress: Progress = no_progress,
    memory_mb: int = 512,
    cpu_seconds: int = 20,
) -> dict[str, Any]:
    return run_limited(
        f"isolate_targets:{name}",
        arguments or {},
        memory_mb=memory_mb,
        cpu_seconds=cpu_seconds,
        progress=progress,
    )


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state == "Z"


def await_gone(pid: int) -> bool:
    for _ in range(100):
        if gone(pid):
            return True
        time.sleep(0.05)
    return False


def test_the_result_and_the_progress_of_another_process_arrive() -> None:
    shares: list[float] = []
    result = run("double", {"value": 21}, shares.append)
    assert result["value"] == 42
    assert result["pid"] != os.getpid()
    assert shares[-1] == 1.0


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_crash_becomes_a_decode_error_that_names_the_signal(name: str) -> None:
    with pytest.raises(DecodeError, match=name):
        run("crash", {"signal": name})


def test_a_kill_from_outside_is_no_fault_of_the_file() -> None:
    with pytest.raises(WorkerLost, match="SIGKILL") as caught:
        run("crash", {"signal": "SIGKILL"})
    assert caught.value.retryable


def test_the_child_sees_no_secret_and_has_small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOPILOT_API_KEY", "SOPILOT_DATABASE_URL", "DB_URL", "VIGIL_POSTGRES_URL"):
        monkeypatch.setenv(name, "postgresql://user:secret@host/name")
    found = run("surroundings")
    assert [name for name, value in found["environment"].items() if "user:secret" in value] == []
    assert found["open_files"] <= 256
    assert 0 < found["file_bytes"] <= 8 << 30


def test_too_much_memory_is_refused_with_the_limit_in_the_message() -> None:
    with pytest.raises(DecodeError, match="256 MB"):
        run("eat_memory", {"bytes": 1 << 30}, memory_mb=256)


def test_memory_below_the_limit_is_granted() -> None:
    assert run("eat_memory", {"bytes": 1 << 20}, memory_mb=256) == {"length": 1 << 20}


def test_too_much_cpu_is_refused_with_the_limit_in_the_message() -> None:
    with pytest.raises(DecodeError, match="1 s of CPU"):
        run("eat_cpu", cpu_seconds=1)


def test_a_typed_error_keeps_class_message_and_details() -> None:
    with pytest.raises(NoFrames, match="nothing to see") as caught:
        run("refuse")
    assert caught.value.details == {"frame_count": 0}


def test_a_defect_of_ours_is_no_fault_of_the_file() -> None:
    with pytest.raises(SopilotError, match="forgotten") as caught:
        run("defect")
    assert caught.value.code == "INTERNAL_ERROR"


def test_cancelling_kills_the_child_at_once(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def cancel(share: float) -> None:
        if share > 0:
            raise JobCancelled("the operator cancelled the job")

    started_sec = time.monotonic()
    with pytest.raises(JobCancelled):
        run("sleep", {"pid_file": str(pid_file)}, cancel)
    assert time.monotonic() - started_sec < 30
    assert gone(int(pid_file.read_text()))


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "from sopilot.media.isolate import run_limited\n"
        f"run_limited('isolate_targets:sleep', {{'pid_file': {str(pid_file)!r}}},"
        " memory_mb=512, cpu_seconds=20)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        for _ in range(400):
            if pid_file.exists() and pid_file.read_text():
                break
            time.sleep(0.05)
        parent.send_signal(signal.SIGKILL)
    assert await_gone(int(pid_file.read_text()))
