"""All SQL of incidents. A connection comes first; nobody here commits."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from sopilot.core.errors import EventNotFound, IncidentNotFound
from sopilot.core.records import Keyframe
from sopilot.incidents.schemas import (
    EventRow,
    Found,
    FoundEvent,
    IncidentRow,
    Label,
    LogEvent,
    LogRow,
    Status,
    TimelineWindow,
    WindowRow,
)
from sopilot.store.ids import row_name
from sopilot.store.tables import (
    incident_events,
    incident_logs,
    incident_windows,
    incidents,
    jobs,
    scores,
)
from sopilot.store.times import now_text

_INCIDENT = tuple(incidents.c[n] for n in IncidentRow.__dataclass_fields__ if n != "progress")
_EVENT = tuple(incident_events.c[name] for name in EventRow.__dataclass_fields__)
_WINDOW = tuple(incident_windows.c[name] for name in WindowRow.__dataclass_fields__)
_LOG = tuple(incident_logs.c[name] for name in LogRow.__dataclass_fields__)
_WITH_JOB: Select[Any] = select(*_INCIDENT, jobs.c.progress).select_from(
    incidents.outerjoin(jobs, incidents.c.job_id == jobs.c.id)
)
_EMPTY: Mapping[str, Any] = dict.fromkeys(
    "stage method inferred_domain has_event model_version prompt_version analysis "
    "error_code error_message frame_count window_count".split()
)


def _incident(row: Row[Any]) -> IncidentRow:
    values = dict(row._mapping)
    values["status"] = Status(values["status"])
    return IncidentRow(**values)


def _log(row: Row[Any]) -> LogRow:
    values = dict(row._mapping)
    values["event"], values["status"] = LogEvent(values["event"]), Status(values["status"])
    return LogRow(**values)


def insert_incident(
    connection: Connection,
    *,
    video_id: int,
    domain: str | None,
    language: str,
    custom_events: Mapping[str, str],
    requested_by: str,
) -> IncidentRow:
    """A new incident of a stored video, SAVED."""
    now = now_text()
    result = connection.execute(
        incidents.insert().values(
            uid=str(uuid.uuid4()),
            video_id=video_id,
            domain=domain,
            language=language,
            custom_events=dict(custom_events),
            status=str(Status.SAVED),
            requested_by=requested_by,
            created_at=now,
            updated_at=now,
        )
    )
    key = result.inserted_primary_key
    assert key is not None
    return get_incident(connection, int(key[0]))


def get_incident(connection: Connection, incident: int | str) -> IncidentRow:
    """The row of an id or uid. Raises IncidentNotFound."""
    wanted = row_name(incident)
    column = incidents.c.id if isinstance(wanted, int) else incidents.c.uid
    row = connection.execute(_WITH_JOB.where(column == wanted)).one_or_none()
    if row is None:
        raise IncidentNotFound(f"there is no incident {wanted}; GET /api/v1/incidents lists them")
    return _incident(row)


def lock_incident(connection: Connection, incident: int | str) -> IncidentRow:
    """get_incident, its row locked until the transaction ends."""
    found = get_incident(connection, incident)
    connection.execute(select(incidents.c.id).where(incidents.c.id == found.id).with_for_update())
    return get_incident(connection, found.id)


def incident_of_video(connection: Connection, video_id: int) -> IncidentRow | None:
    """The incident that a video was sent in for."""
    row = connection.execute(_WITH_JOB.where(incidents.c.video_id == video_id)).one_or_none()
    return None if row is None else _incident(row)


def list_incidents(
    connection: Connection, limit: int, offset: int
) -> tuple[list[IncidentRow], int]:
    """One page, newest first, and how many there are."""
    total = connection.execute(select(func.count()).select_from(incidents)).scalar_one()
    rows = connection.execute(_WITH_JOB.order_by(incidents.c.id.desc()).limit(limit).offset(offset))
    return [_incident(row) for row in rows], int(total)


def all_ids(connection: Connection) -> list[int]:
    """Every incident that there is."""
    return list(connection.execute(select(incidents.c.id).order_by(incidents.c.id)).scalars())


def is_there(connection: Connection, incident_id: int) -> bool:
    """Has nobody deleted it?"""
    query = select(incidents.c.id).where(incidents.c.id == incident_id)
    return connection.execute(query).first() is not None


def get_analysis(connection: Connection, incident_id: int) -> Mapping[str, Any] | None:
    """The stored analysis; None before there is one."""
    query = select(incidents.c.analysis).where(incidents.c.id == incident_id)
    found: Mapping[str, Any] | None = connection.execute(query).scalar_one()
    return found


def update_incident(connection: Connection, incident_id: int, **values: object) -> None:
    """Set columns of an incident."""
    connection.execute(
        incidents.update()
        .where(incidents.c.id == incident_id)
        .values(updated_at=now_text(), **values)
    )


def clear_outcome(connection: Connection, incident_id: int, job_id: int) -> None:
    """Make an incident wait for a new analysis: SAVED, nothing found yet."""
    update_incident(connection, incident_id, **_EMPTY, job_id=job_id, status=str(Status.SAVED))
    for table in (incident_events, incident_windows):
        connection.execute(table.delete().where(table.c.incident_id == incident_id))


def add_log(
    connection: Connection,
    incident_id: int,
    event: LogEvent,
    status: Status,
    *,
    stage: int | None = None,
    detail: Mapping[str, Any] | None = None,
    model_version: str | None = None,
    prompt_version: str | None = None,
) -> None:
    """Write down what happened; the status stream tells it."""
    connection.execute(
        incident_logs.insert().values(
            incident_id=incident_id,
            event=str(event),
            status=str(status),
            stage=stage,
            detail=dict(detail or {}),
            model_version=model_version,
            prompt_version=prompt_version,
            created_at=now_text(),
        )
    )


def last_versions(connection: Connection, incident_id: int) -> tuple[str | None, str | None]:
    """Model and prompt that the last row of the log names: of an analysis under way those of its
    pass, before its first pass none."""
    row = connection.execute(
        select(incident_logs.c.model_version, incident_logs.c.prompt_version)
        .where(incident_logs.c.incident_id == incident_id)
        .order_by(incident_logs.c.id.desc())
        .limit(1)
    ).one_or_none()
    return (None, None) if row is None else (row[0], row[1])


def store_found(
    connection: Connection,
    incident_id: int,
    found: Found,
    *,
    duration_sec: float,
    frame_count: int,
) -> None:
    """Put an outcome in the place of an earlier one. frame_count: decoded, of the whole video."""
    for table in (incident_events, incident_windows):
        connection.execute(table.delete().where(table.c.incident_id == incident_id))
    if found.events:
        connection.execute(
            incident_events.insert(), [_event_values(incident_id, e) for e in found.events]
        )
    if found.windows:
        connection.execute(
            incident_windows.insert(), [_window_values(incident_id, w) for w in found.windows]
        )
    update_incident(
        connection,
        incident_id,
        status=str(Status.DONE),
        method=found.method,
        inferred_domain=found.inferred_domain,
        has_event=bool(found.events),
        window_count=len(found.windows),
        duration_sec=duration_sec,
        frame_count=frame_count,
        model_version=found.model_version,
        prompt_version=found.prompt_version,
        analysis=dict(found.analysis),
        error_code=None,
        error_message=None,
    )


def _event_values(incident_id: int, event: FoundEvent) -> dict[str, Any]:
    return {
        "uid": str(uuid.uuid4()),
        "incident_id": incident_id,
        "event_type": event.event_type,
        "start_sec": event.span.start_sec,
        "end_sec": event.span.end_sec,
        "highlight_start_sec": event.highlight.start_sec,
        "highlight_end_sec": event.highlight.end_sec,
        "confidence": None,
        "score": event.score,
        "percentile": event.percentile,
        "method": event.method,
        "description": event.description,
        "keyframe_sec": event.keyframe and event.keyframe.time_sec,
        "keyframe": event.keyframe and event.keyframe.jpeg,
    }


def _window_values(incident_id: int, window: TimelineWindow) -> dict[str, Any]:
    return {
        "incident_id": incident_id,
        "window_index": window.index,
        "start_sec": window.span.start_sec,
        "end_sec": window.span.end_sec,
        "label": str(window.label),
        "has_event": window.has_event,
        "caption": window.caption,
        "risk_score": window.risk,
        "event_type": window.event_type,
    }


def list_events(
    connection: Connection, incident_id: int | None, limit: int | None = None, offset: int = 0
) -> list[EventRow]:
    """Events in time order of one incident, or the newest of all."""
    query = select(*_EVENT)
    if incident_id is not None:
        query = query.where(incident_events.c.incident_id == incident_id).order_by(
            incident_events.c.start_sec, incident_events.c.id
        )
    else:
        query = query.order_by(incident_events.c.id.desc())
    rows = connection.execute(query.limit(limit).offset(offset))
    return [EventRow(**row._mapping) for row in rows]


def keyframes(connection: Connection, incident_id: int) -> dict[int, Keyframe]:
    """The picture of each event that has one, by the event's id."""
    rows = connection.execute(
        select(
            incident_events.c.id, incident_events.c.keyframe_sec, incident_events.c.keyframe
        ).where(
            incident_events.c.incident_id == incident_id, incident_events.c.keyframe.is_not(None)
        )
    )
    return {row.id: Keyframe(float(row.keyframe_sec), bytes(row.keyframe)) for row in rows}


def get_event(connection: Connection, event: int | str) -> EventRow:
    """The row of an id or uid. Raises EventNotFound."""
    wanted = row_name(event)
    column = incident_events.c.id if isinstance(wanted, int) else incident_events.c.uid
    row = connection.execute(select(*_EVENT).where(column == wanted)).one_or_none()
    if row is None:
        raise EventNotFound(f"there is no event {wanted}; GET /api/v1/events lists them")
    return EventRow(**row._mapping)


def list_windows(
    connection: Connection, incident_id: int, limit: int | None = None, offset: int = 0
) -> list[WindowRow]:
    """The timeline of an incident, ascending."""
    rows = connection.execute(
        select(*_WINDOW)
        .where(incident_windows.c.incident_id == incident_id)
        .order_by(incident_windows.c.window_index)
        .limit(limit)
        .offset(offset)
    )
    return [WindowRow(**{**row._mapping, "label": Label(row._mapping["label"])}) for row in rows]


def list_logs(connection: Connection, incident_id: int, after: int = 0) -> list[LogRow]:
    """What happened to an incident, oldest first, from the row after this id on."""
    rows = connection.execute(
        select(*_LOG)
        .where(incident_logs.c.incident_id == incident_id, incident_logs.c.id > after)
        .order_by(incident_logs.c.id)
    )
    return [_log(row) for row in rows]


def delete_incident(connection: Connection, incident_id: int) -> None:
    """Remove an incident with its events, timeline and logs."""
    for table in (incident_events, incident_windows, incident_logs):
        connection.execute(table.delete().where(table.c.incident_id == incident_id))
    connection.execute(incidents.delete().where(incidents.c.id == incident_id))


def scores_of_video(connection: Connection, video_id: int) -> Sequence[int]:
    """Scores that compare this video, as gold or trainee."""
    query = select(scores.c.id).where(
        (scores.c.trainee_video_id == video_id) | (scores.c.gold_video_id == video_id)
    )
    found: Iterable[int] = connection.execute(query.limit(20)).scalars()
    return list(found)
