"""The recordings that are not part of the repository, and what their absence means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("SOPILOT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
MAINTENANCE = DATA / "maintenance"


def need_footage(path: Path = MAINTENANCE) -> None:
    """Skip where the footage is not; with `footage` in SOPILOT_TEST_REQUIRE that is a failure."""
    if path.exists():
        return
    if "footage" in os.environ.get("SOPILOT_TEST_REQUIRE", "").split(","):
        pytest.fail(f"footage is required (SOPILOT_TEST_REQUIRE) but there is no {path}")
    pytest.skip(f"not run: footage (no {path}; SOPILOT_TEST_DATA names its folder)")
