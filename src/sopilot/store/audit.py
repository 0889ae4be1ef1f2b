"""The audit log: one hash-chained row per recorded action, in the transaction of the action.

`record` is the only writer; nothing updates or deletes rows. A row's hash covers all its columns
and the hash of the row before it, so a removed, reordered or edited row breaks the chain
(`breaks`).
Called by whoever commits: endpoints, job handlers, commands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import Connection, func, select, text

from sopilot.core.records import Actor
from sopilot.store.engine import canonical_json
from sopilot.store.tables import audit_log
from sopilot.store.times import now_text

GENESIS = "0" * 64
"""What the first row has as the hash before it."""

_CHAIN_LOCK = 0x41_55_44_49  # any fixed number: writers on a server queue up on it
_HASHED = tuple(column.name for column in audit_log.columns if column.name != "hash")


class Action(StrEnum):
    """What is recorded: noun.verb."""

    LOGIN_FAILED = "login.failed"
    SESSION_OPENED = "session.opened"
    SESSION_CLOSED = "session.closed"
    VIDEO_UPLOADED = "video.uploaded"
    VIDEO_CHANGED = "video.changed"
    VIDEO_DELETED = "video.deleted"
    PROFILE_CHANGED = "profile.changed"
    STEPS_CHANGED = "steps.changed"
    STEPS_DELETED = "steps.deleted"
    SCORE_REQUESTED = "score.requested"
    SCORE_CANCELLED = "score.cancelled"
    SCORE_COMPLETED = "score.completed"
    SCORE_FAILED = "score.failed"
    SCORE_REVIEWED = "score.reviewed"
    SCORES_EXPORTED = "scores.exported"
    SCORES_RESCORED = "scores.rescored"
    INCIDENT_UPLOADED = "incident.uploaded"
    INCIDENT_ANALYZED_AGAIN = "incident.analyzed_again"
    INCIDENT_COMPLETED = "incident.completed"
    INCIDENT_FAILED = "incident.failed"
    INCIDENT_DELETED = "incident.deleted"
    FOOTAGE_INDEX_REQUESTED = "footage.index_requested"
    FOOTAGE_INDEXED = "footage.indexed"
    FOOTAGE_INDEX_FAILED = "footage.index_failed"
    FOOTAGE_DELETED = "footage.deleted"
    FOOTAGE_HELD = "footage.held"
    FOOTAGE_RELEASED = "footage.released"
    RETENTION_CHANGED = "retention.changed"
    DEFINITION_CHANGED = "definition.changed"
    EVENTS_REQUESTED = "events.requested"
    EVENTS_DETECTED = "events.detected"
    EVENTS_IMPORTED = "events.imported"
    EVENT_REVIEWED = "event.reviewed"
    TRANSCRIPT_IMPORTED = "transcript.imported"
    TRANSCRIPT_REQUESTED = "transcript.requested"
    TRANSCRIPT_RECOGNISED = "transcript.recognised"
    TRANSCRIPT_FAILED = "transcript.failed"
    QUESTION_ANSWERED = "question.answered"
    ANSWER_JUDGED = "answer.judged"
    TRAINING_REQUESTED = "training.requested"
    TRAINING_ENDED = "training.ended"
    AUDIT_EXPORTED = "audit.exported"
    BACKUP_MADE = "backup.made"
    BACKUP_RESTORED = "backup.restored"
    OUTBOX_RETRIED = "outbox.retried"
    OUTBOX_CLEANED = "outbox.cleaned"
    DATABASE_OPTIMIZED = "database.optimized"
    SERVICE_STARTED = "service.started"
    SERVICE_STOPPED = "service.stopped"


Outcome = Literal["ok", "failed", "refused"]
"""How an action ended; refused: the service did not let it happen."""


def record(
    connection: Connection,
    by: Actor,
    action: Action,
    resource: str,
    *,
    task_id: str | None = None,
    outcome: Outcome = "ok",
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Append a row in the caller's transaction; its sequence number.

    resource: kind:id, such as video:12. detail: JSON values, no secrets and no server paths.
    Writers wait for each other until they commit: record late in a transaction.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _CHAIN_LOCK})
    last_seq, last_hash = last_row(connection)
    row: dict[str, Any] = {
        "seq": last_seq + 1,
        "ts": now_text(),
        "actor": by.name[:128],
        "role": by.role,
        "action": str(action),
        "resource": resource[:256],
        "task_id": task_id,
        "request_id": by.request_id,
        "ip": by.ip,
        "outcome": outcome,
        "detail": dict(detail or {}),
        "prev_hash": last_hash,
    }
    row["hash"] = row_hash(row)
    connection.execute(audit_log.insert().values(row))
    return int(row["seq"])


def row_hash(row: Mapping[str, Any]) -> str:
    """SHA-256, 64 hex digits, over the canonical JSON of all columns but the hash itself."""
    return hashlib.sha256(
        canonical_json({name: row[name] for name in _HASHED}).encode()
    ).hexdigest()


def _is_unchanged(row: Mapping[str, Any]) -> bool:
    try:
        return bool(row_hash(row) == row["hash"])
    except (TypeError, ValueError):  # values that `record` never writes
        return False


def rows_from(connection: Connection, first_seq: int = 1) -> Iterator[dict[str, Any]]:
    """The rows from a sequence number on, oldest first."""
    query = select(audit_log).where(audit_log.c.seq >= first_seq).order_by(audit_log.c.seq)
    # Closed also when the reader stops early: on a server the cursor would stay open.
    with connection.execute(query.execution_options(yield_per=1000)) as rows:
        for row in rows:
            yield dict(row._mapping)


def last_row(connection: Connection) -> tuple[int, str]:
    """Sequence number and hash of the newest row; 0 and GENESIS for an empty log."""
    columns = (audit_log.c.seq, audit_log.c.hash)
    last = connection.execute(select(*columns).order_by(audit_log.c.seq.desc()).limit(1)).first()
    return (0, GENESIS) if last is None else (int(last.seq), str(last.hash))


def count_rows(connection: Connection) -> int:
    """How many rows the log has."""
    return int(connection.execute(select(func.count()).select_from(audit_log)).scalar_one())


def breaks(rows: Iterable[Mapping[str, Any]], *, from_genesis: bool = True) -> Iterator[str]:
    """What is wrong with a chain, oldest row first; nothing when it is whole.

    from_genesis: the first row must be the first of the log, else any row may begin.
    """
    expected_seq, expected_hash = (1, GENESIS) if from_genesis else (None, None)
    for row in rows:
        seq = row["seq"]
        if expected_seq is not None and seq != expected_seq:
            yield f"row {seq} follows where row {expected_seq} is due"
        elif expected_hash is not None and row["prev_hash"] != expected_hash:
            yield f"row {seq} does not continue the row before it"
        if not _is_unchanged(row):
            yield f"row {seq} was changed"
        expected_seq, expected_hash = seq + 1, row["hash"]
