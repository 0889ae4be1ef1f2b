"""What the tests with real model code share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def backend() -> None:
    """Skip where torch and transformers are not; with `ml` in SOPILOT_TEST_REQUIRE that fails."""
    if "ml" not in os.environ.get("SOPILOT_TEST_REQUIRE", "").split(","):
        pytest.importorskip("torch")
        pytest.importorskip("transformers")
