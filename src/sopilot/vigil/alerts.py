"""Which newly found events are worth an alert: by their definition, once in a while, not at night.

An alert is a webhook like any other: written in the transaction that stores the event, signed,
retried, and delivered after a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time

from sqlalchemy import Connection

from sopilot.jobs.outbox import enqueue_event
from sopilot.vigil import event_queries as queries
from sopilot.vigil.event_schemas import DefinitionRow, EventRow, EventStatus

EVENT_FOUND = "vigil.event_found"
DEDUPE_SEC = 300.0


def alert(
    connection: Connection,
    definition: DefinitionRow,
    events: Sequence[EventRow],
    now: datetime,
) -> int:
    """Leave one alert for the new events of a run, the strongest first, where the definition wants
    any; how many events it tells of. now: by the server's clock.

    None goes out in the quiet hours, for a camera that an alert of this type told of within
    `dedupe_sec`, nor for events that were alerted or reviewed before.
    """
    wanted = definition.alert
    fresh = [e for e in events if e.alerted_at is None and e.status is EventStatus.NEW]
    if wanted is None or not definition.is_enabled or not fresh:
        return 0
    quiet = wanted.get("quiet")
    if quiet is not None and is_quiet(str(quiet["start"]), str(quiet["end"]), now.time()):
        return 0
    camera_id = fresh[0].camera_id
    pause_sec = float(wanted.get("dedupe_sec", DEDUPE_SEC))
    if queries.was_alerted(connection, definition.event_type, camera_id, pause_sec):
        return 0
    ranked = sorted(fresh, key=lambda event: (-(event.score or 0.0), event.start_sec))
    enqueue_event(
        connection,
        EVENT_FOUND,
        {
            "event_type": definition.event_type,
            "version": definition.version,
            "video_id": fresh[0].video_uid,
            "camera_id": camera_id,
            "count": len(fresh),
            "events": [
                {
                    "event_id": event.uid,
                    "start_sec": event.start_sec,
                    "end_sec": event.end_sec,
                    "score": event.score,
                    "description": event.description,
                }
                for event in ranked[:20]
            ],
        },
    )
    queries.mark_alerted(connection, [event.id for event in fresh])
    return len(fresh)


def is_quiet(start: str, end: str, now: time) -> bool:
    """Does a time of day lie in [start, end)? Over midnight where the end is not after the start;
    the whole day where both are the same."""
    first, last = time.fromisoformat(start), time.fromisoformat(end)
    if first < last:
        return first <= now < last
    return now >= first or now < last
