"""Incidents: send a video in, follow its analysis, read events, timeline, log and report."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.responses import FileResponse

from sopilot.api import ingest
from sopilot.api.auth import Admin, Gate, GuardedRoute, Operator, Viewer
from sopilot.api.deps import Offset, RuntimeDep, answer, failures
from sopilot.api.files import video_file
from sopilot.api.incident_streams import incident_stream
from sopilot.api.incidents import highlight_file, upload_incident
from sopilot.api.schemas_incidents import (
    EventAnswer,
    EventList,
    IncidentAnswer,
    IncidentForm,
    IncidentList,
    LogList,
    SearchAnswer,
    TimelineList,
    UploadedAnswer,
    event_shape,
    incident_shape,
    log_shape,
    search_shape,
    timeline_shape,
)
from sopilot.incidents import queries
from sopilot.incidents.page import MEDIA_TYPES, report_bytes
from sopilot.incidents.search import search_timeline
from sopilot.incidents.submit import analyse_again, delete_incident
from sopilot.library import queries as library
from sopilot.library.play import file_of

router = APIRouter(prefix="/api/v1", tags=["incidents"], route_class=GuardedRoute)

IncidentId = Annotated[str, Path(max_length=36, description="Integer id or UUID.")]
OfIncident = Annotated[
    str | None, Query(max_length=36, description="Id of the incident; all when left out.")
]
_REPORTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report, made from the stored analysis.",
        "content": {
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
            MEDIA_TYPES["docx"]: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/event-stream": {
                "example": 'data: {"status": "PROCESSING", "stage": 1}\n\n'
                'data: {"event": "close"}\n\n'
            }
        },
        "description": "One message per change of the status, then `close`.",
    },
    204: {"description": "The client heard the end already (Last-Event-ID)."},
}


def _upload_body() -> dict[str, Any]:
    fields = IncidentForm.model_json_schema()["properties"]
    file = {"type": "string", "format": "binary", "description": "The video."}
    form = {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


@router.post(
    "/incidents/upload",
    summary="Send a video in",
    status_code=202,
    response_model=UploadedAnswer,
    responses=failures(400, 413, 415, 422),
    openapi_extra=_upload_body(),
)
async def post_upload(request: Request, who: Operator, runtime: RuntimeDep) -> Response:
    """Store a video and look through it for dangerous events; the analysis starts by itself."""
    return await upload_incident(request, runtime, who)


@router.get("/incidents", summary="List incidents", responses=failures(422))
def list_incidents(
    _: Viewer,
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    offset: Offset = 0,
) -> IncidentList:
    """Newest first, without their analyses."""
    with runtime.database.read() as connection:
        rows, total = queries.list_incidents(connection, limit, offset)
    return IncidentList(data=[incident_shape(row) for row in rows], total=total)


@router.get(
    "/incidents/{iid}",
    summary="Look at an incident",
    response_model=IncidentAnswer,
    responses=failures(404),
)
def get_incident(iid: IncidentId, _: Viewer, runtime: RuntimeDep) -> Response:
    """Everything about an incident, its whole analysis included."""
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, iid)
        analysis = queries.get_analysis(connection, row.id)
    return answer(IncidentAnswer(data=incident_shape(row, analysis)))


@router.delete(
    "/incidents/{iid}", summary="Delete an incident", status_code=204, responses=failures(404, 409)
)
def remove_incident(iid: IncidentId, who: Admin, runtime: RuntimeDep) -> Response:
    """Remove an incident with its video, events, timeline and log, also while it is analysed."""
    with runtime.database.write() as connection:
        delete_incident(runtime, connection, iid, who.by)
    return Response(status_code=204)


@router.post(
    "/incidents/{iid}/analyze",
    summary="Analyse again",
    status_code=202,
    responses=failures(404, 409),
)
def post_analyze(iid: IncidentId, who: Operator, runtime: RuntimeDep) -> IncidentAnswer:
    """Look through the stored video anew, with the model and the prompts of today."""
    with runtime.database.write() as connection:
        row = analyse_again(runtime, connection, iid, who.by)
    if row.job_id is not None:
        runtime.transport.wake(row.job_id)
    return IncidentAnswer(data=incident_shape(row))


@router.get(
    "/incidents/{iid}/status/stream",
    summary="Follow an incident",
    response_class=StreamingResponse,
    responses=_EVENTS | failures(404, 422),
)
async def stream_status(
    iid: IncidentId,
    request: Request,
    _: Viewer,
    runtime: RuntimeDep,
    poll_interval: Annotated[float, Query(ge=0.5, le=10.0)] = 1.0,
    last_event_id: Annotated[str | None, Header(max_length=128)] = None,
) -> Response:
    """Server-sent events; a client that sends `Last-Event-ID` hears what came after it."""
    is_stopping = lambda: bool(request.app.state.is_stopping())  # noqa: E731
    hold = cast(Gate, request.app.state.gate).hold_stream(request)
    return await incident_stream(runtime, iid, poll_interval, last_event_id, is_stopping, hold)


@router.head("/incidents/{iid}/media", include_in_schema=False)
@router.get(
    "/incidents/{iid}/media",
    summary="Play the video",
    response_class=FileResponse,
    responses=ingest.BYTES | failures(404, 409),
)
def get_media(iid: IncidentId, request: Request, _: Viewer, runtime: RuntimeDep) -> Response:
    """The masked copy where the privacy mask is on, else the upload. Range and HEAD work."""
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, iid)
        video = library.get_ready_video(connection, row.video_id)
        file = file_of(runtime, connection, video, is_raw=False)
    return video_file(video, file, request)


@router.post("/incidents/{iid}/search", summary="Search the timeline", responses=failures(404, 422))
def post_search(
    iid: IncidentId,
    _: Operator,
    runtime: RuntimeDep,
    prompt: Annotated[str, Query(min_length=1, max_length=1000, description="Words, any of them.")],
) -> SearchAnswer:
    """Windows whose caption or type has one of the words or one of the same stem, best first."""
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, iid)
        windows = queries.list_windows(connection, row.id)
    return SearchAnswer(data=search_shape(prompt, search_timeline(windows, prompt)))


@router.get(
    "/incidents/{iid}/report",
    summary="Read the report",
    response_class=Response,
    responses=_REPORTS | failures(404, 422, 425),
)
def get_report(
    iid: IncidentId,
    _: Viewer,
    runtime: RuntimeDep,
    form: Annotated[Literal["docx", "pdf", "json"], Query(alias="format")] = "docx",
    language: Annotated[
        Literal["ru", "en", "ja"] | None, Query(description="Of the incident when left out.")
    ] = None,
) -> Response:
    """Made from what is stored; nothing is analysed again."""
    made = report_bytes(runtime, iid, form, language)
    disposition = f'attachment; filename="{made.filename}"'
    return Response(
        made.data, media_type=made.media_type, headers={"Content-Disposition": disposition}
    )


@router.head("/incidents/{iid}/highlights/{number}", include_in_schema=False)
@router.get(
    "/incidents/{iid}/highlights/{number}",
    summary="Get the clip of an event",
    response_class=FileResponse,
    responses=ingest.BYTES | failures(404, 409, 422),
)
def get_highlight(
    iid: IncidentId,
    number: Annotated[int, Path(ge=1, le=10_000, description="1 = the first event in time.")],
    request: Request,
    _: Viewer,
    runtime: RuntimeDep,
) -> Response:
    """The event with a second before and after it, as MP4; masked when masks are on."""
    return highlight_file(runtime, iid, number, request)


@router.get("/events", summary="List events", responses=failures(404, 422))
def list_events(
    _: Viewer,
    runtime: RuntimeDep,
    incident_iid: OfIncident = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Offset = 0,
) -> EventList:
    """Events of one incident in time order, or of all, newest first."""
    with runtime.database.read() as connection:
        wanted = None if incident_iid is None else queries.get_incident(connection, incident_iid).id
        rows = queries.list_events(connection, wanted, limit, offset)
    return EventList(data=[event_shape(row) for row in rows])


@router.get("/events/{event_iid}", summary="Look at an event", responses=failures(404))
def get_event(event_iid: IncidentId, _: Viewer, runtime: RuntimeDep) -> EventAnswer:
    """One event."""
    with runtime.database.read() as connection:
        return EventAnswer(data=event_shape(queries.get_event(connection, event_iid)))


@router.get("/timelines", summary="Read the timeline", responses=failures(404, 422))
def list_timeline(
    _: Viewer,
    runtime: RuntimeDep,
    incident_iid: Annotated[str, Query(max_length=36, description="Id of the incident.")],
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
    offset: Offset = 0,
) -> TimelineList:
    """What is known about every window, in time order."""
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, incident_iid)
        windows = queries.list_windows(connection, row.id, limit, offset)
    return TimelineList(data=[timeline_shape(window) for window in windows])


@router.get("/logs", summary="Read the log", responses=failures(404, 422))
def list_logs(
    _: Viewer,
    runtime: RuntimeDep,
    incident_iid: Annotated[str, Query(max_length=36, description="Id of the incident.")],
) -> LogList:
    """What happened to an incident, oldest first."""
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, incident_iid)
        return LogList(data=[log_shape(item) for item in queries.list_logs(connection, row.id)])
