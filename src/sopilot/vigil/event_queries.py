"""All SQL of VIGIL's events. A connection comes first; nobody here commits."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select, true

from sopilot.core.errors import DefinitionNotFound, EventNotFound
from sopilot.store.ids import row_name
from sopilot.store.tables import (
    event_definitions,
    event_runs,
    jobs,
    videos,
    vigil_events,
    vigil_videos,
)
from sopilot.store.times import after_text, now_text
from sopilot.vigil.event_schemas import (
    DefinitionRow,
    Detection,
    EventRow,
    EventStatus,
    FoundEvent,
    NewDefinition,
    RunRow,
    RunState,
)

_DEFINITION = tuple(event_definitions.c[n] for n in DefinitionRow.__dataclass_fields__)
_RUN_NAMES = {
    "event_type": event_definitions.c.event_type,
    "version": event_definitions.c.version,
    "video_uid": videos.c.uid,
    "progress": jobs.c.progress,
}
_RUN: Select[Any] = select(
    *(
        _RUN_NAMES[n].label(n) if n in _RUN_NAMES else event_runs.c[n]
        for n in RunRow.__dataclass_fields__
    )
).select_from(
    event_runs.join(event_definitions, event_runs.c.definition_id == event_definitions.c.id)
    .join(videos, event_runs.c.video_id == videos.c.id)
    .outerjoin(jobs, event_runs.c.job_id == jobs.c.id)
)
_EVENT_NAMES = {
    "video_uid": videos.c.uid,
    "camera_id": videos.c.camera_id,
    "version": event_definitions.c.version,
}
_EVENT: Select[Any] = select(
    *(
        _EVENT_NAMES[n].label(n) if n in _EVENT_NAMES else vigil_events.c[n]
        for n in EventRow.__dataclass_fields__
    )
).select_from(
    vigil_events.join(videos, vigil_events.c.video_id == videos.c.id)
    .outerjoin(event_runs, vigil_events.c.run_id == event_runs.c.id)
    .outerjoin(event_definitions, event_runs.c.definition_id == event_definitions.c.id)
)


# ---- definitions ------------------------------------------------------------------------------


def insert_definition(
    connection: Connection, made: NewDefinition, version: int, created_by: str
) -> DefinitionRow:
    """A version of a definition."""
    result = connection.execute(
        event_definitions.insert().values(
            uid=str(uuid.uuid4()),
            event_type=made.event_type,
            version=version,
            description=made.description,
            visual_cues=[*made.visual_cues],
            contrast=made.contrast,
            method=str(made.method),
            threshold=made.threshold,
            alert=None if made.alert is None else dict(made.alert),
            is_enabled=made.is_enabled,
            created_by=created_by,
            created_at=now_text(),
        )
    )
    key = result.inserted_primary_key
    assert key is not None
    return get_definition_row(connection, int(key[0]))


def get_definition_row(connection: Connection, definition_id: int) -> DefinitionRow:
    """The row of an id, which exists."""
    row = connection.execute(
        select(*_DEFINITION).where(event_definitions.c.id == definition_id)
    ).one()
    return DefinitionRow(**row._mapping)


def versions_of(connection: Connection, event_type: str) -> list[DefinitionRow]:
    """All versions of a definition, the one in force first. Raises DefinitionNotFound."""
    rows = connection.execute(
        select(*_DEFINITION)
        .where(event_definitions.c.event_type == event_type)
        .order_by(event_definitions.c.version.desc())
    )
    found = [DefinitionRow(**row._mapping) for row in rows]
    if not found:
        raise DefinitionNotFound(
            f"no event {event_type[:64]!r} is defined; GET /vigil/events/definitions lists them"
        )
    return found


def has_definition(connection: Connection, event_type: str) -> bool:
    """Is any version of it there?"""
    query = select(event_definitions.c.id).where(event_definitions.c.event_type == event_type)
    return connection.execute(query.limit(1)).first() is not None


def definitions_in_force(connection: Connection) -> list[DefinitionRow]:
    """The newest version of every definition, by type."""
    newest = (
        select(
            event_definitions.c.event_type, func.max(event_definitions.c.version).label("version")
        )
        .group_by(event_definitions.c.event_type)
        .subquery()
    )
    rows = connection.execute(
        select(*_DEFINITION)
        .join(
            newest,
            and_(
                event_definitions.c.event_type == newest.c.event_type,
                event_definitions.c.version == newest.c.version,
            ),
        )
        .order_by(event_definitions.c.event_type)
    )
    return [DefinitionRow(**row._mapping) for row in rows]


# ---- runs -------------------------------------------------------------------------------------


def _run(row: Row[Any]) -> RunRow:
    values = dict(row._mapping)
    values["state"] = RunState(values["state"])
    return RunRow(**values)


def find_run(connection: Connection, definition_id: int, video_id: int) -> RunRow | None:
    """The run of a version over a video, if any."""
    row = connection.execute(
        _RUN.where(event_runs.c.definition_id == definition_id, event_runs.c.video_id == video_id)
    ).one_or_none()
    return None if row is None else _run(row)


def insert_run(connection: Connection, definition_id: int, video_id: int, requested_by: str) -> int:
    """A queued run without a job yet; its id."""
    result = connection.execute(
        event_runs.insert().values(
            uid=str(uuid.uuid4()),
            definition_id=definition_id,
            video_id=video_id,
            state=str(RunState.QUEUED),
            unchecked=[],
            requested_by=requested_by,
            created_at=now_text(),
        )
    )
    key = result.inserted_primary_key
    assert key is not None
    return int(key[0])


def update_run(connection: Connection, run_id: int, **values: object) -> None:
    """Set columns of a run."""
    connection.execute(event_runs.update().where(event_runs.c.id == run_id).values(**values))


def get_run(connection: Connection, run: int | str) -> RunRow:
    """The run of an id or uid. Raises EventNotFound."""
    wanted = row_name(run)
    column = event_runs.c.id if isinstance(wanted, int) else event_runs.c.uid
    row = connection.execute(_RUN.where(column == wanted)).one_or_none()
    if row is None:
        raise EventNotFound(f"there is no run {wanted}; GET /vigil/events/runs lists them")
    return _run(row)


def list_runs(
    connection: Connection,
    limit: int,
    offset: int,
    *,
    video_id: int | None = None,
    event_type: str | None = None,
) -> tuple[list[RunRow], int]:
    """One page, newest first, and how many there are."""
    chosen: ColumnElement[bool] = true()
    if video_id is not None:
        chosen &= event_runs.c.video_id == video_id
    if event_type is not None:
        chosen &= event_definitions.c.event_type == event_type
    total = connection.execute(
        select(func.count())
        .select_from(
            event_runs.join(event_definitions, event_runs.c.definition_id == event_definitions.c.id)
        )
        .where(chosen)
    ).scalar_one()
    rows = connection.execute(
        _RUN.where(chosen).order_by(event_runs.c.id.desc()).limit(limit).offset(offset)
    )
    return [_run(row) for row in rows], total


def runs_of_version(connection: Connection, definition_id: int) -> dict[int, RunRow]:
    """The finished runs of a version by video."""
    rows = connection.execute(
        _RUN.where(
            event_runs.c.definition_id == definition_id,
            event_runs.c.state == str(RunState.DONE),
        )
    )
    return {row.video_id: _run(row) for row in rows}


def store_detection(connection: Connection, run: RunRow, method: str, found: Detection) -> None:
    """Put what a run found in the place of what it had; what a person said of the same span stays.

    The same: an old event of the run that shares at least half of both spans' union.
    """
    before = events_of_run(connection, run.id)
    connection.execute(vigil_events.delete().where(vigil_events.c.run_id == run.id))
    for event in found.events:
        same = max(before, key=lambda old: old.span.iou(event.span), default=None)
        is_same = same is not None and same.span.iou(event.span) >= 0.5
        _insert_event(connection, run.video_id, run.id, method, event, same if is_same else None)
    update_run(
        connection,
        run.id,
        state=str(RunState.DONE),
        checked_sec=found.checked_sec,
        unchecked=[{"span": span.as_list(), "code": code} for span, code in found.unchecked],
        model_version=found.model_version,
        prompt_version=found.prompt_version,
        analysis=None if found.analysis is None else dict(found.analysis),
        error_code=None,
        error_message=None,
        finished_at=now_text(),
    )


# ---- events -----------------------------------------------------------------------------------


def _event(row: Row[Any]) -> EventRow:
    values = dict(row._mapping)
    values["status"] = EventStatus(values["status"])
    return EventRow(**values)


def _insert_event(
    connection: Connection,
    video_id: int,
    run_id: int | None,
    method: str,
    event: FoundEvent,
    same: EventRow | None = None,
) -> None:
    kept: Mapping[str, Any] = {"status": str(EventStatus.NEW)}
    if same is not None:
        kept = {
            "status": str(same.status),
            "reviewed_by": same.reviewed_by,
            "reviewed_at": same.reviewed_at,
            "note": same.note,
            "alerted_at": same.alerted_at,
        }
    connection.execute(
        vigil_events.insert().values(
            uid=str(uuid.uuid4()) if same is None else same.uid,
            video_id=video_id,
            run_id=run_id,
            event_type=event.event_type,
            start_sec=event.span.start_sec,
            end_sec=event.span.end_sec,
            score=event.score,
            method=method,
            description=event.description,
            evidence=dict(event.evidence),
            created_at=now_text() if same is None else same.created_at,
            **kept,
        )
    )


def import_events(
    connection: Connection, video_id: int, method: str, found: Iterable[FoundEvent]
) -> int:
    """Events that another system told of, beside those that are there; how many."""
    listed = list(found)
    for event in listed:
        _insert_event(connection, video_id, None, method, event)
    return len(listed)


def get_event(connection: Connection, event: int | str) -> EventRow:
    """The event of an id or uid. Raises EventNotFound."""
    wanted = row_name(event)
    column = vigil_events.c.id if isinstance(wanted, int) else vigil_events.c.uid
    row = connection.execute(_EVENT.where(column == wanted)).one_or_none()
    if row is None:
        raise EventNotFound(f"there is no event {wanted}")
    return _event(row)


def events_of_run(connection: Connection, run_id: int) -> list[EventRow]:
    """What a run found, in order of time."""
    rows = connection.execute(
        _EVENT.where(vigil_events.c.run_id == run_id).order_by(
            vigil_events.c.start_sec, vigil_events.c.id
        )
    )
    return [_event(row) for row in rows]


def list_events(
    connection: Connection,
    *,
    video_id: int | None = None,
    event_type: str | None = None,
    status: EventStatus | None = None,
    camera_id: str | None = None,
) -> list[EventRow]:
    """Events that are in force: imported ones, and per type and video those of the newest version
    that has been looked for there. In order of time, videos one after the other."""
    chosen: ColumnElement[bool] = true()
    if video_id is not None:
        chosen &= vigil_events.c.video_id == video_id
    if event_type is not None:
        chosen &= vigil_events.c.event_type == event_type
    if status is not None:
        chosen &= vigil_events.c.status == str(status)
    if camera_id is not None:
        chosen &= videos.c.camera_id == camera_id
    newer_run, newer = event_runs.alias("newer_run"), event_definitions.alias("newer")
    is_replaced = (
        select(newer_run.c.id)
        .join(newer, newer_run.c.definition_id == newer.c.id)
        .where(
            newer_run.c.video_id == event_runs.c.video_id,
            newer_run.c.state == str(RunState.DONE),
            newer.c.event_type == event_definitions.c.event_type,
            newer.c.version > event_definitions.c.version,
        )
        .exists()
    )
    rows = connection.execute(
        _EVENT.where(chosen, or_(vigil_events.c.run_id.is_(None), ~is_replaced)).order_by(
            vigil_events.c.video_id, vigil_events.c.start_sec, vigil_events.c.id
        )
    )
    return [_event(row) for row in rows]


def review(
    connection: Connection, event_id: int, status: EventStatus, note: str | None, by: str
) -> None:
    """Write down what a person says of an event, in the place of what was said before."""
    connection.execute(
        vigil_events.update()
        .where(vigil_events.c.id == event_id)
        .values(
            status=str(status),
            note=note,
            reviewed_by=None if status is EventStatus.NEW else by,
            reviewed_at=None if status is EventStatus.NEW else now_text(),
        )
    )


def reviewed_scores(connection: Connection, event_type: str) -> list[tuple[float, bool]]:
    """(score, was it confirmed) of every reviewed event of a type that has a score."""
    rows = connection.execute(
        select(vigil_events.c.score, vigil_events.c.status)
        .where(
            vigil_events.c.event_type == event_type,
            vigil_events.c.status != str(EventStatus.NEW),
            vigil_events.c.score.is_not(None),
        )
        .order_by(vigil_events.c.score, vigil_events.c.id)
    )
    return [(float(score), status == EventStatus.CONFIRMED) for score, status in rows]


def checked_seconds(
    connection: Connection,
    event_type: str,
    *,
    camera_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> dict[tuple[int, str | None], float]:
    """Seconds that were really looked at for a type, by (run, camera): of the newest version in
    each video. since, until: moments of recording, else of the run's end."""
    moment = func.coalesce(vigil_videos.c.recorded_from, event_runs.c.finished_at)
    chosen: ColumnElement[bool] = event_definitions.c.event_type == event_type
    chosen &= event_runs.c.state == str(RunState.DONE)
    if camera_id is not None:
        chosen &= videos.c.camera_id == camera_id
    if since is not None:
        chosen &= moment >= since
    if until is not None:
        chosen &= moment < until
    rows = connection.execute(
        select(
            event_runs.c.id,
            event_runs.c.video_id,
            event_runs.c.checked_sec,
            event_definitions.c.version,
            videos.c.camera_id,
        )
        .select_from(
            event_runs.join(event_definitions, event_runs.c.definition_id == event_definitions.c.id)
            .join(videos, event_runs.c.video_id == videos.c.id)
            .outerjoin(vigil_videos, vigil_videos.c.video_id == videos.c.id)
        )
        .where(chosen)
        .order_by(event_definitions.c.version)
    )
    newest: dict[int, tuple[int, str | None, float]] = {}
    for row in rows:  # the newest version of a video comes last
        newest[row.video_id] = (row.id, row.camera_id, float(row.checked_sec or 0.0))
    return {(run_id, camera): seconds for run_id, camera, seconds in newest.values()}


def statuses_of_runs(
    connection: Connection, run_ids: Sequence[int]
) -> dict[int, dict[EventStatus, int]]:
    """How many events of each status the runs have."""
    rows = connection.execute(
        select(vigil_events.c.run_id, vigil_events.c.status, func.count())
        .where(vigil_events.c.run_id.in_(list(run_ids)))
        .group_by(vigil_events.c.run_id, vigil_events.c.status)
    )
    found: dict[int, dict[EventStatus, int]] = {}
    for run_id, status, count in rows:
        found.setdefault(run_id, {})[EventStatus(status)] = int(count)
    return found


def was_alerted(
    connection: Connection, event_type: str, camera_id: str | None, within_sec: float
) -> bool:
    """Has an alert of this type gone out for this camera within the last seconds?"""
    same = videos.c.camera_id.is_(None) if camera_id is None else videos.c.camera_id == camera_id
    query = (
        select(vigil_events.c.id)
        .join(videos, vigil_events.c.video_id == videos.c.id)
        .where(
            vigil_events.c.event_type == event_type,
            same,
            vigil_events.c.alerted_at >= after_text(-within_sec),
        )
    )
    return connection.execute(query.limit(1)).first() is not None


def mark_alerted(connection: Connection, event_ids: Sequence[int]) -> None:
    """Write down that an alert tells of these."""
    connection.execute(
        vigil_events.update()
        .where(vigil_events.c.id.in_(list(event_ids)))
        .values(alerted_at=now_text())
    )
