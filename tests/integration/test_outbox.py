"""The webhook outbox against a real receiver, on both databases."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from sopilot.cli.app import app
from sopilot.core.config import load_settings
from sopilot.core.errors import BadSettings, Conflict, InputError, NotFound
from sopilot.core.records import Actor
from sopilot.jobs.outbox import (
    DEAD,
    DELIVERED,
    PENDING,
    Receiver,
    claim_delivery,
    deliver_due,
    enqueue_event,
    settle_delivery,
    signature,
)
from sopilot.jobs.outbox_care import clean, list_deliveries, retry_dead
from sopilot.store.audit import rows_from
from sopilot.store.engine import Database
from sopilot.store.tables import outbox
from sopilot.store.times import after_text, now_text
from sopilot.worker import embedded_pool

BY = Actor("cli:test", "admin")
EVENT = {"job_id": 7, "score": 81.5, "decision": "pass", "task_id": "t"}


class Ear:
    """An HTTP server that keeps what it was sent and answers as told."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ear.heard.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(ear.status)
                self.send_header("Location", f"http://127.0.0.1:{ear.port}/elsewhere")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = Ear()
    yield made
    made.close()


@pytest.fixture
def receiver(ear: Ear) -> Receiver:
    return Receiver(f"http://127.0.0.1:{ear.port}/hook", "secret", 5.0, 3)


def _queue(database: Database) -> str:
    with database.write() as connection:
        return enqueue_event(connection, "score.completed", EVENT)


def _row(database: Database) -> Any:
    with database.read() as connection:
        return connection.execute(select(outbox)).one()


def _make_due(database: Database) -> None:
    with database.write() as connection:
        connection.execute(outbox.update().values(run_after=now_text()))


def test_a_delivery_is_signed_over_time_and_body(
    database: Database, ear: Ear, receiver: Receiver
) -> None:
    uid = _queue(database)
    assert deliver_due(database, receiver) == 1
    [(headers, body)] = ear.heard
    stamp, given = headers["x-sopilot-signature"].removeprefix("t=").split(",v1=")
    expected = hmac.new(b"secret", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert given == expected
    sent = json.loads(body)
    assert sent.items() >= (EVENT | {"event": "score.completed", "delivery_id": uid}).items()
    assert "delivered_at" in sent
    assert _row(database).state == DELIVERED


def test_a_failed_delivery_waits_keeps_its_id_and_is_delivered_later(
    database: Database, ear: Ear, receiver: Receiver
) -> None:
    _queue(database)
    ear.status = 500
    deliver_due(database, receiver)
    assert (_row(database).state, _row(database).last_error) == (
        PENDING,
        "the receiver answered 500",
    )
    assert deliver_due(database, receiver) == 0
    _make_due(database)
    ear.status = 204
    deliver_due(database, receiver)
    assert _row(database).state == DELIVERED
    assert len({json.loads(body)["delivery_id"] for _, body in ear.heard}) == 1


def test_the_last_attempt_ends_dead_with_its_reason(
    database: Database, ear: Ear, receiver: Receiver
) -> None:
    _queue(database)
    ear.status = 404
    for _ in range(5):
        deliver_due(database, receiver)
        _make_due(database)
    assert (_row(database).state, _row(database).attempt) == (DEAD, 3)
    assert len(ear.heard) == 3


def test_a_redirect_is_not_followed(database: Database, ear: Ear, receiver: Receiver) -> None:
    _queue(database)
    ear.status = 302
    deliver_due(database, receiver)
    assert len(ear.heard) == 1
    assert _row(database).last_error == "the receiver answered 302"


def test_a_receiver_that_is_gone_is_tried_again(database: Database, receiver: Receiver) -> None:
    _queue(database)
    deliver_due(database, replace(receiver, url="http://127.0.0.1:1/"))
    assert _row(database).state == PENDING
    assert "refused" in _row(database).last_error


def test_what_a_killed_deliverer_had_claimed_is_due_again(
    database: Database, ear: Ear, receiver: Receiver
) -> None:
    _queue(database)
    with database.write() as connection:
        lost = claim_delivery(connection, 30)
    assert lost is not None
    assert deliver_due(database, receiver) == 0
    _make_due(database)  # the lease has run out
    assert deliver_due(database, receiver) == 1
    with database.write() as connection:
        settle_delivery(connection, lost, "too late", 1)
    assert _row(database).state == DELIVERED


def test_one_row_is_claimed_once(database: Database) -> None:
    _queue(database)
    with database.write() as connection:
        assert claim_delivery(connection, 30) is not None
    with database.write() as connection:
        assert claim_delivery(connection, 30) is None


def test_a_rolled_back_cause_leaves_no_row(database: Database) -> None:
    with suppress(RuntimeError), database.write() as connection:
        enqueue_event(connection, "score.completed", EVENT)
        raise RuntimeError
    with database.read() as connection:
        assert connection.execute(select(outbox)).first() is None


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "http://", "host/x"])
def test_only_web_addresses_are_taken(url: str) -> None:
    with pytest.raises(BadSettings, match="http"):
        load_settings(webhook_url=url)


def test_a_worker_process_delivers_with_the_secret(
    sqlite_database: Database, ear: Ear, tmp_path: Path
) -> None:
    _queue(sqlite_database)
    settings = load_settings(
        data_dir=tmp_path,
        score_workers=1,
        webhook_url=f"http://127.0.0.1:{ear.port}/hook",
        webhook_secret="secret",
    )
    deadline = time.monotonic() + 60
    with embedded_pool(settings):
        while not ear.heard and time.monotonic() < deadline:
            time.sleep(0.05)
    [(headers, body)] = ear.heard
    stamp = int(headers["x-sopilot-signature"].split(",")[0].removeprefix("t="))
    assert headers["x-sopilot-signature"] == signature("secret", stamp, body)


def _kill(database: Database, *, days_ago: float = 0.0) -> str:
    """A webhook that was given up."""
    uid = _queue(database)
    written = after_text(-days_ago * 86_400)
    dead = {"state": DEAD, "attempt": 3, "last_error": "gone", "created_at": written}
    with database.write() as connection:
        connection.execute(outbox.update().where(outbox.c.uid == uid).values(dead))
    return uid


def test_a_dead_one_is_sent_again_under_its_id(
    database: Database, ear: Ear, receiver: Receiver
) -> None:
    uids = [_kill(database), _kill(database)]
    with database.write() as connection:
        assert retry_dead(connection, [uids[1]], BY) == [uids[1]]
    assert deliver_due(database, receiver) == 1
    assert json.loads(ear.heard[0][1])["delivery_id"] == uids[1]
    with database.read() as connection:
        states = {row.uid: row.state for row in list_deliveries(connection, None, 10)}
        assert states == {uids[0]: DEAD, uids[1]: DELIVERED}
        [row] = rows_from(connection)
    assert (row["action"], row["detail"]["delivery_ids"]) == ("outbox.retried", [uids[1]])


def test_one_that_fails_again_has_all_its_attempts(
    database: Database, ear: Ear, receiver: Receiver
) -> None:
    _kill(database)
    ear.status = 500
    with database.write() as connection:
        assert len(retry_dead(connection, None, BY)) == 1
    deliver_due(database, receiver)
    assert (_row(database).state, _row(database).attempt) == (PENDING, 1)


def test_what_is_not_dead_is_refused_and_nothing_is_changed(database: Database) -> None:
    dead, waiting = _kill(database), _queue(database)
    for wanted, error in ((waiting, Conflict), ("99", NotFound), ("x" * 40, NotFound)):
        with pytest.raises(error), database.write() as connection:
            retry_dead(connection, [dead, wanted], BY)
    with database.read() as connection:
        assert [row.uid for row in list_deliveries(connection, "dead", 10)] == [dead]
        assert list(rows_from(connection)) == []


def test_old_ended_ones_are_thrown_away_and_no_other(
    database: Database, ear: Ear, receiver: Receiver
) -> None:
    old, young = _kill(database, days_ago=40), _kill(database, days_ago=20)
    delivered = _queue(database)
    deliver_due(database, receiver)
    waiting = _queue(database)
    with database.write() as connection:
        assert clean(connection, ["delivered", "dead"], 30, BY) == 1
    with database.read() as connection:
        assert {r.uid for r in list_deliveries(connection, None, 9)} == {young, delivered, waiting}
        assert [row["detail"]["count"] for row in rows_from(connection)] == [1]
    with database.write() as connection:
        assert clean(connection, ["delivered"], 0, BY) == 1
    with pytest.raises(Conflict), database.write() as connection:
        clean(connection, ["pending"], 0, BY)
    assert old not in {young, delivered, waiting}


def test_the_command_shows_retries_and_cleans(sqlite_database: Database, tmp_path: Path) -> None:
    uid = _kill(sqlite_database, days_ago=40)

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["outbox", *words, "--data-dir", str(tmp_path)])

    shown = run("list", "--state", "dead")
    assert uid in shown.stdout
    assert "gone" in shown.stdout
    assert "1 dead" in shown.stderr
    assert isinstance(run("retry").exception, InputError)
    assert run("retry", "--all").stdout == f"{uid}\n"
    assert json.loads(run("list", "--json", "-").stdout)["counts"]["pending"] == 1
    assert run("clean", "--older-than-days", "0").stdout == "0\n"
    assert run("clean", "--state", "pending").exit_code == 2
    assert run("clean", "--state", "dead").exit_code == 0
