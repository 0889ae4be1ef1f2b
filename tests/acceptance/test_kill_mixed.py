"""SIGKILL in the middle of mixed work: after restart every accepted job has ended once."""

from __future__ import annotations

import random
import time
from pathlib import Path
from threading import Thread

import pytest
from mixed_work import MixedWork, check_all_ended, check_nothing_is_left
from service_process import Server, write_bench

from benchmarks.footage import renamed
from sopilot.core.config import load_settings
from sopilot.runtime import close_runtime, open_runtime

_SEED = 20_261_126
_REQUESTS = 12
"""Per kill, when the service lives that long."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bench(tmp_path_factory.mktemp("clips") / "bench.mp4", 8.0)


def begin(server: Server, clip: Path, folder: Path) -> MixedWork:
    """A gold and two trainee videos that are ready."""
    made = []
    for name, route in (("gold", "/gold"), ("one", "/videos"), ("two", "/videos")):
        path = renamed(clip, folder / f"{name}.mp4", name)
        made.append(server.upload(route, path).json()["video_id"])
    return MixedWork(random.Random(_SEED), clip, folder, made[0], made[1:])


def strike(server: Server, work: MixedWork, draw: random.Random) -> None:
    """Work until a random moment, kill the service or its workers, and let the rest finish."""
    thread = Thread(target=work.run, args=(server.client.base_url, _REQUESTS))
    thread.start()
    time.sleep(draw.uniform(0.0, 3.0))
    if draw.random() < 0.7:
        server.kill()
        thread.join()
        server.start()
    else:
        server.kill_worker()
        thread.join()
    still = "SELECT count(*) FROM jobs WHERE state NOT IN ('completed', 'failed', 'cancelled')"
    server.wait_for(lambda: server.rows(still) == [(0,)])


def check_kills(server: Server, clip: Path, folder: Path, count: int) -> None:
    work = begin(server, clip, folder)
    draw = random.Random(_SEED + 1)
    runtime = open_runtime(load_settings(data_dir=server.data_dir))
    try:
        for _ in range(count):
            strike(server, work, draw)
            check_all_ended(server, work)
            check_nothing_is_left(server, runtime)
    finally:
        close_runtime(runtime)
    assert work.scores
    assert work.ingests


def test_mixed_work_survives_five_kills(server: Server, clip: Path, tmp_path: Path) -> None:
    check_kills(server, clip, tmp_path, 5)


@pytest.mark.soak
def test_mixed_work_survives_a_hundred_kills(server: Server, clip: Path, tmp_path: Path) -> None:
    check_kills(server, clip, tmp_path, 100)
