"""The smoke test of the quickstart against a started service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_process import KEY, Server

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/smoke_test.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("smoke"))
    made.start()
    yield made
    made.stop()


def run(*arguments: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


def test_a_working_service_passes_nine_checks_and_keeps_nothing(server: Server) -> None:
    address = str(server.client.base_url)
    code, lines = run("--url", address, "--api-key", KEY)
    assert lines[-1] == "All checks passed (9/9)", lines
    assert code == 0
    assert [line.partition(" ")[0] for line in lines[:-1]] == [f"[{k}/9]" for k in range(1, 10)]
    assert server.client.get("/videos").json()["items"] == []
    assert server.client.get("/score").json()["items"] == []


def test_a_wrong_key_fails_the_checks_that_need_one(server: Server) -> None:
    code, lines = run("--url", str(server.client.base_url), "--api-key", "wrong")
    assert (code, lines[-1]) == (1, "7 of 9 checks failed")
    assert "health: ok" in lines[0]
    assert "answers 401" in lines[2]
    assert "there is no video gold" in lines[5]


def test_where_nothing_listens_nothing_passes() -> None:
    code, lines = run("--url", "http://127.0.0.1:9")
    assert (code, lines[-1]) == (1, "9 of 9 checks failed")
