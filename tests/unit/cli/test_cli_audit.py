"""`sopilot audit`: what is verified, what is seen, and with which exit code."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from typer.testing import CliRunner, Result

from sopilot.cli.app import app
from sopilot.core.config import load_settings
from sopilot.core.errors import InputError
from sopilot.core.records import Actor
from sopilot.ops.audit_export import export_trail, sign
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.store.audit import Action, record
from sopilot.store.engine import open_database
from sopilot.store.tables import audit_log

KEY = "signing-key"
BY = Actor("token:admin", "admin")
ROOT = Path(__file__).resolve().parents[3]


def _write(runtime: Runtime, count: int) -> None:
    with runtime.database.write() as connection:
        for number in range(count):
            record(connection, BY, Action.VIDEO_CHANGED, "video:1", detail={"number": number})


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of six rows; the data folder beside it has them and its own row."""
    runtime = open_runtime(load_settings(data_dir=tmp_path / "data", audit_signing_key=KEY))
    _write(runtime, 6)
    made = export_trail(runtime, BY, limit=100).path
    close_runtime(runtime)
    return made


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *(str(item) for item in arguments)])


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    payload = json.loads(path.read_text())
    change(payload)
    path.write_text(json.dumps(payload))


def test_a_whole_export_is_verified(export: Path) -> None:
    done = run("verify", export, "--key", KEY)
    assert done.exit_code == 0
    assert "verified, 6 rows, key local" in done.stdout


def test_the_key_may_lie_in_a_file_or_the_environment(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert run("verify", export, "--key-file", tmp_path / "key").exit_code == 0
    monkeypatch.setenv("SOPILOT_AUDIT_SIGNING_KEY", KEY)
    assert run("verify", export).exit_code == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload["items"].pop(2),
        lambda payload: payload["items"].reverse(),
        lambda payload: payload["items"][0].update(actor="somebody"),
        lambda payload: payload["items"][0].update(status="completed"),
        lambda payload: payload.update(generated_at="2020-01-01T00:00:00+00:00"),
        lambda payload: payload.pop("chain"),
        lambda payload: payload.pop("signature"),
        lambda payload: payload["signature"].update(signature_hex="0" * 64),
        lambda payload: payload["signature"].update(payload_sha256=None),
        lambda payload: payload["signature"].update(algorithm="none"),
        lambda payload: payload.update(items={}),
    ],
    ids=[
        "removed", "reordered", "row", "job", "moment", "chain", "unsigned", "signature", "hash",
        "algorithm", "items",
    ],
)  # fmt: skip
def test_a_changed_export_ends_with_5(export: Path, change: Callable[[Any], object]) -> None:
    _edit(export, change)
    done = run("verify", export, "--key", KEY)
    assert done.exit_code == 5
    assert str(export) in done.stderr


@pytest.mark.parametrize(
    "change",
    [
        lambda items: items.pop(2),
        lambda items: items.reverse(),
        lambda items: items[3].update(actor="somebody"),
        lambda items: items[3].update(prev_hash="0" * 64),
        lambda items: items[3].pop("detail"),
        lambda items: items[3].update(seq="4"),
    ],
    ids=["removed", "reordered", "edited", "link", "column", "type"],
)
def test_rows_that_do_not_chain_are_seen_under_a_right_signature(
    export: Path, change: Callable[[Any], object]
) -> None:
    def forge(payload: dict[str, Any]) -> None:
        change(payload["items"])
        payload["item_count"] = len(payload["items"])
        made = sign(payload, KEY, "local")
        payload["signature"].update(
            payload_sha256=made.payload_sha256, signature_hex=made.signature_hex
        )

    _edit(export, forge)
    assert run("verify", export, "--key", KEY).exit_code == 5


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": 1e999}', b"\xff", b"[" * 99999],
    ids=["empty", "cut", "list", "twice", "nan", "infinite", "bytes", "deep"],
)
def test_what_is_no_export_ends_with_5(export: Path, data: bytes) -> None:
    export.write_bytes(data)
    assert run("verify", export, "--key", KEY).exit_code == 5


def test_an_export_of_the_older_product_is_verified_by_its_signature(tmp_path: Path) -> None:
    # Signed by hand over: {"generated_at":"2026-02-01T00:00:00+00:00","item_count":1,
    # "items":[{"job_id":"a","subject":"\u7814\u4fee"}],"limit":100} without the line break.
    payload = {
        "generated_at": "2026-02-01T00:00:00+00:00",
        "limit": 100,
        "item_count": 1,
        "items": [{"job_id": "a", "subject": "研修"}],
        "signature": {
            "algorithm": "hmac-sha256",
            "key_id": "local",
            "payload_sha256": "766841da63fc8f08ddfff67ed5ddda28948671a4fc6e79906cd4ae2f5e0fb396",
            "signature_hex": "e1df7344f24782d2624bb34d38ba1875ae5e9b0e608007e54f502078693f981d",
        },
    }
    path = tmp_path / "old.json"
    path.write_text(json.dumps(payload, ensure_ascii=False))
    assert run("verify", path, "--key", "older-key").exit_code == 0
    assert run("verify", path, "--key", "other-key").exit_code == 5


def test_the_log_in_the_database_is_verified(export: Path) -> None:
    data_dir = export.parents[1]
    done = run("verify", "--data-dir", data_dir)
    assert (done.exit_code, done.stdout) == (0, "the log in the database: whole, 7 rows\n")


@pytest.mark.parametrize(
    ("statement", "is_seen_without_export"),
    [
        (update(audit_log).where(audit_log.c.seq == 3).values(actor="x"), True),
        (delete(audit_log).where(audit_log.c.seq == 3), True),
        (delete(audit_log).where(audit_log.c.seq == 1), True),
        (delete(audit_log).where(audit_log.c.seq >= 5), False),
        (delete(audit_log), False),
    ],
    ids=["edited", "removed", "first", "end", "all"],
)
def test_an_export_shows_what_the_database_lost(
    export: Path, statement: Any, is_seen_without_export: bool
) -> None:
    data_dir = export.parents[1]
    database = open_database(f"sqlite:///{data_dir / 'sopilot.db'}")
    with database.write() as connection:
        connection.execute(statement)
    database.close()
    alone = run("verify", "--data-dir", data_dir)
    assert alone.exit_code == (5 if is_seen_without_export else 0)
    assert run("verify", export, "--key", KEY, "--data-dir", data_dir).exit_code == 5


def test_a_detail_that_is_no_json_is_seen(export: Path) -> None:
    database = open_database(f"sqlite:///{export.parents[1] / 'sopilot.db'}")
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE audit_log SET detail = '{' WHERE seq = 4")
    database.close()
    assert run("verify", "--data-dir", export.parents[1]).exit_code == 5


def test_a_gap_between_exports_is_told(tmp_path: Path) -> None:
    runtime = open_runtime(load_settings(data_dir=tmp_path / "data", audit_signing_key=KEY))
    _write(runtime, 9)
    parts = [export_trail(runtime, BY, limit=3, before_seq=n).path for n in (4, 7, 10)]
    close_runtime(runtime)
    assert run("verify", *parts, "--key", KEY).exit_code == 0
    done = run("verify", parts[2], parts[0], "--key", KEY, "--json", "-")
    assert done.exit_code == 5
    assert json.loads(done.stdout)["problems"] == ["rows 4 to 6 are in no file"]


def test_the_whole_log_is_exported_in_files_that_continue_each_other(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopilot.ops.audit_export.MOST_ITEMS", 3)
    monkeypatch.setenv("SOPILOT_AUDIT_SIGNING_KEY", KEY)
    data_dir = export.parents[1]
    done = run("export", "--all", "--data-dir", data_dir)
    paths = done.stdout.split()
    assert (done.exit_code, len(paths)) == (0, 3)
    assert run("verify", *paths, "--data-dir", data_dir).exit_code == 0


def test_what_cannot_be_verified_is_wrong_usage(export: Path, tmp_path: Path) -> None:
    wanted = [
        ("verify", export),
        ("verify", tmp_path / "none.json", "--key", KEY),
        ("verify", export, "--key-file", tmp_path / "none"),
        ("verify", "--data-dir", tmp_path / "empty"),
    ]
    assert all(isinstance(run(*item).exception, InputError) for item in wanted)
    assert not (tmp_path / "empty" / "sopilot.db").exists()


def test_the_documented_script_is_a_shim_with_its_own_codes(export: Path) -> None:
    script = ROOT / "scripts" / "verify_audit_export.py"
    tree = ast.parse(script.read_text(encoding="utf-8"))
    assert len(tree.body) <= 3
    kinds = (ast.FunctionDef, ast.If, ast.For, ast.Try)
    assert not any(isinstance(node, kinds) for node in ast.walk(tree))

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, str(script), *(str(item) for item in arguments)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    good = call("--file", export, "--key", KEY)
    bad = call("--file", export, "--key", "other")
    expected = {"payload_sha256_match": True, "signature_match": True, "verified": True}
    assert (good.returncode, bad.returncode) == (0, 2)
    assert json.loads(good.stdout).items() >= expected.items()
    assert json.loads(bad.stdout)["verified"] is False
    assert call("--file", export.with_name("none"), "--key", KEY).returncode == 2
    assert call("--file", export).returncode == 2
