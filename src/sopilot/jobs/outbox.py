"""Webhooks: rows written with what they report, delivered by a loop in each worker process.

A row exists if and only if its cause was committed. It is claimed by an UPDATE that makes it due
again later, so a deliverer that is killed is followed by another: at least once, always under the
same delivery id. Called by `sop.jobs` (enqueue) and `worker` (deliver).
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import IO, Any

from sqlalchemy import Connection, func, select, update

from sopilot.core.config import Settings
from sopilot.core.errors import StoreError
from sopilot.core.log import get_logger
from sopilot.jobs.stop import Stop
from sopilot.store.engine import Database, canonical_json
from sopilot.store.tables import outbox
from sopilot.store.times import after_text, now_text

PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"
FIRST_PAUSE_SEC, LONGEST_PAUSE_SEC = 5.0, 3600.0
_LOOK_SEC = 1.0
_ERROR_LENGTH = 500

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where deliveries go. secret None = unsigned; max_attempts: then a row is dead."""

    url: str
    secret: str | None
    timeout_sec: float
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed row; attempt counts from 1 and fences the outcome."""

    id: int
    uid: str
    event: str
    payload: Mapping[str, Any]
    attempt: int


def receiver_of(settings: Settings) -> Receiver | None:
    """The configured receiver, or None where no webhook is wanted."""
    if not settings.webhook_url:
        return None
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
    return Receiver(
        settings.webhook_url,
        secret or None,
        settings.webhook_timeout_sec,
        settings.webhook_max_attempts,
    )


def enqueue_event(connection: Connection, event: str, payload: Mapping[str, Any]) -> str:
    """Write a row in the caller's transaction; its delivery id."""
    uid = str(uuid.uuid4())
    now = now_text()
    connection.execute(
        outbox.insert().values(
            uid=uid,
            event=event,
            payload=dict(payload),
            state=PENDING,
            attempt=0,
            run_after=now,
            created_at=now,
        )
    )
    return uid


def count_deliveries(connection: Connection) -> dict[str, int]:
    """Rows per state."""
    rows = connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
    found = {state: int(count) for state, count in rows}
    return {state: found.get(state, 0) for state in (PENDING, DELIVERED, DEAD)}


def pause_sec(attempt: int) -> float:
    """The pause after the attempt of this number: 5, 10, 20 … at most 3600 seconds."""
    return float(min(FIRST_PAUSE_SEC * 2 ** min(attempt - 1, 20), LONGEST_PAUSE_SEC))


def claim_delivery(connection: Connection, lease_sec: float) -> Delivery | None:
    """Take the row that has been due longest; it is due again when the lease has run out."""
    due = outbox.alias("due")
    chosen = (
        select(due.c.id)
        .where(due.c.state == PENDING, due.c.run_after <= now_text())
        .order_by(due.c.run_after, due.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    row = connection.execute(
        update(outbox)
        .where(outbox.c.id == chosen, outbox.c.state == PENDING)
        .values(attempt=outbox.c.attempt + 1, run_after=after_text(lease_sec))
        .returning(outbox)
    ).one_or_none()
    if row is None:
        return None
    return Delivery(row.id, row.uid, row.event, row.payload, row.attempt)


def settle_delivery(
    connection: Connection, delivery: Delivery, error: str | None, max_attempts: int
) -> str:
    """Write down how an attempt ended; the row's new state. A newer attempt's row is left alone."""
    values: dict[str, Any]
    if error is None:
        values = {"state": DELIVERED, "delivered_at": now_text(), "last_error": None}
    elif delivery.attempt >= max_attempts:
        values = {"state": DEAD, "last_error": error[:_ERROR_LENGTH]}
    else:
        pause = after_text(pause_sec(delivery.attempt))
        values = {"state": PENDING, "run_after": pause, "last_error": error[:_ERROR_LENGTH]}
    connection.execute(
        update(outbox)
        .where(
            outbox.c.id == delivery.id,
            outbox.c.attempt == delivery.attempt,
            outbox.c.state == PENDING,
        )
        .values(values)
    )
    return str(values["state"])


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """`t=<unix seconds>,v1=<hex>`: HMAC-SHA256 over the timestamp, a full stop and the body."""
    signed = f"{timestamp}.".encode() + body
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def request_of(receiver: Receiver, delivery: Delivery) -> urllib.request.Request:
    """The POST of a delivery; delivered_at is the moment of this attempt."""
    body = canonical_json(
        {
            "event": delivery.event,
            **delivery.payload,
            "delivery_id": delivery.uid,
            "delivered_at": now_text(),
        }
    ).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "SOPilot",
        "X-SOPilot-Event": delivery.event,
        "X-SOPilot-Delivery": delivery.uid,
    }
    if receiver.secret is not None:
        headers["X-SOPilot-Signature"] = signature(receiver.secret, int(time.time()), body)
    return urllib.request.Request(receiver.url, data=body, headers=headers, method="POST")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A receiver that has moved must be configured anew: a redirect may lead anywhere."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        return None


# Without the proxies of the environment: where deliveries go is the setting's to say.
_opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def send(receiver: Receiver, delivery: Delivery) -> str | None:
    """Deliver once; None when it was accepted with a 2xx, else the reason."""
    try:
        with _opener.open(request_of(receiver, delivery), timeout=receiver.timeout_sec):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"the receiver answered {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def deliver_due(database: Database, receiver: Receiver, stop: Stop | None = None) -> int:
    """Deliver what is due, one row after the other; how many attempts. Raises StoreError."""
    attempts = 0
    while stop is None or not stop.is_set():
        with database.read() as connection:
            due = select(outbox.c.id).where(
                outbox.c.state == PENDING, outbox.c.run_after <= now_text()
            )
            if connection.execute(due.limit(1)).first() is None:
                return attempts
        with database.write() as connection:
            delivery = claim_delivery(connection, 30.0 + 4 * receiver.timeout_sec)
        if delivery is None:
            return attempts
        error = send(receiver, delivery)
        with database.write() as connection:
            state = settle_delivery(connection, delivery, error, receiver.max_attempts)
        attempts += 1
        fields = {"delivery_id": delivery.uid, "attempt": delivery.attempt, "state": state}
        if error is None:
            log.info("webhook.delivered", **fields)
        else:
            log.warning("webhook.failed", reason=error, **fields)
    return attempts


def run_outbox(database: Database, receiver: Receiver, stop: Stop) -> None:
    """Deliver until stop is set; a database that does not answer is waited for."""
    while not stop.is_set():
        try:
            deliver_due(database, receiver, stop)
        except StoreError as error:
            log.warning("webhook.database_unavailable", reason=error.message)
        stop.wait(_LOOK_SEC)


def start_outbox(database: Database, receiver: Receiver, stop: Stop) -> threading.Thread:
    """The loop in a thread of its own, beside the jobs, which may take minutes."""
    thread = threading.Thread(
        target=run_outbox, args=(database, receiver, stop), name="outbox", daemon=True
    )
    thread.start()
    return thread
