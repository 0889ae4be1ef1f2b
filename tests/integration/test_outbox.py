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

from sopilot.core.config import load_settings
from sopilot.core.errors import BadSettings
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
from sopilot.store.engine import Database
from sopilot.store.tables import outbox
from sopilot.store.times import now_text
from sopilot.worker import embedded_pool

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
