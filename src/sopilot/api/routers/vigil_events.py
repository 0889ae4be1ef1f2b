"""Events of footage: define them in plain words, look for them, review what was found."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query

from sopilot.api.auth import Admin, GuardedRoute, Operator, Viewer
from sopilot.api.deps import Offset, RuntimeDep, failures
from sopilot.api.schemas_vigil_events import (
    Definition,
    DefinitionBody,
    DefinitionHistory,
    DefinitionList,
    DetectOrder,
    Diff,
    EventTypeName,
    ImportBody,
    Imported,
    NewDefinitionBody,
    Rates,
    ReviewBody,
    Run,
    RunList,
    StatusName,
    ThresholdProposal,
    VigilEvent,
    VigilEventPage,
    VigilEvents,
    definition_shape,
    diff_shape,
    event_shape,
    proposal_shape,
    rate_shape,
    run_shape,
    unchecked_shapes,
)
from sopilot.library import queries as library
from sopilot.store.times import text_of
from sopilot.vigil import event_queries as queries
from sopilot.vigil import events, wanted
from sopilot.vigil.detectors import methods
from sopilot.vigil.event_schemas import EventStatus

router = APIRouter(prefix="/vigil", tags=["vigil events"], route_class=GuardedRoute)

VideoName = Annotated[str, Path(max_length=36, description="UUID or integer id.")]
TypeName = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_]{1,63}$")]
Version = Annotated[int | None, Query(ge=1, le=100_000)]
Camera = Annotated[str | None, Query(max_length=128)]


@router.post(
    "/events/definitions", summary="Define an event", status_code=201, responses=failures(409, 422)
)
def post_definition(body: NewDefinitionBody, who: Admin, runtime: RuntimeDep) -> Definition:
    """An event in plain words, with what it is seen by and how it looks when it does not happen."""
    with runtime.database.write() as connection:
        return definition_shape(events.define(connection, body.made(body.event_type), who.by))


@router.get("/events/definitions", summary="List event definitions")
def list_definitions(_: Viewer, runtime: RuntimeDep) -> DefinitionList:
    """The version of each that is in force."""
    with runtime.database.read() as connection:
        rows = queries.definitions_in_force(connection)
    return DefinitionList(items=[definition_shape(row) for row in rows], methods=methods())


@router.get(
    "/events/definitions/{event_type}",
    summary="Look at an event definition",
    responses=failures(404, 422),
)
def get_definition(event_type: TypeName, _: Viewer, runtime: RuntimeDep) -> DefinitionHistory:
    """All versions; none is ever changed."""
    with runtime.database.read() as connection:
        rows = queries.versions_of(connection, event_type)
    return DefinitionHistory(versions=[definition_shape(row) for row in rows])


@router.put(
    "/events/definitions/{event_type}",
    summary="Change an event definition",
    responses=failures(404, 422),
)
def put_definition(
    event_type: TypeName, body: DefinitionBody, who: Admin, runtime: RuntimeDep
) -> Definition:
    """The next version. What earlier versions found stays until this one was looked for."""
    with runtime.database.write() as connection:
        return definition_shape(events.redefine(connection, body.made(event_type), who.by))


@router.get(
    "/events/definitions/{event_type}/diff",
    summary="Compare two versions",
    responses=failures(404, 422),
)
def get_diff(
    event_type: TypeName,
    _: Viewer,
    runtime: RuntimeDep,
    before: Version = None,
    after: Version = None,
) -> Diff:
    """Hits that a new wording gains and loses, in the videos that both were looked for in."""
    with runtime.database.read() as connection:
        return diff_shape(events.difference(connection, event_type, before, after))


@router.get(
    "/events/definitions/{event_type}/threshold",
    summary="Propose a threshold",
    responses=failures(404, 422),
)
def get_threshold(
    event_type: TypeName,
    _: Viewer,
    runtime: RuntimeDep,
    alarms_per_hour: Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False)],
) -> ThresholdProposal:
    """The lowest score that keeps reviewed false alarms within a budget."""
    with runtime.database.read() as connection:
        found = events.threshold_for(connection, event_type, alarms_per_hour)
    return proposal_shape(event_type, alarms_per_hour, found)


@router.get(
    "/events/definitions/{event_type}/rates",
    summary="False alarms per hour",
    responses=failures(404, 422),
)
def get_rates(
    event_type: TypeName,
    _: Viewer,
    runtime: RuntimeDep,
    camera_id: Camera = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Rates:
    """Over the hours that were really looked at, together and by camera, with an interval."""
    with runtime.database.read() as connection:
        found = events.alarm_rates(
            connection,
            event_type,
            camera_id=camera_id,
            since=None if since is None else text_of(since),
            until=None if until is None else text_of(until),
        )
    return Rates(event_type=event_type, rates=[rate_shape(rate) for rate in found])


@router.post(
    "/events/detect", summary="Look for events", status_code=202, responses=failures(404, 409, 422)
)
def post_detect(order: DetectOrder, who: Operator, runtime: RuntimeDep) -> RunList:
    """Queue definitions over videos, also over the whole archive; one run each."""
    with runtime.database.write() as connection:
        rows = wanted.queue_runs(runtime, connection, order.event_types, order.video_ids, who.by)
    for row in rows:
        if row.job_id is not None:
            runtime.transport.wake(row.job_id)
    return RunList(items=[run_shape(row) for row in rows], total=len(rows))


@router.get("/events/runs", summary="List runs", responses=failures(404, 422))
def list_runs(
    _: Viewer,
    runtime: RuntimeDep,
    video_id: Annotated[str | None, Query(max_length=36)] = None,
    event_type: EventTypeName | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Offset = 0,
) -> RunList:
    """Newest first."""
    with runtime.database.read() as connection:
        video = None if video_id is None else library.get_video(connection, video_id).id
        rows, total = queries.list_runs(
            connection, limit, offset, video_id=video, event_type=event_type
        )
    return RunList(items=[run_shape(row) for row in rows], total=total)


@router.get("/events/runs/{run_id}", summary="Look at a run", responses=failures(404))
def get_run(run_id: Annotated[str, Path(max_length=36)], _: Viewer, runtime: RuntimeDep) -> Run:
    """How far it is, and what nobody looked at."""
    with runtime.database.read() as connection:
        return run_shape(queries.get_run(connection, run_id))


@router.get("/events", summary="List events", responses=failures(404, 422))
def list_events(
    _: Viewer,
    runtime: RuntimeDep,
    type: Annotated[EventTypeName | None, Query()] = None,
    status: StatusName | None = None,
    camera_id: Camera = None,
    min_conf: Annotated[float | None, Query(ge=0, le=1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Offset = 0,
) -> VigilEventPage:
    """Of all videos; the review queue with `status=new`."""
    with runtime.database.read() as connection:
        rows = events.events_of(
            connection,
            event_type=type,
            status=None if status is None else EventStatus(status),
            camera_id=camera_id,
            least_confidence=min_conf,
        )
    shown = rows[offset : offset + limit]
    return VigilEventPage(events=[event_shape(row) for row in shown], total=len(rows))


@router.get(
    "/videos/{video_id}/events", summary="List events of a video", responses=failures(404, 422)
)
def list_video_events(
    video_id: VideoName,
    _: Viewer,
    runtime: RuntimeDep,
    type: Annotated[EventTypeName | None, Query()] = None,
    status: StatusName | None = None,
    min_conf: Annotated[float | None, Query(ge=0, le=1)] = None,
) -> VigilEvents:
    """In order of time, with what was not looked at: not checked is not "nothing found"."""
    with runtime.database.read() as connection:
        video = library.get_video(connection, video_id)
        rows = events.events_of(
            connection,
            video_id=video.id,
            event_type=type,
            status=None if status is None else EventStatus(status),
            least_confidence=min_conf,
        )
        runs = wanted.runs_in_force(connection, video.id, type)
    missed = [item for run in runs for item in unchecked_shapes(run)]
    return VigilEvents(events=[event_shape(row) for row in rows], not_checked=missed)


@router.post(
    "/videos/{video_id}/events",
    summary="Import events",
    status_code=201,
    responses=failures(404, 409, 422),
)
def post_video_events(
    video_id: VideoName, body: ImportBody, who: Operator, runtime: RuntimeDep
) -> Imported:
    """Events that another system found."""
    found = [item.found() for item in body.events]
    with runtime.database.write() as connection:
        count = events.import_events(connection, video_id, found, who.by)
        uid = library.get_video(connection, video_id).uid
    return Imported(video_id=uid, imported=count)


@router.put("/events/{event_id}/review", summary="Review an event", responses=failures(404, 422))
def put_review(
    event_id: Annotated[str, Path(max_length=36)],
    body: ReviewBody,
    who: Operator,
    runtime: RuntimeDep,
) -> VigilEvent:
    """Confirm it, call it a false alarm, or take that back with `new`."""
    with runtime.database.write() as connection:
        row = events.review_event(connection, event_id, EventStatus(body.status), body.note, who.by)
    return event_shape(row)
