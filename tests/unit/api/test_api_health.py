"""Health says what is so: each part may be the one that does not work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sopilot.api.health import check_health, check_readiness
from sopilot.core.config import load_settings
from sopilot.core.errors import ModelError
from sopilot.core.records import Producer, Role
from sopilot.embed.color_motion import ColorMotionEmbedder
from sopilot.runtime import Runtime, close_runtime, open_runtime


class Broken(ColorMotionEmbedder):
    """An embedder whose model cannot be loaded."""

    def producer_for(self, role: Role) -> Producer:
        raise ModelError("the weights are not there")


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    opened = open_runtime(load_settings(data_dir=tmp_path / "data"))
    yield opened
    close_runtime(opened)


def test_all_is_well(runtime: Runtime) -> None:
    found = check_health(runtime)
    assert (found.status, found.checks.embedder.status) == ("healthy", "up")
    assert found.checks.embedder.name == "color-motion-v2"
    assert check_readiness(runtime).ready


def test_an_embedder_that_cannot_work_is_down(runtime: Runtime) -> None:
    broken = replace(runtime, embedder=Broken())
    found = check_health(broken)
    assert (found.status, found.db) == ("degraded", True)
    assert (found.checks.embedder.status, found.checks.embedder.name) == ("down", "color-motion")
    ready = check_readiness(broken)
    assert not ready.ready
    assert ready.details == {"database": "ok", "embedder": "unavailable", "disk": "ok"}


def test_a_data_folder_that_is_gone_or_full_takes_no_requests(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(total=10**9, used=10**9, free=10 << 20)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _path: full)
        assert check_readiness(runtime).details["disk"] == "unavailable"
    assert check_readiness(runtime).ready
    shutil.rmtree(runtime.blobs.root)
    found = check_readiness(runtime)
    assert (found.ready, found.details["disk"]) == (False, "unavailable")


def test_a_database_that_does_not_answer_is_down(runtime: Runtime) -> None:
    runtime.database.engine.dispose()
    for path in runtime.blobs.root.glob("sopilot.db*"):
        path.unlink()
    (runtime.blobs.root / "sopilot.db").write_bytes(b"damaged " * 2000)
    found = check_health(runtime)
    assert (found.status, found.db, found.checks.database.status) == ("unhealthy", False, "down")
    assert check_readiness(runtime).details["database"] == "unavailable"
