"""Absent footage never passes for a test that ran."""

from __future__ import annotations

from pathlib import Path

import pytest
from footage import need_footage


def test_absent_footage_is_named_or_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_footage(tmp_path)
    monkeypatch.setenv("SOPILOT_TEST_REQUIRE", "postgres")
    with pytest.raises(pytest.skip.Exception, match="not run: footage"):
        need_footage(tmp_path / "none")
    monkeypatch.setenv("SOPILOT_TEST_REQUIRE", "postgres,footage")
    with pytest.raises(pytest.fail.Exception, match="required"):
        need_footage(tmp_path / "none")
