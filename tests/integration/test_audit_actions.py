"""Every recorded action: one transaction with its row, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from caller import Caller, app_of
from pydantic import SecretStr
from service_parts import files_below, work
from sqlalchemy import select

from sopilot.adapt import train_domain_adapter
from sopilot.core.errors import StoreError
from sopilot.core.records import Actor
from sopilot.jobs.records import JobState
from sopilot.runtime import Runtime
from sopilot.sop.evaluate import ScoreOrder, submit
from sopilot.store.audit import breaks, rows_from
from sopilot.store.tables import metadata

STEPS = [{"step_index": 0, "name_en": "Remove", "start_sec": 0, "end_sec": 5}]
PAIR = {"gold_video_id": 1, "trainee_video_id": 2}


@dataclass(frozen=True)
class Operation:
    """A request and the actions it must leave, each once."""

    method: str
    path: str
    actions: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


def _json(method: str, path: str, action: str, body: Any) -> Operation:
    return Operation(method, path, (action,), {"json": body})


ORDERED = ("score.requested",)
OPERATIONS = (
    _json("PUT", "/tasks/steps", "steps.changed", {"steps": STEPS}),
    Operation("DELETE", "/tasks/steps", ("steps.deleted",)),
    _json("PUT", "/task-profile", "profile.changed", {"pass_score": 99}),
    Operation("POST", "/admin/rescore", ("scores.rescored",)),
    Operation("POST", "/score", ORDERED, {"json": PAIR}),
    Operation("POST", "/score/1/rerun", ORDERED),
    Operation("POST", "/score/batch", ORDERED * 2, {"json": {"pairs": [PAIR, PAIR]}}),
    _json(
        "POST",
        "/score/ensemble",
        "score.requested",
        {"gold_video_ids": [1], "trainee_video_id": 2},
    ),
    _json("PUT", "/score/1/review", "score.reviewed", {"verdict": "pass", "note": "seen"}),
    Operation("POST", "/score/2/cancel", ("score.cancelled",)),
    Operation("GET", "/score/export/csv", ("scores.exported",)),
    Operation("GET", "/score/1/export", ("scores.exported",)),
    Operation("POST", "/train/nightly", ("training.requested",)),
    Operation("POST", "/audit/export", ("audit.exported",)),
    Operation("POST", "/admin/optimize", ("database.optimized",)),
    _json("PATCH", "/videos/2", "video.changed", {"site_id": "north"}),
    Operation(
        "POST",
        "/videos?async=true",
        ("video.uploaded",),
        {"files": {"file": ("c.mp4", b"no video" * 500)}, "data": {"task_id": "pilot_task"}},
    ),
    Operation("DELETE", "/videos/2?force=true", ("video.deleted",)),
    Operation("POST", "/admin/backup", ("backup.made",)),
)
"""In an order in which each can succeed."""


@pytest.fixture
def service(runtime: Runtime) -> Iterator[Runtime]:
    """Score 1 is completed, score 2 waits."""
    changes = {"audit_signing_key": SecretStr("key")}
    opened = replace(runtime, settings=runtime.settings.model_copy(update=changes))
    by = Actor("token:api", "admin")
    for _ in range(2):
        with opened.database.write() as connection:
            row = submit(opened, connection, ScoreOrder((1,), 2), by)
        if row.id == 1:
            assert work(opened, row.job_id).state is JobState.COMPLETED
    return opened


def _rows(runtime: Runtime) -> dict[str, list[Any]]:
    with runtime.database.read() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
            for table in metadata.sorted_tables
        }


def _files(runtime: Runtime) -> set[str]:
    found = files_below(runtime.blobs.root)
    return {name for name in found if not name.startswith("raw/.unsettled/")}


def test_nothing_is_done_without_its_row(service: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Caller(app_of(service))

    def refuse(_: object) -> Any:
        raise StoreError("the audit log cannot be written")

    for operation in OPERATIONS:
        before, files = _rows(service), _files(service)
        with monkeypatch.context() as broken:
            broken.setattr("sopilot.store.audit.last_row", refuse)
            answer = client.send(operation.method, operation.path, **operation.options)
        assert answer.status_code == 503, operation
        assert _rows(service) == before, operation
        assert _files(service) == files, operation

        headers = {"X-Request-ID": "request-7"}
        answer = client.send(operation.method, operation.path, headers=headers, **operation.options)
        assert answer.status_code < 300, (operation, answer.text)
        new = _rows(service)["audit_log"][len(before["audit_log"]) :]
        assert tuple(row.action for row in new) == operation.actions
        assert {(row.actor, row.role, row.request_id, row.ip) for row in new} == {
            ("anonymous", "admin", "request-7", "127.0.0.1")
        }
    with service.database.read() as connection:
        assert list(breaks(rows_from(connection))) == []


def test_what_a_worker_does_is_recorded_with_its_outcome(service: Runtime) -> None:
    with service.database.read() as connection:
        last = [*rows_from(connection)][-2]
    assert (last["action"], last["outcome"]) == ("score.completed", "ok")
    assert (last["resource"], last["actor"]) == ("score:1", "system:worker")


def test_the_command_that_learns_records_what_it_adopted(service: Runtime, tmp_path: Path) -> None:
    folders = [f"--{name}-dir={tmp_path / name}" for name in ("models", "reports")]
    url = service.settings.database_url
    assert url is not None
    before = len(_rows(service)["audit_log"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SOPILOT_DATABASE_URL", url)
        data_dir = f"--data-dir={service.settings.data_dir}"
        assert train_domain_adapter.main(["--job-id=hand", data_dir, *folders]) == 0
    new = _rows(service)["audit_log"][before:]
    assert [(row.action, row.resource) for row in new] == [("training.ended", "training:hand")]
    assert new[0].actor == "cli:train_domain_adapter"
