"""Settings: names, defaults, nonsense."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sopilot.core.config import load_settings
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


def test_a_user_without_a_home_is_told_to_name_the_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)  # as in a container: no passwd entry
    with pytest.raises(BadSettings, match="SOPILOT_DATA_DIR"):
        load_settings()
    assert load_settings(data_dir=tmp_path).data_dir == tmp_path


def test_the_address_of_a_model_holds_no_password() -> None:
    with pytest.raises(BadSettings, match="SOPILOT_VLM_API_KEY") as caught:
        load_settings(vlm_url="http://bob:hidden@model.local:8000/v1")
    assert "hidden" not in caught.value.message
