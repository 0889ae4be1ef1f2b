"""The one use case of a question: find, answer, keep. Called by the routes and the command line."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from sopilot.core.errors import BlobNotFound, InputError, ModelUnavailable, StoreError
from sopilot.core.log import get_logger
from sopilot.core.records import Actor
from sopilot.core.timespan import TimeSpan
from sopilot.embed.look import decoded
from sopilot.embed.open import open_stills
from sopilot.embed.stills import StillEmbedder
from sopilot.library import queries as library
from sopilot.library.look import thumbnails_file
from sopilot.library.schemas import VideoRow
from sopilot.media.keyframes import StripFile
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.vectors import PointName
from sopilot.text.stop import content_words
from sopilot.vigil import queries
from sopilot.vigil.answer import (
    Answer,
    Passage,
    answer_by_quoting,
    answer_with_model,
)
from sopilot.vigil.moments import Moment
from sopilot.vigil.retrieve import Found, Query, require_model, retrieve
from sopilot.vigil.schemas import AnswerRow, NewAnswer
from sopilot.vigil.scope import Scope, Searched, searched
from sopilot.vigil.vectors import collection_of
from sopilot.vlm.client import Picture, VlmClient
from sopilot.vlm.open import PRESETS, endpoint_of, named

PICTURES_PER_PASSAGE = 3
ASKED_TWICE = 2
"""How often a model is asked: an answer that cites nothing is asked for once more."""
MOST_QUESTION = 4000

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found, where it looked, and with which model of looks."""

    found: Found
    where: Searched
    model: str


@dataclass(frozen=True, slots=True)
class LikeMoment:
    """A moment of a video whose look is searched. video: id or uid."""

    video: str
    time_sec: float


def search(
    runtime: Runtime,
    text: str,
    scope: Scope,
    count: int,
    *,
    picture: bytes | None = None,
    like: LikeMoment | None = None,
) -> SearchResult:
    """Moments by words, by a picture (JPEG, PNG) or by another moment.

    Raises InputError, VideoNotFound, Conflict, ProducerMismatch, StoreError.
    """
    if picture is not None and like is not None:
        raise InputError("a picture and a moment were given; search by one of them")
    stills = open_stills()
    with runtime.database.snapshot() as connection:
        where = searched(connection, scope)
        query = Query(text)
        if picture is not None:
            query = replace(query, look=stills.of_pictures([decoded(picture)])[0])
        if like is not None:
            query = _like(runtime, connection, query, like, stills)
        found = retrieve(runtime, connection, query, where, stills, count)
    return SearchResult(found, where, f"{stills.producer.name} {stills.producer.version}")


def _like(
    runtime: Runtime,
    connection: Connection,
    query: Query,
    like: LikeMoment,
    stills: StillEmbedder,
) -> Query:
    """The query with the look of the micro chunk around a moment. Raises as `searched` and
    `require_model` for its video."""
    shown_in = searched(connection, Scope(videos=(like.video,)))
    require_model(connection, shown_in, stills)
    (footage,) = shown_in.videos.values()
    duration_sec = footage.duration_sec or 0.0
    if not 0.0 <= like.time_sec <= duration_sec:
        raise InputError(
            f"time_sec is {like.time_sec}, the video has 0 to {duration_sec:.1f} s; name a moment "
            "of it"
        )
    at = TimeSpan(max(0.0, like.time_sec - 0.001), like.time_sec + 0.001)
    chunks = queries.chunks_of(connection, footage.video_id, "micro", at)
    shown = [chunk for chunk in chunks if chunk.keyframes_sec]
    if not shown:
        raise InputError(f"the video shows nothing at {like.time_sec} s; name another moment")
    best = min(shown, key=lambda chunk: abs(chunk.span.centre_sec - like.time_sec))
    name: PointName = (footage.video_id, "micro", best.index)
    vectors = runtime.vectors.fetch(collection_of(stills), [name])
    if not vectors:
        raise StoreError(
            f"the vectors of video {footage.uid} are gone; index it again "
            f"(POST /vigil/videos/{footage.uid}/index)"
        )
    (look,) = vectors.values()
    return replace(query, look=look, apart_from=(footage.video_id, best.span))


def ask(runtime: Runtime, question: str, scope: Scope, count: int, *, by: Actor) -> AnswerRow:
    """Answer a question from what its words find, and keep question, answer and evidence.

    Raises as `search`, ModelUnavailable, ModelRefused; then nothing is kept.
    """
    begun = time.perf_counter()
    if not question.strip() or len(question) > MOST_QUESTION:
        raise InputError(
            f"the question has {len(question)} characters; ask with 1 to {MOST_QUESTION}"
        )
    subject = " ".join(content_words(question)) or question
    result = search(runtime, subject, scope, count)
    with _asker(runtime) as client:
        with runtime.database.read() as connection:
            passages = list(_passages(runtime, connection, result, wants=client is not None))
        if client is None:
            answer = answer_by_quoting(question, passages, result.found.unknown_words)
        else:
            answer = answer_with_model(client, question, passages)
        model = None if client is None else client.model
    made = NewAnswer(
        question=question,
        request={
            "scope": _scope_record(scope),
            "top_k": count,
            "observed": len(result.found.moments),
        },
        answer=answer.text,
        method=str(answer.method),
        evidence=[_evidence(p, m, result) for p, m in _cited(passages, result, answer)],
        unknowns=[*answer.unknowns, *result.where.left_out],
        raw=answer.raw,
        llm_model=model,
        embedding_model=result.model,
        latency_sec=round(time.perf_counter() - begun, 4),
    )
    with runtime.database.write() as connection:
        row = queries.insert_answer(connection, made, requested_by=by.name)
        record(
            connection,
            by,
            Action.QUESTION_ANSWERED,
            f"question:{row.id}",
            detail={
                "method": row.method,
                "question_sha256": hashlib.sha256(question.encode()).hexdigest(),
                "evidence_count": len(row.evidence),
            },
        )
    return row


@contextmanager
def _asker(runtime: Runtime) -> Iterator[VlmClient | None]:
    endpoint = endpoint_of(runtime.settings)
    if endpoint is None:
        yield None
        return
    if runtime.settings.vlm_protocol != "openai":
        raise ModelUnavailable(
            "questions need an OpenAI-compatible server; set SOPILOT_VLM_PROTOCOL=openai"
        )
    wanted = runtime.settings.vigil_llm_model
    endpoint = replace(
        endpoint,
        model=PRESETS.get(wanted, wanted) or endpoint.model,
        attempts=min(ASKED_TWICE, endpoint.attempts),
    )
    with VlmClient(named(endpoint)) as client:
        yield client


def _passages(
    runtime: Runtime, connection: Connection, result: SearchResult, *, wants: bool
) -> Iterator[Passage]:
    """The moments as evidence; wants: with pictures, for a model."""
    for number, moment in enumerate(result.found.moments, start=1):
        row = result.where.videos[moment.video_id]
        times = result.found.keyframes_sec[number - 1]
        pictures: tuple[Picture, ...] = ()
        if wants:
            video = library.get_video(connection, moment.video_id)
            pictures = _pictures(runtime, video, times)
        yield Passage(
            f"E{number}",
            moment.video_id,
            row.filename or row.uid,
            moment.span,
            texts_of(moment, result.found),
            pictures,
        )


def texts_of(moment: Moment, found: Found) -> tuple[str, ...]:
    """What is said of a moment by the texts that found it, each once, the best first."""
    said = (found.texts.get(item.hit.name) for item in moment.evidence)
    lines = (
        f"{one.label}: {one.text}" if one.label and one.label not in one.text else one.text
        for one in said
        if one is not None
    )
    return tuple(dict.fromkeys(lines))


def _pictures(runtime: Runtime, video: VideoRow, times: Sequence[float]) -> tuple[Picture, ...]:
    """Thumbnails of a moment for a model, spread over it."""
    step = max(1, -(-len(times) // PICTURES_PER_PASSAGE))
    try:
        with StripFile(thumbnails_file(runtime, video)) as strip:
            places = dict.fromkeys(strip.nearest(time_sec) for time_sec in times[::step])
            return tuple(Picture(float(strip.times_sec[p]), strip.jpeg(p)) for p in places)
    except (BlobNotFound, StoreError) as error:
        _log.warning("ask.no_pictures", video_id=video.id, reason=error.message)
        return ()


def _cited(
    passages: Sequence[Passage], result: SearchResult, answer: Answer
) -> list[tuple[Passage, Moment]]:
    """What the answer cites; of an answer that cites nothing, nothing."""
    ids = {one for _, cited in answer.sentences for one in cited}
    pairs = zip(passages, result.found.moments, strict=True)
    return [(passage, moment) for passage, moment in pairs if passage.id in ids]


def _evidence(passage: Passage, moment: Moment, result: SearchResult) -> dict[str, object]:
    place = list(result.found.moments).index(moment)
    return {
        "id": passage.id,
        "video_id": result.where.videos[moment.video_id].uid,
        "level": moment.level,
        "start_sec": moment.span.as_list()[0],
        "end_sec": moment.span.as_list()[1],
        "score": round(moment.score, 6),
        "why_relevant": why_relevant(moment, result.found),
        "transcript_text": " / ".join(passage.texts) or None,
        "keyframes_sec": [*result.found.keyframes_sec[place]],
    }


def why_relevant(moment: Moment, found: Found) -> str:
    """In words, by which hits a moment was found: facts, no judgement."""
    told = []
    for item in moment.evidence:
        text = found.texts.get(item.hit.name)
        if text is not None:
            words = ", ".join(found.words.get(item.hit.name, ()))
            told.append(f"{text.source} text match: {words}")
        else:
            told.append(f"{item.hit.level} visual similarity {item.hit.score:.2f}")
    return "; ".join(dict.fromkeys(told))


def _scope_record(scope: Scope) -> Mapping[str, object]:
    """The scope as JSON, without what was not chosen."""
    told: dict[str, object] = {
        "videos": list(scope.videos),
        "domain": scope.domain and str(scope.domain),
        "camera_id": scope.camera_id,
        "site_id": scope.site_id,
        "task_id": scope.task_id,
        "span": scope.span and scope.span.as_list(),
        "recorded_after": scope.recorded_after and scope.recorded_after.isoformat(),
        "recorded_before": scope.recorded_before and scope.recorded_before.isoformat(),
    }
    if scope.time_of_day is not None:
        daily = scope.time_of_day
        told["time_of_day"] = [daily.start.isoformat(), daily.end.isoformat(), sorted(daily.days)]
    return {name: value for name, value in told.items() if value}


def judge(
    connection: Connection, answer: str, feedback: str, comment: str | None, by: Actor
) -> AnswerRow:
    """Write down what somebody thinks of an answer. Raises QuestionNotFound."""
    row = queries.get_answer(connection, answer)
    queries.judge_answer(connection, row.id, feedback, comment, by.name)
    record(
        connection,
        by,
        Action.ANSWER_JUDGED,
        f"question:{row.id}",
        detail={"feedback": feedback},
    )
    return queries.get_answer(connection, row.id)
