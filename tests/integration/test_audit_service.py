"""Reading and exporting the audit log over HTTP, on both databases."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from caller import Caller, app_of
from service_parts import add, open_test_runtime
from sqlalchemy import delete, update
from typer.testing import CliRunner

from sopilot.cli.app import app
from sopilot.core.config import load_settings
from sopilot.core.errors import StoreError
from sopilot.core.records import Actor
from sopilot.ops import audit_export
from sopilot.ops.audit_export import export_trail
from sopilot.ops.audit_verify import verify_file
from sopilot.runtime import Runtime, close_runtime
from sopilot.store.audit import Action, count_rows, record
from sopilot.store.tables import audit_log

SIGNING_KEY = "signing-key"
BY = Actor("token:admin", "admin", "request-1", "10.0.0.9")
OLDER_FIELDS = [
    "job_id",
    "job_type",
    "requested_by",
    "task_id",
    "subject",
    "status",
    "model_name",
    "score",
    "error_message",
    "queued_at",
    "started_at",
    "finished_at",
    "created_at",
]


@pytest.fixture
def runtime(tmp_path: Path, database_url: str) -> Iterator[Runtime]:
    opened = open_test_runtime(
        tmp_path, database_url, api_key="admin-key", audit_signing_key=SIGNING_KEY
    )
    yield opened
    close_runtime(opened)


@pytest.fixture
def client(runtime: Runtime) -> Caller:
    return Caller(app_of(runtime))


def _write(runtime: Runtime, count: int, **changes: Any) -> None:
    values: dict[str, Any] = {"action": Action.VIDEO_CHANGED, "resource": "video:99"} | changes
    with runtime.database.write() as connection:
        for number in range(count):
            record(connection, BY, **values, detail={"名前": number})


def _exported(runtime: Runtime, answer: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    path = runtime.blobs.root / answer["file_path"]
    return path, json.loads(path.read_text())


def test_an_item_has_the_older_fields_first_and_then_the_row(
    client: Caller, runtime: Runtime, tmp_path: Path
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video" * 100)
    added = add(runtime, tmp_path / "a.mp4")
    [item] = client.get("/audit/trail").json()["items"]
    assert list(item)[: len(OLDER_FIELDS)] == OLDER_FIELDS
    assert set(audit_log.columns.keys()) <= set(item)
    assert (item["job_id"], item["job_type"], item["status"]) == (added.job.uid, "ingest", "queued")
    assert (item["action"], item["subject"]) == ("video.uploaded", f"video:{added.video.id}")
    assert item["requested_by"] == item["actor"] == "test"


def test_pages_go_back_in_time_without_a_gap(client: Caller, runtime: Runtime) -> None:
    _write(runtime, 5)
    seen: list[int] = []
    page = {"next_before_seq": 6, "has_more": True}
    while page["has_more"]:
        page = client.get(f"/audit/trail?limit=2&before_seq={page['next_before_seq']}").json()
        seen += [item["seq"] for item in page["items"]]
    assert seen == [5, 4, 3, 2, 1]
    assert page["next_before_seq"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("action=score.reviewed", [3]),
        ("task_id=t", [3]),
        ("resource=score:7", [3]),
        ("actor=token:admin", [3, 2, 1]),
        ("actor=nobody", []),
        ("outcome=failed", []),
        ("outcome=refused", []),
        ("since=2020-01-01", [3, 2, 1]),
        ("since=2999-01-01T00:00:00%2B09:00", []),
        ("before=2020-01-01T00:00:00", []),
    ],
)
def test_every_filter_is_honoured(
    client: Caller, runtime: Runtime, query: str, found: list[int]
) -> None:
    _write(runtime, 2)
    _write(runtime, 1, action=Action.SCORE_REVIEWED, resource="score:7", task_id="t")
    items = client.get(f"/audit/trail?{query}").json()["items"]
    assert [item["seq"] for item in items] == found


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "action=no.such",
        "since=yesterday",
        "since=0001-01-01T00:00:00%2B14:00",
        "before_seq=0",
        "before_seq=99999999999",
        "actor=" + "a" * 300,
    ],
)
def test_a_wrong_question_is_refused(client: Caller, query: str) -> None:
    answer = client.get(f"/audit/trail?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


def test_the_role_that_may_read_is_a_setting(runtime: Runtime) -> None:
    settings = runtime.settings.model_copy(update={"audit_trail_role": "admin"})
    strict = Caller(app_of(replace(runtime, settings=settings)))
    assert strict.get("/audit/trail").status_code == 200
    assert load_settings(audit_trail_role="operator").audit_trail_role == "operator"


def test_without_a_key_nothing_is_exported(runtime: Runtime) -> None:
    settings = runtime.settings.model_copy(update={"audit_signing_key": None})
    answer = Caller(app_of(replace(runtime, settings=settings))).post("/audit/export")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "AUDIT_KEY_NOT_CONFIGURED")
    assert not (runtime.blobs.root / "reports").exists()


def test_the_signature_is_over_the_documented_text(client: Caller, runtime: Runtime) -> None:
    _write(runtime, 3)
    answer = client.post("/audit/export").json()
    path, payload = _exported(runtime, answer)
    signature = payload.pop("signature")
    text = json.dumps(payload, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()
    assert signature == answer["signature"]
    assert signature["algorithm"] == "hmac-sha256"
    assert signature["key_id"] == "local"
    assert signature["payload_sha256"] == hashlib.sha256(text).hexdigest()
    assert signature["signature_hex"] == hmac.new(b"signing-key", text, "sha256").hexdigest()
    assert set(payload) == {"generated_at", "limit", "item_count", "items", "chain"}
    assert payload["chain"] == answer["chain"]
    assert (answer["chain"]["first_seq"], answer["chain"]["last_seq"]) == (1, 3)
    assert SIGNING_KEY not in path.read_text()


def test_an_export_is_named_without_the_servers_path_and_recorded(
    client: Caller, runtime: Runtime
) -> None:
    _write(runtime, 2)
    answer = client.post("/audit/export")
    assert str(runtime.blobs.root) not in answer.text
    last = client.get("/audit/trail?limit=1").json()["items"][0]
    assert last["action"] == "audit.exported"
    assert last["resource"] == f"audit_export:{answer.json()['export_id']}"
    assert last["detail"]["payload_sha256"] == answer.json()["signature"]["payload_sha256"]


def test_exports_of_one_second_are_kept_apart(runtime: Runtime) -> None:
    _write(runtime, 3)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: export_trail(runtime, BY, limit=10), range(8)))
    assert len({item.path for item in made}) == 8
    assert all(verify_file(item.path, SIGNING_KEY).is_verified for item in made)


def test_as_many_rows_are_exported_as_were_asked_for(client: Caller, runtime: Runtime) -> None:
    _write(runtime, 1500)
    answer = client.post("/audit/export?limit=5000").json()
    assert answer["item_count"] == 1500
    assert client.post("/audit/export?limit=5001").status_code == 422
    older = client.post("/audit/export?limit=10&before_seq=21").json()
    assert (older["chain"]["first_seq"], older["chain"]["last_seq"]) == (11, 20)
    assert verify_file(runtime.blobs.root / older["file_path"], SIGNING_KEY).is_verified


def test_an_empty_log_can_be_exported(client: Caller, runtime: Runtime) -> None:
    answer = client.post("/audit/export").json()
    assert answer["item_count"] == 0
    assert verify_file(runtime.blobs.root / answer["file_path"], SIGNING_KEY).is_verified


def test_the_file_is_sent_byte_for_byte(client: Caller, runtime: Runtime) -> None:
    _write(runtime, 1)
    answer = client.post("/audit/export").json()
    sent = client.get(f"/api/v1/audit/export/{answer['export_id']}/file")
    assert sent.headers["Cache-Control"] == "no-store"
    assert sent.content == (runtime.blobs.root / answer["file_path"]).read_bytes()
    assert f"audit_export_{answer['export_id']}.json" in sent.headers["content-disposition"]


@pytest.mark.parametrize(
    ("export_id", "status"),
    [("20200101T000000Z", 404), ("..", 404), ("%2e%2e%2fsopilot.db", 404), ("a.json", 422)],
)
def test_no_other_file_is_sent(client: Caller, export_id: str, status: int) -> None:
    assert client.get(f"/audit/export/{export_id}/file").status_code == status


def test_an_export_that_is_not_recorded_leaves_no_file(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise StoreError("the database is away")

    monkeypatch.setattr(audit_export, "record", refuse)
    with pytest.raises(StoreError):
        export_trail(runtime, BY, limit=10)
    assert list((runtime.blobs.root / "reports").iterdir()) == []


def test_a_row_that_was_edited_before_the_export_is_seen_in_it(runtime: Runtime) -> None:
    _write(runtime, 3)
    with runtime.database.write() as connection:
        connection.execute(update(audit_log).where(audit_log.c.seq == 2).values(actor="other"))
    verdict = verify_file(export_trail(runtime, BY, limit=10).path, SIGNING_KEY)
    assert verdict.signature_match
    assert not verdict.is_verified
    assert verdict.problems == ("row 2 was changed",)


def test_a_failed_order_leaves_no_row(client: Caller, runtime: Runtime) -> None:
    refused = [
        client.send("POST", "/score", json={"gold_video_id": 1, "trainee_video_id": 2}),
        client.send("DELETE", "/videos/7"),
        client.send("PUT", "/task-profile", json={"pass_score": 10, "retrain_score": 90}),
    ]
    assert all(answer.status_code >= 400 for answer in refused)
    with runtime.database.read() as connection:
        assert count_rows(connection) == 0


def test_the_command_verifies_the_log_of_either_database(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(runtime, 3)
    made = export_trail(runtime, BY, limit=10)
    monkeypatch.setenv("SOPILOT_DATABASE_URL", runtime.database.url)
    data_dir = str(runtime.blobs.root)
    alone = ["audit", "verify", "--data-dir", data_dir]
    beside = [*alone, str(made.path), "--key", SIGNING_KEY]
    run = CliRunner().invoke
    assert [run(app, words).exit_code for words in (alone, beside)] == [0, 0]
    with runtime.database.write() as connection:
        connection.execute(delete(audit_log).where(audit_log.c.seq >= 3))
    assert [run(app, words).exit_code for words in (alone, beside)] == [0, 5]
    with runtime.database.write() as connection:
        connection.execute(update(audit_log).where(audit_log.c.seq == 1).values(role="viewer"))
    assert [run(app, words).exit_code for words in (alone, beside)] == [5, 5]


@pytest.mark.parametrize("moment", ["inf", "nan", "1e400", "9" * 30, "-1", "%00", "２０２６"])
def test_no_moment_is_too_strange(client: Caller, moment: str) -> None:
    assert client.get(f"/audit/trail?since={moment}").status_code in {200, 422}
