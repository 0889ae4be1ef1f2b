"""What a command knows of its surroundings."""

from __future__ import annotations

import os

import pytest

from sopilot.cli.local import requester


def test_a_user_without_a_name_is_named_by_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)  # as in a container: no passwd entry
    assert requester() == "cli:uid-54321"
    monkeypatch.setenv("USER", "hana")
    assert requester() == "cli:hana"
