"""The one use case of a search: words, a picture or a moment -> moments, in order.

Called by the routes, the command line and whoever answers questions.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from sopilot.core.errors import InputError, ModelUnavailable, StoreError
from sopilot.core.log import get_logger
from sopilot.core.timespan import TimeSpan
from sopilot.embed.look import decoded
from sopilot.embed.stills import StillEmbedder
from sopilot.runtime import Runtime
from sopilot.store.vectors import Collection, PointName
from sopilot.text.stop import content_words
from sopilot.vigil import queries
from sopilot.vigil.meaning import count_without_vectors, query_vector
from sopilot.vigil.passages import passages_of
from sopilot.vigil.rerank import judged, reranked, verdict_records
from sopilot.vigil.retrieve import Found, Query, of_model, require_model, retrieve
from sopilot.vigil.scope import Scope, Searched, searched
from sopilot.vigil.vectors import collection_of
from sopilot.vlm.client import VlmClient
from sopilot.vlm.open import PRESETS, endpoint_of, named

ASKED_TWICE = 2
"""How often a model is asked: an answer that cites nothing is asked for once more."""

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
    words = " ".join(content_words(text)) or text
    if not wants_model:
        return find(runtime, words, text, scope, count, picture=picture, like=like)
    if not text.strip():
        raise InputError("a model judges moments by words; write a query, or leave rerank out")
    with open_asker(runtime) as client:
        if client is None:
            raise InputError(
                "no model puts moments in order here; set SOPILOT_VLM_URL, or leave rerank out"
            )
        most = max(count, runtime.settings.vigil_rerank_count)
        result = find(runtime, words, text, scope, most, picture=picture, like=like)
        return in_order(runtime, client, text, result, count)[0]


def find(
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


def in_order(
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


@contextmanager
def open_asker(runtime: Runtime) -> Iterator[VlmClient | None]:
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
