"""VIGIL: take footage in, index it, find moments, ask about it."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Path, Query, Request, Response

from sopilot.api import vigil
from sopilot.api.auth import Admin, GuardedRoute, Operator, Viewer
from sopilot.api.deps import Offset, RuntimeDep, failures
from sopilot.api.schemas_vigil import (
    AnswerPage,
    Footage,
    FootageAdded,
    FootageForm,
    FootagePage,
    HoldBody,
    IndexOrder,
    IndexOrdered,
    IndexStatus,
    Judgement,
    QuestionAnswer,
    QuestionOrder,
    RuleBody,
    Rules,
    SearchFound,
    SearchOrder,
    Transcript,
    answer_shape,
    footage_shape,
    picture_bytes,
    rules_shape,
    search_shape,
    status_shape,
    transcript_shape,
)
from sopilot.api.schemas_vigil_speech import SpeechOrder, SpeechState, speech_shape
from sopilot.core.errors import InputError
from sopilot.vigil import queries, retention
from sopilot.vigil.add import cancel_index, delete_footage, request_index
from sopilot.vigil.ask import ask, judge
from sopilot.vigil.schemas import Domain, IndexState
from sopilot.vigil.search import search
from sopilot.vigil.speech import cancel_speech, request_speech, speech_job
from sopilot.vigil.transcript import transcript_of

router = APIRouter(prefix="/vigil", tags=["vigil"], route_class=GuardedRoute)

VideoName = Annotated[str, Path(max_length=36, description="UUID or integer id.")]
QuestionName = Annotated[str, Path(max_length=36, description="UUID or integer id.")]
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A small picture; `X-Time-Sec` says when it was taken.",
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
    }
}

_KNOWN: dict[int | str, dict[str, Any]] = {
    200: {"model": FootageAdded, "description": "The same bytes are there already."}
}


def _added_body() -> dict[str, Any]:
    fields = FootageForm.model_json_schema()["properties"]
    file = {"type": "string", "format": "binary", "description": "The video."}
    form = {"type": "object", "required": ["file"], "properties": {"file": file, **fields}}
    order = {"type": "object", "required": ["uri"], "properties": fields}
    content = {
        "multipart/form-data": {"schema": form},
        "application/json": {"schema": order},
        "video/*": {"schema": {"type": "string", "format": "binary"}},
    }
    return {"requestBody": {"required": True, "content": content}}


def _transcript_body() -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    content = {"text/vtt": text, "application/x-subrip": text, "text/plain": text}
    return {"requestBody": {"required": True, "content": content}}


def _slots(request: Request) -> BoundedSemaphore:
    return cast(BoundedSemaphore, request.app.state.vigil_slots)


@router.post(
    "/videos",
    summary="Take footage in",
    status_code=201,
    response_model=FootageAdded,
    responses=_KNOWN | failures(400, 413, 422),
    openapi_extra=_added_body(),
)
async def post_video(request: Request, who: Operator, runtime: RuntimeDep) -> Response:
    """Store a video, sent as a form or named by a path of the server. The same bytes are one
    video. Nothing is indexed until that is asked for."""
    return await vigil.receive_footage(request, runtime, who)


@router.get("/videos", summary="List footage", responses=failures(422))
def list_videos(
    _: Viewer,
    runtime: RuntimeDep,
    state: Literal["none", "queued", "indexing", "ready", "error"] | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Offset = 0,
) -> FootagePage:
    """Newest first."""
    wanted = None if state is None else IndexState(state)
    with runtime.database.read() as connection:
        rows, total = queries.list_footage(connection, limit, offset, wanted)
    return FootagePage(items=[footage_shape(row) for row in rows], total=total)


@router.get("/videos/{video_id}", summary="Look at footage", responses=failures(404))
def get_video(video_id: VideoName, _: Viewer, runtime: RuntimeDep) -> Footage:
    """One video and its index."""
    with runtime.database.read() as connection:
        return footage_shape(queries.get_footage(connection, video_id))


@router.delete(
    "/videos/{video_id}", summary="Delete footage", status_code=204, responses=failures(404, 409)
)
def delete_video(video_id: VideoName, who: Admin, runtime: RuntimeDep) -> Response:
    """Remove rows, vectors, pictures and file. A video that is scored or an incident keeps its
    place in the library."""
    with runtime.database.write() as connection:
        delete_footage(runtime, connection, video_id, who.by)
    return Response(status_code=204)


@router.post(
    "/videos/{video_id}/index",
    summary="Index a video",
    status_code=202,
    responses=failures(404, 409, 422),
)
def post_index(
    video_id: VideoName, who: Operator, runtime: RuntimeDep, order: IndexOrder | None = None
) -> IndexOrdered:
    """Have any video of the library indexed, or indexed anew. `GET /vigil/status/…` tells how far
    it is."""
    domain = None if order is None or order.domain is None else Domain(order.domain)
    with runtime.database.write() as connection:
        row = request_index(
            runtime,
            connection,
            video_id,
            who.by,
            domain,
            wants_speech=order is not None and order.transcribe,
        )
    if row.job_id is not None:
        runtime.transport.wake(row.job_id)
    return IndexOrdered(video_id=row.uid, job_id=row.job_id, status=str(row.state))


@router.post("/videos/{video_id}/cancel", summary="Cancel an index", responses=failures(404, 409))
def post_cancel(video_id: VideoName, _: Operator, runtime: RuntimeDep) -> Footage:
    """Stop an index that is wanted or being made; the one before it stays."""
    with runtime.database.write() as connection:
        return footage_shape(cancel_index(connection, video_id))


@router.get("/status/{video_id}", summary="How far an index is", responses=failures(404))
def get_status(video_id: VideoName, _: Viewer, runtime: RuntimeDep) -> IndexStatus:
    """State, progress, chunks per level, and how much of the video can be found."""
    with runtime.database.read() as connection:
        row = queries.get_footage(connection, video_id)
        texts = queries.count_texts(connection, row.video_id)
        return status_shape(row, texts, speech_job(connection, row.video_id))


@router.get(
    "/videos/{video_id}/keyframe",
    summary="Look at a moment",
    response_class=Response,
    responses=_PICTURE | failures(404, 409, 422),
)
def get_keyframe(
    video_id: VideoName,
    _: Viewer,
    runtime: RuntimeDep,
    time_sec: Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False)],
) -> Response:
    """The stored picture nearest to a moment; masked when masks are on."""
    return vigil.keyframe(runtime, video_id, time_sec)


@router.put(
    "/videos/{video_id}/transcript",
    summary="Import a transcript",
    responses=failures(404, 409, 422),
    openapi_extra=_transcript_body(),
)
async def put_video_transcript(
    video_id: VideoName, request: Request, who: Operator, runtime: RuntimeDep
) -> Transcript:
    """A WebVTT or SubRip file in the place of the transcript that was there."""
    return await vigil.store_transcript(runtime, video_id, await request.body(), who.by)


@router.post(
    "/videos/{video_id}/transcribe",
    summary="Recognise what is said",
    status_code=202,
    responses=failures(404, 409, 422),
)
def post_transcribe(
    video_id: VideoName, who: Operator, runtime: RuntimeDep, order: SpeechOrder | None = None
) -> SpeechState:
    """By a model of this machine, without indexing the video anew. `speech` of
    `GET /vigil/status/…` tells how far it is."""
    replaces = order is not None and order.replace
    with runtime.database.write() as connection:
        job = request_speech(runtime, connection, video_id, who.by, replaces_import=replaces)
    runtime.transport.wake(job.id)
    return speech_shape(job)


@router.post(
    "/videos/{video_id}/transcribe/cancel",
    summary="Cancel a transcription",
    responses=failures(404, 409),
)
def post_transcribe_cancel(video_id: VideoName, _: Operator, runtime: RuntimeDep) -> SpeechState:
    """Stop one that waits or is at work; the transcript before it stays."""
    with runtime.database.write() as connection:
        return speech_shape(cancel_speech(connection, video_id))


@router.get("/videos/{video_id}/transcript", summary="Read the transcript", responses=failures(404))
def get_transcript(video_id: VideoName, _: Viewer, runtime: RuntimeDep) -> Transcript:
    """All lines in order of time."""
    with runtime.database.read() as connection:
        return transcript_shape(*transcript_of(connection, video_id))


@router.post("/search", summary="Find moments", responses=failures(404, 409, 422, 502))
def post_search(
    order: SearchOrder, request: Request, _: Operator, runtime: RuntimeDep
) -> SearchFound:
    """By words in what is said or noted, by a picture, or by another moment's look."""
    picture = None if order.image_b64 is None else picture_bytes(order.image_b64)
    like = None if order.like is None else order.like.moment()
    with vigil.slot(_slots(request)):
        found = search(
            runtime,
            order.query,
            order.scope(),
            order.top_k,
            picture=picture,
            like=like,
            wants_model=order.rerank,
        )
    return search_shape(order.query, found)


@router.post(
    "/ask", summary="Ask about footage (older name)", responses=failures(404, 409, 422, 502)
)
@router.post("/query", summary="Ask about footage", responses=failures(404, 409, 422, 502))
def post_query(
    order: QuestionOrder, request: Request, who: Operator, runtime: RuntimeDep
) -> QuestionAnswer:
    """An answer that cites the moments it rests on, and what the footage does not show. Also at
    `/vigil/ask`."""
    with vigil.slot(_slots(request)):
        row = ask(
            runtime,
            order.question,
            order.scope(),
            order.top_k,
            by=who.by,
            wants_rerank=order.enable_rerank,
        )
    return answer_shape(row)


@router.get("/queries", summary="List questions", responses=failures(422))
def list_queries(
    _: Viewer,
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Offset = 0,
) -> AnswerPage:
    """Newest first, with their answers."""
    with runtime.database.read() as connection:
        rows, total = queries.list_answers(connection, limit, offset)
    return AnswerPage(items=[answer_shape(row) for row in rows], total=total)


@router.get("/queries/{query_id}", summary="Look at a question", responses=failures(404))
def get_query(query_id: QuestionName, _: Viewer, runtime: RuntimeDep) -> QuestionAnswer:
    """One question with its answer."""
    with runtime.database.read() as connection:
        return answer_shape(queries.get_answer(connection, query_id))


@router.post(
    "/queries/{query_id}/feedback", summary="Judge an answer", responses=failures(404, 422)
)
def post_feedback(
    query_id: QuestionName, judgement: Judgement, who: Operator, runtime: RuntimeDep
) -> QuestionAnswer:
    """Good or bad, with a comment; the last word stands."""
    with runtime.database.write() as connection:
        row = judge(connection, query_id, judgement.feedback, judgement.comment, who.by)
    return answer_shape(row)


@router.put("/videos/{video_id}/hold", summary="Hold footage", responses=failures(404, 422))
def put_hold(video_id: VideoName, body: HoldBody, who: Admin, runtime: RuntimeDep) -> Footage:
    """Forbid to delete it, by anybody and any rule, or give it free."""
    if body.hold and body.reason is None:
        raise InputError("a hold needs a reason; say why", {"field": "reason"})
    reason = body.reason if body.hold else None
    with runtime.database.write() as connection:
        return footage_shape(retention.hold(connection, video_id, reason, who.by))


@router.get("/retention", summary="How long footage is kept")
def get_rules(_: Viewer, runtime: RuntimeDep) -> Rules:
    """The rules, and how many videos are due."""
    with runtime.database.read() as connection:
        due = len(retention.expired(connection, datetime.now(UTC)))
        return rules_shape(queries.list_rules(connection), due)


@router.put("/retention", summary="Say how long footage is kept", responses=failures(422))
def put_rule(body: RuleBody, who: Admin, runtime: RuntimeDep) -> Rules:
    """By camera, counted from its recording where that is known. Due videos go within the hour,
    with everything that was made of them."""
    with runtime.database.write() as connection:
        rows = retention.set_rule(connection, body.camera_id, body.max_age_days, who.by)
        due = len(retention.expired(connection, datetime.now(UTC)))
    return rules_shape(rows, due)
