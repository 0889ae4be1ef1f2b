"""The one use case of a question: find, answer, keep. Called by the routes and the command line."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from sopilot.core.errors import InputError, ModelUnavailable, StoreError
from sopilot.core.log import get_logger
from sopilot.core.records import Actor
from sopilot.core.timespan import TimeSpan
from sopilot.embed.look import decoded
from sopilot.embed.stills import StillEmbedder
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.store.tallies import Tally, count_model_calls, observe
from sopilot.store.vectors import Collection, PointName
from sopilot.text.stop import content_words
from sopilot.vigil import queries
from sopilot.vigil.answer import (
    Answer,
    Passage,
    answer_by_quoting,
    answer_with_model,
)
from sopilot.vigil.meaning import count_without_vectors, query_vector
from sopilot.vigil.moments import Moment
from sopilot.vigil.passages import passages_of, why_relevant
from sopilot.vigil.rerank import judged, reranked, verdict_records
from sopilot.vigil.retrieve import Found, Query, of_model, require_model, retrieve
from sopilot.vigil.schemas import AnswerRow, NewAnswer
from sopilot.vigil.scope import Scope, Searched, searched
from sopilot.vigil.vectors import collection_of
from sopilot.vlm.client import VlmClient
from sopilot.vlm.open import PRESETS, endpoint_of, named

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
    wants_model: bool = False,
) -> SearchResult:
    """Moments by words, by a picture (JPEG, PNG) or by another moment.

    wants_model: the first ones are put in order by what a model sees in them. Raises InputError,
    VideoNotFound, Conflict, ProducerMismatch, StoreError, ModelUnavailable, ModelRefused.
    """
    if not wants_model:
        return _search(runtime, text, text, scope, count, picture=picture, like=like)
    if not text.strip():
        raise InputError("a model judges moments by words; write a query, or leave rerank out")
    with _asker(runtime) as client:
        if client is None:
            raise InputError(
                "no model puts moments in order here; set SOPILOT_VLM_URL, or leave rerank out"
            )
        most = max(count, runtime.settings.vigil_rerank_count)
        result = _search(runtime, text, text, scope, most, picture=picture, like=like)
        return _reranked(runtime, client, text, result, count)[0]


def _search(
    runtime: Runtime,
    words: str,
    text: str,
    scope: Scope,
    count: int,
    *,
    picture: bytes | None = None,
    like: LikeMoment | None = None,
) -> SearchResult:
    """words: looked for in texts; text: the whole of what was asked, for models."""
    if picture is not None and like is not None:
        raise InputError("a picture and a moment were given; search by one of them")
    stills = runtime.stills
    meaning = query_vector(runtime, text) if text.strip() else None
    with runtime.database.snapshot() as connection:
        where = searched(connection, scope)
        query = Query(words)
        if isinstance(meaning, str):
            where = replace(where, left_out=(*where.left_out, meaning))
        elif meaning is not None:
            query = replace(query, meaning=meaning)
            where = _told_of_waiting(connection, where, meaning[0])
        if stills.knows_words and text.strip():
            query = replace(query, shown=stills.of_text(text))
        if picture is not None:
            query = replace(query, look=stills.of_pictures([decoded(picture)])[0])
        if like is not None:
            query = _like(runtime, connection, query, like, stills)
        found = retrieve(runtime, connection, query, where, stills, count)
    if query.shown is not None:
        where = _told_of_others(where, stills)
    return SearchResult(found, where, f"{stills.producer.name} {stills.producer.version}")


def _told_of_waiting(connection: Connection, where: Searched, texts: Collection) -> Searched:
    """The same, with a word about videos whose texts have no vectors of this model yet."""
    count = count_without_vectors(connection, texts.producer, where)
    if not count:
        return where
    told = f"what new texts of {count} video(s) mean: their vectors are still being made"
    return replace(where, left_out=(*where.left_out, told))


def _told_of_others(where: Searched, stills: StillEmbedder) -> Searched:
    """The same, with a word about videos whose pictures the words were not held against."""
    others = len(where.videos) - len(of_model(where, collection_of(stills).name).videos)
    if not others:
        return where
    told = (
        f"the pictures of {others} video(s), which are indexed with another model than "
        f"{stills.producer.name} {stills.producer.version}; index them again"
    )
    return replace(where, left_out=(*where.left_out, told))


def _reranked(
    runtime: Runtime, client: VlmClient, query: str, result: SearchResult, count: int
) -> tuple[SearchResult, list[dict[str, Any]]]:
    """The result in the order of a model's verdicts, and what is kept of them."""
    begun = time.perf_counter()
    with runtime.database.read() as connection:
        passages = passages_of(runtime, connection, result.found, result.where, wants_pictures=True)
    verdicts = judged(client, query, passages, runtime.settings.vlm_concurrency)
    found = reranked(result.found, verdicts, count)
    timings = {**found.timings_sec, "rerank": round(time.perf_counter() - begun, 6)}
    failed = sum(verdict.probability is None for verdict in verdicts)
    where = result.where
    if failed:
        told = f"{failed} of {len(verdicts)} moments that the model could not judge"
        where = replace(where, left_out=(*where.left_out, told))
    kept = verdict_records(result.found, verdicts)
    return replace(result, found=replace(found, timings_sec=timings), where=where), kept


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


def ask(
    runtime: Runtime,
    question: str,
    scope: Scope,
    count: int,
    *,
    by: Actor,
    wants_rerank: bool = True,
) -> AnswerRow:
    """Answer a question from what its words find, and keep question, answer and evidence.

    wants_rerank: the model, where there is one, first chooses among what was found. Raises as
    `search`; then nothing is kept.
    """
    begun = time.perf_counter()
    if not question.strip() or len(question) > MOST_QUESTION:
        raise InputError(
            f"the question has {len(question)} characters; ask with 1 to {MOST_QUESTION}"
        )
    subject = " ".join(content_words(question)) or question
    most = runtime.settings.vigil_rerank_count if wants_rerank else 0
    with _asker(runtime) as client:
        is_reranked = client is not None and most > 0
        result = _search(
            runtime, subject, question, scope, max(count, most) if is_reranked else count
        )
        verdicts: list[dict[str, Any]] = []
        if client is not None and is_reranked:
            result, verdicts = _reranked(runtime, client, question, result, count)
        with runtime.database.read() as connection:
            passages = passages_of(
                runtime,
                connection,
                result.found,
                result.where,
                wants_pictures=client is not None,
            )
        if client is None:
            answer = answer_by_quoting(question, passages, result.found.unknown_words)
        else:
            answer = answer_with_model(client, question, passages)
        if verdicts:
            answer = replace(answer, raw={**(answer.raw or {}), "rerank": verdicts})
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
        _count(connection, result, made, verdicts)
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


def _count(
    connection: Connection,
    result: SearchResult,
    made: NewAnswer,
    verdicts: Sequence[Mapping[str, Any]],
) -> None:
    """Count what an answer took, for the metrics."""
    stages = dict(result.found.timings_sec)
    reranked_sec = stages.pop("rerank", None)
    observe(connection, Tally.VIGIL_SECONDS, "search", sum(stages.values()))
    if reranked_sec is not None:
        observe(connection, Tally.VIGIL_SECONDS, "rerank", reranked_sec)
        failed = sum(item["probability"] is None for item in verdicts)
        count_model_calls(connection, "rerank", answered=len(verdicts) - failed, failed=failed)
    observe(connection, Tally.VIGIL_SECONDS, "answer", made.latency_sec)
    if made.raw is not None and "parts" in made.raw:
        has_failed = "error" in made.raw
        count_model_calls(
            connection, "answer", answered=int(not has_failed), failed=int(has_failed)
        )


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
