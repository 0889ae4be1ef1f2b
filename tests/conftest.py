"""What every test starts from: no setting of the machine leaks in, one database on tmp."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sopilot.store.engine import Database, open_database

# No time limits in tests: the machines are shared. CI draws the same examples every time, so that
# a red run is about the change; elsewhere every run looks at new ones.
settings.register_profile(
    "sopilot",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("sopilot")

_KEPT = {"SOPILOT_TEST_DATA", "SOPILOT_TEST_REQUIRE", "SOPILOT_TEST_QDRANT_URL"}
_OTHER_NAMES = {"DB_URL", "MODEL_VERSION", "VECTOR_BACKEND"}

if "SOPILOT_QDRANT_URL" in os.environ:  # for the contract of vector stores alone
    os.environ["SOPILOT_TEST_QDRANT_URL"] = os.environ["SOPILOT_QDRANT_URL"]
for _name in [*os.environ]:
    is_ours = _name.startswith(("SOPILOT_", "LLM_", "VIGIL_")) and _name not in _KEPT
    if is_ours or _name in _OTHER_NAMES:
        del os.environ[_name]


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database of the present version."""
    database = open_database(f"sqlite:///{tmp_path / 'sopilot.db'}")
    yield database
    database.close()
