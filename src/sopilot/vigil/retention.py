"""How long footage is kept: rules by camera and age, and holds that nobody deletes over.

`expire` runs every hour in each worker and on the command line; what it deletes is deleted as by a
person, everywhere, and on record.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from sopilot.core.errors import Conflict, SopilotError
from sopilot.core.log import get_logger
from sopilot.core.records import Actor
from sopilot.jobs.stop import Stop
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.times import text_of
from sopilot.vigil import queries
from sopilot.vigil.add import BUSY, delete_footage
from sopilot.vigil.schemas import FootageRow, RuleRow

RETENTION = Actor("system:retention")
_PAUSE_SEC = 3600.0

_log = get_logger(__name__)


def set_rule(
    connection: Connection, camera_id: str | None, max_age_days: float | None, by: Actor
) -> list[RuleRow]:
    """Keep footage of a camera (None: of all without a rule) for so many days; None = for good."""
    queries.put_rule(connection, camera_id, max_age_days, by.name)
    record(
        connection,
        by,
        Action.RETENTION_CHANGED,
        f"camera:{camera_id or '*'}",
        detail={"max_age_days": max_age_days},
    )
    return queries.list_rules(connection)


def hold(connection: Connection, video: int | str, reason: str | None, by: Actor) -> FootageRow:
    """Forbid to delete footage, with a reason; None gives it free. Raises VideoNotFound."""
    found = queries.get_footage(connection, video)
    queries.update_footage(
        connection,
        found.video_id,
        held_by=None if reason is None else by.name,
        hold_reason=reason,
    )
    record(
        connection,
        by,
        Action.FOOTAGE_RELEASED if reason is None else Action.FOOTAGE_HELD,
        f"video:{found.video_id}",
        detail={} if reason is None else {"reason": reason},
    )
    return queries.get_footage(connection, found.video_id)


def expired(connection: Connection, now: datetime) -> list[FootageRow]:
    """Footage that the rules let go; what is being indexed waits."""
    rules = queries.list_rules(connection)
    cameras = [rule.camera_id for rule in rules if rule.camera_id is not None]
    found = []
    for rule in rules:
        before = text_of(now - timedelta(days=rule.max_age_days))
        rows = queries.expired_footage(connection, rule.camera_id, cameras, before)
        found += [row for row in rows if row.state not in BUSY]
    return found


def expire(runtime: Runtime, now: datetime) -> list[str]:
    """Delete what the rules let go; the uids. One that cannot be deleted now waits."""
    with runtime.database.read() as connection:
        rows = expired(connection, now)
    gone = []
    for row in rows:
        try:
            with runtime.database.write() as connection:
                delete_footage(runtime, connection, row.video_id, RETENTION)
        except Conflict as error:
            _log.warning("retention.kept", video_id=row.video_id, reason=error.message)
        else:
            gone.append(row.uid)
    if gone:
        _log.info("retention.deleted", count=len(gone))
    return gone


def watch_retention(runtime: Runtime, stop: Stop) -> None:
    """`expire` every hour until stopped; runs in a thread of every worker process."""
    while not stop.is_set():
        try:
            expire(runtime, datetime.now(UTC))
        except SopilotError as error:
            _log.warning("retention.look_failed", reason=error.message)
        stop.wait(_PAUSE_SEC)
