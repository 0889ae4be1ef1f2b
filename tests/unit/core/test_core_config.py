"""Settings: names, defaults, nonsense."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sopilot.core.config import (
    child_environment,
    effective_settings,
    load_settings,
    unknown_variables,
)
from sopilot.core.errors import BadSettings


@pytest.mark.parametrize(
    ("variable", "value", "field", "wanted"),
    [
        ("SOPILOT_PORT", "8123", "port", 8123),
        ("SOPILOT_UPLOAD_MAX_MB", "7", "max_upload_mb", 7),
        ("SOPILOT_SCORE_JOB_MAX_RETRIES", "0", "job_max_retries", 0),
        ("SOPILOT_CORS_ORIGINS", "http://a, http://b", "cors_origins", ("http://a", "http://b")),
        ("SOPILOT_ENFORCE_PRIMARY_TASK", "yes", "enforce_primary_task", True),
        (
            "VIGIL_POSTGRES_URL",
            "postgresql://u@h/d",
            "resolved_database_url",
            "postgresql+psycopg://u@h/d",
        ),
        ("DB_URL", "sqlite+aiosqlite:///x.db", "resolved_database_url", "sqlite:///x.db"),
    ],
)
def test_variables_reach_their_field(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, wanted: object
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(load_settings(), field) == wanted


def test_the_first_name_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPILOT_UPLOAD_MAX_MB", "7")
    monkeypatch.setenv("SOPILOT_MAX_UPLOAD_MB", "9")
    assert load_settings().max_upload_mb == 9


def test_retrain_above_pass_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPILOT_DEFAULT_RETRAIN_SCORE", "80")
    with pytest.raises(BadSettings, match="must not exceed"):
        load_settings()


def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPILOT_PORT", "99999")
    with pytest.raises(BadSettings, match="99999"):
        load_settings()


def test_unknown_variables_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPILOT_PROT", "1")
    monkeypatch.setenv("SOPILOT_VJEPA2_VARIANT", "vjepa2_vit_huge")
    found = unknown_variables()
    assert list(found) == ["SOPILOT_PROT", "SOPILOT_VJEPA2_VARIANT"]
    assert "spelling" in found["SOPILOT_PROT"]
    assert "V-JEPA 2" in found["SOPILOT_VJEPA2_VARIANT"]


@pytest.mark.parametrize(
    ("variable", "refused", "allowed"),
    [
        ("SOPILOT_QUEUE_BACKEND", "rq", "inline"),
        ("SOPILOT_DTW_USE_GPU", "true", "auto"),
        ("SOPILOT_UVICORN_WORKERS", "4", "1"),
        ("SOPILOT_TRAIN_WORKERS", "2", "1"),
        ("SOPILOT_NEURAL_MODE", "true", "False"),
        ("SOPILOT_WEIGHT_MISS", "12", ""),
        ("SOPILOT_DEVIATION_THRESHOLD", "0.25", ""),
        ("SOPILOT_RUN_SEED", "7", ""),
        ("SOPILOT_REPORT_TITLE", "Ours", ""),
    ],
)
def test_what_cannot_be_honoured_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, variable: str, refused: str, allowed: str
) -> None:
    monkeypatch.setenv(variable, refused)
    with pytest.raises(BadSettings, match=f"{variable}={refused} cannot be honoured"):
        load_settings()
    monkeypatch.setenv(variable, allowed)
    load_settings()


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


def test_a_user_without_a_home_is_told_to_name_the_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)  # as in a container: no passwd entry
    with pytest.raises(BadSettings, match="SOPILOT_DATA_DIR"):
        load_settings()
    assert load_settings(data_dir=tmp_path).data_dir == tmp_path


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
