"""What is in force of the settings and of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopilot.core.config import load_settings
from sopilot.core.environment import child_environment, effective_settings, unknown_variables


def test_unknown_variables_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPILOT_PROT", "1")
    monkeypatch.setenv("SOPILOT_VJEPA2_VARIANT", "vjepa2_vit_huge")
    found = unknown_variables()
    assert list(found) == ["SOPILOT_PROT", "SOPILOT_VJEPA2_VARIANT"]
    assert "spelling" in found["SOPILOT_PROT"]
    assert "V-JEPA 2" in found["SOPILOT_VJEPA2_VARIANT"]


def test_secrets_are_masked_and_origins_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOPILOT_API_KEY", "hush")
    rows = {row.name: row for row in effective_settings(load_settings(data_dir=tmp_path))}
    assert "hush" not in rows["SOPILOT_API_KEY"].value
    assert rows["SOPILOT_API_KEY"].origin == "environment"
    assert rows["SOPILOT_DATA_DIR"].origin == "argument"
    assert rows["SOPILOT_PORT"].origin == "default"


def test_a_password_in_the_database_address_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPILOT_DATABASE_URL", "postgresql://u:hush@h/d")
    shown = {row.name: row.value for row in effective_settings(load_settings())}
    assert "hush" not in shown["SOPILOT_DATABASE_URL"]


def test_processes_of_ours_inherit_no_secret_that_they_do_not_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {"SOPILOT_API_KEY", "SOPILOT_AUDIT_SIGNING_KEY"}
    ours = keys | {"SOPILOT_DATABASE_URL", "DB_URL", "VIGIL_POSTGRES_URL"}
    for name in ours:
        monkeypatch.setenv(name, "x")
    assert ours & set(child_environment()) == set()
    assert ours - set(child_environment(keeps_settings=True)) == keys
    assert "PATH" in child_environment()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:pw@h:5432/d", "postgresql+psycopg://u:********@h:5432/d"),
        ("postgresql://u:p@w@h/d", "postgresql+psycopg://u:********@h/d"),
        ("postgresql://u:pw123", "postgresql+psycopg://u:********"),
        ("postgresql://h:5432/d", "postgresql+psycopg://h:5432/d"),
        ("postgresql://u:123@h/d", "postgresql+psycopg://u:********@h/d"),
        ("sqlite:////data/a@b.db", "sqlite:////data/a@b.db"),
    ],
)
def test_passwords_of_addresses_are_not_shown(url: str, shown: str) -> None:
    rows = effective_settings(load_settings(database_url=url))
    assert shown in {row.value for row in rows}
