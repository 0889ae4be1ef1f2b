"""What an incident's analysis says of its video, as annotations: captions of windows, and events.

Written in the transaction that stores or clears the outcome. Called by the jobs and `submit`.
"""

from __future__ import annotations

from sqlalchemy import Connection

from sopilot.core.timespan import TimeSpan
from sopilot.incidents import queries
from sopilot.incidents.schemas import EventRow, IncidentRow, WindowRow
from sopilot.library.annotations import Kind, NewAnnotation, Source, put_annotations
from sopilot.runtime import Runtime


def annotate_incident(connection: Connection, incident_id: int) -> None:
    """Put what is stored of an incident now on its video, in place of what was there before."""
    row = queries.get_incident(connection, incident_id)
    windows = queries.list_windows(connection, row.id)
    events = queries.list_events(connection, row.id)
    captions = [_caption(row, window, window.caption) for window in windows if window.caption]
    producer = f"incident:{row.id}"
    put_annotations(connection, row.video_id, Source.CAPTION, producer, captions)
    found = [_event(row, event) for event in events]
    put_annotations(connection, row.video_id, Source.INCIDENT, producer, found)


def annotate_all(runtime: Runtime) -> int:
    """Write what is known of every incident anew, for an installation that is older than
    annotations; how many incidents. Idempotent."""
    with runtime.database.read() as connection:
        incident_ids = queries.all_ids(connection)
    for incident_id in incident_ids:
        with runtime.database.write() as connection:
            if queries.is_there(connection, incident_id):
                annotate_incident(connection, incident_id)
    return len(incident_ids)


def _caption(row: IncidentRow, window: WindowRow, caption: str) -> NewAnnotation:
    return NewAnnotation(
        Kind.TEXT,
        TimeSpan(window.start_sec, window.end_sec),
        caption,
        label=window.event_type,
        language=row.language,
        detail={
            "incident_id": row.id,
            "window_index": window.window_index,
            "method": row.method,
            "has_event": window.has_event,
            "risk_score": window.risk_score,
        },
    )


def _event(row: IncidentRow, event: EventRow) -> NewAnnotation:
    return NewAnnotation(
        Kind.EVENT,
        TimeSpan(event.start_sec, event.end_sec),
        event.description,
        label=event.event_type,
        language=row.language,
        detail={
            "incident_id": row.id,
            "event_id": event.id,
            "method": event.method,
            "score": event.score,
            "percentile": event.percentile,
            "highlight": [event.highlight_start_sec, event.highlight_end_sec],
        },
    )
