"""SIGKILL and SIGTERM in any phase of a job: after restart it has ended exactly once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from service_process import Server, write_bench

_SEED = 20_261_120


def _cases(count: int) -> list[tuple[str, float]]:
    """(victim, seconds after the upload was accepted), seeded."""
    draw = random.Random(_SEED)
    return [(("server", "worker")[i % 2], round(draw.uniform(0.0, 4.0), 2)) for i in range(count)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bench(tmp_path_factory.mktemp("clips") / "bench.mp4", 12.0)


def _blob_count(server: Server) -> int:
    """Stored files, without what a killed process was about to store: the sweep's, in an hour."""
    return len([name for name in server.files() if not name.startswith("raw/.staged/")])


def check_ingest_survives(server: Server, clip: Path, victim: str, delay_sec: float) -> None:
    accepted = server.upload("/gold", clip, "?async=true").json()
    uid = accepted["ingest_job_id"]
    time.sleep(delay_sec)
    if victim == "server":
        server.kill()
        server.start()
    else:
        server.kill_worker()
    server.wait_for(lambda: server.job_state(uid) == "completed")
    assert server.rows("SELECT id, status, gold_version FROM videos") == [(1, "ready", 1)]
    assert server.rows("SELECT count(*) FROM jobs WHERE state = 'completed'") == [(1,)]
    assert server.rows("SELECT count(DISTINCT kind), count(*) FROM derived") == [(3, 3)]
    server.wait_for(lambda: _blob_count(server) == 4)
    assert server.audit_problems() == []


@pytest.mark.parametrize(("victim", "delay_sec"), _cases(2))
def test_an_ingest_ends_exactly_once(
    server: Server, clip: Path, victim: str, delay_sec: float
) -> None:
    check_ingest_survives(server, clip, victim, delay_sec)


@pytest.mark.soak
@pytest.mark.parametrize(("victim", "delay_sec"), _cases(60)[2:])
def test_an_ingest_ends_exactly_once_wherever_it_is_hit(
    server: Server, clip: Path, victim: str, delay_sec: float
) -> None:
    check_ingest_survives(server, clip, victim, delay_sec)


def check_score_survives(server: Server, clip: Path, victim: str, delays_sec: list[float]) -> None:
    assert server.upload("/gold", clip).status_code == 200
    for number, delay_sec in enumerate(delays_sec, start=1):
        order = {"gold_video_id": 1, "trainee_video_id": 1}
        job_id = server.client.post("/score", json=order).json()["job_id"]
        time.sleep(delay_sec)
        if victim == "server":
            server.kill()
            server.start()
        else:
            server.kill_worker()
        done = server.wait_for(lambda wanted=job_id: server.ended_score(wanted))
        assert (done["status"], done["error"]) == ("completed", None)
        assert server.rows("SELECT count(*) FROM scores WHERE result IS NOT NULL") == [(number,)]
    assert len(set(server.rows("SELECT result FROM scores"))) == 1
    ended = "SELECT count(*) FROM audit_log WHERE action = 'score.completed'"
    assert server.rows(ended) == [(len(delays_sec),)]
    assert server.audit_problems() == []


def test_a_score_ends_exactly_once(server: Server, clip: Path) -> None:
    check_score_survives(server, clip, "worker", [0.3])


@pytest.mark.soak
@pytest.mark.parametrize("victim", ["server", "worker"])
def test_a_score_ends_exactly_once_wherever_it_is_hit(
    server: Server, clip: Path, victim: str
) -> None:
    draw = random.Random(_SEED)
    check_score_survives(server, clip, victim, [draw.uniform(0.0, 1.5) for _ in range(20)])


def test_sigterm_gives_a_running_job_back(server: Server, clip: Path) -> None:
    uid = server.upload("/gold", clip, "?async=true").json()["ingest_job_id"]
    server.wait_for(lambda: server.job_state(uid) != "queued")
    assert server.stop()
    [(state, attempt)] = server.rows("SELECT state, attempt FROM jobs")
    assert (state, attempt) in {("queued", 0), ("completed", 1)}
    server.start()
    server.wait_for(lambda: server.job_state(uid) == "completed")
    assert server.rows("SELECT attempt FROM jobs") == [(1,)]
    server.wait_for(lambda: len(server.files()) == 4)
