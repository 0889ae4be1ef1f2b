"""A query -> moments of footage with evidence.

Texts (transcripts, captions, events, names of steps) are ranked by BM25, chunks by how alike they
look; the rankings are fused, what shares time becomes one moment. Looks are searched coarse to
fine, within the union of what the coarse levels hit per video, and once finely everywhere, so that
a coarse level that missed a moment cannot hide it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sopilot.core.errors import InputError, ProducerMismatch
from sopilot.core.timespan import TimeSpan, union
from sopilot.embed.stills import StillEmbedder
from sopilot.library.annotations import Annotation, TextFilter, matched_terms, search_texts
from sopilot.runtime import Runtime
from sopilot.store.vectors import Collection, Hit, Level, PointFilter, PointName
from sopilot.text.analyze import terms
from sopilot.vigil import queries
from sopilot.vigil.levels import LONGEST_MICRO_SEC
from sopilot.vigil.meaning import meant
from sopilot.vigil.moments import Moment, SpanHit, diversified, fuse_moments
from sopilot.vigil.schemas import ChunkRow
from sopilot.vigil.scope import Searched, in_ms
from sopilot.vigil.vectors import collection_of

TEXT, MEANING, LOOK, SHOWN = "text", "meaning", "look", "shown"
"""Rankings: words in texts, what texts mean, likeness to a picture, what pictures show."""
MOST_TEXT_HITS = 100
COARSE_COUNTS: Mapping[Level, int] = {"macro": 5, "meso": 10}
FINE_COUNTS: Mapping[Level, int] = {"micro": 20, "shot": 30}
"""Hits per level; source: contract vigil-incidents.md 1.2."""
PADDING_RATIO = 0.1
"""Of its length, by which a coarse hit is widened on either side. Source: as above."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """text: words. look: (dim,) vector of a picture; shown: of the words themselves, among the
    pictures'; meaning: among the vectors of texts, and in which collection. apart_from: a moment
    that is not to be found again by its look, the one that is asked about."""

    text: str = ""
    look: NDArray[np.float32] | None = None
    shown: NDArray[np.float32] | None = None
    meaning: tuple[Collection, NDArray[np.float32]] | None = None
    apart_from: tuple[int, TimeSpan] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Moments, the best first. texts: the annotations behind hits of the ranking `text`, by name
    of the hit; words: those that they were found by. keyframes_sec: thumbnails of each moment.

    unknown_words: words of the query that stand in no searched text. timings_sec: by stage.
    verdicts: how sure a model is of a moment, 0-1, where one was asked.
    """

    moments: tuple[Moment, ...]
    texts: Mapping[str, Annotation]
    words: Mapping[str, tuple[str, ...]]
    keyframes_sec: tuple[tuple[float, ...], ...]
    unknown_words: tuple[str, ...]
    timings_sec: Mapping[str, float]
    verdicts: Mapping[Moment, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Clock:
    """Seconds of the stages."""

    stages: dict[str, float] = field(default_factory=dict)
    _begun: float = field(default_factory=time.perf_counter)

    def stage(self, name: str) -> None:
        now = time.perf_counter()
        self.stages[name] = round(now - self._begun, 6)
        self._begun = now


def retrieve(
    runtime: Runtime,
    connection: Connection,
    query: Query,
    where: Searched,
    stills: StillEmbedder,
    count: int,
    *,
    per_minute: int = 4,
) -> Found:
    """The `count` best moments, at most per_minute of one minute of a video.

    Raises InputError for a query without words and picture, ProducerMismatch where a picture is
    searched and a video's vectors are of another model, StoreError.
    """
    by_vector = (query.look, query.shown, query.meaning)
    if not terms(query.text) and all(vector is None for vector in by_vector):
        raise InputError(
            "the query has no word that can be searched and no picture; write at least one word"
        )
    clock = _Clock()
    rankings: dict[str, Sequence[SpanHit]] = {}
    texts: dict[str, Annotation] = {}
    text_filter = TextFilter(video_ids=where.video_ids, spans=where.spans)
    if terms(query.text):
        said: list[SpanHit] = []
        for hit in search_texts(
            connection, query.text, text_filter, MOST_TEXT_HITS, wants_words=False
        ):
            made = _text_hit(hit.annotation, hit.score)
            texts[made.name] = hit.annotation
            said.append(made)
        rankings[TEXT] = said
        clock.stage("text")
    if query.meaning is not None:
        rankings[MEANING] = near = []
        for annotation, similarity in meant(runtime, connection, *query.meaning, where):
            texts[annotation.uid] = annotation
            near.append(_text_hit(annotation, similarity))
        clock.stage("meaning")
    collection = collection_of(stills)
    if query.look is not None:
        require_model(connection, where, stills)
        rankings[LOOK] = _looks(runtime, collection, query.look, where, query.apart_from)
        clock.stage("look")
    if query.shown is not None:
        rankings[SHOWN] = _looks(runtime, collection, query.shown, of_model(where, collection.name))
        clock.stage("shown")
    moments = fuse_moments(rankings)
    moments = _spread(moments, per_minute)
    pool = moments[: max(3 * count, 20)]
    places = [(moment.video_id, moment.span) for moment in pool]
    parts = dict(
        zip(pool, queries.chunks_at(connection, "micro", LONGEST_MICRO_SEC, places), strict=True)
    )
    vectors = _vectors_of(runtime, collection, [(m, parts[m]) for m in pool])
    chosen = diversified(pool, vectors, count)
    words = {
        item.hit.name: matched_terms(texts[item.hit.name], query.text)
        for moment in chosen
        for item in moment.evidence
        if item.ranking == TEXT
    }
    keyframes = tuple(_keyframes(moment.span, parts[moment]) for moment in chosen)
    clock.stage("fuse")
    unknown = _unknown_words(connection, query.text, words, text_filter)
    clock.stage("words")
    return Found(tuple(chosen), texts, words, keyframes, unknown, clock.stages)


def of_model(where: Searched, name: str) -> Searched:
    """What of it has vectors in the collection of that name."""
    kept = {key: row for key, row in where.videos.items() if row.collection == name}
    return replace(where, videos=kept)


def require_model(connection: Connection, where: Searched, stills: StillEmbedder) -> None:
    """Raise ProducerMismatch where a video's vectors are not of the model in force."""
    wanted = collection_of(stills).name
    for row in where.videos.values():
        if row.collection != wanted:
            made = queries.model_of(connection, row.collection or "") or "an unknown model"
            raise ProducerMismatch(
                f"video {row.uid} is indexed with {made}, the query is of {stills.producer.name} "
                f"{stills.producer.version}; index it again (POST /vigil/videos/{row.uid}/index)",
                {"video_id": row.uid, "indexed_with": made},
            )


def _text_hit(annotation: Annotation, score: float) -> SpanHit:
    return SpanHit(
        annotation.uid, annotation.video_id, annotation.span, str(annotation.source), score
    )


def _looks(
    runtime: Runtime,
    collection: Collection,
    wanted: NDArray[np.float32],
    where: Searched,
    apart_from: tuple[int, TimeSpan] | None = None,
) -> list[SpanHit]:
    """Chunks by likeness to a vector, the fine levels before the coarse ones that contain them only
    by their own likeness."""
    within = None if where.spans is None else in_ms(where.spans)

    def search(level: Level, k: int, spans: Mapping[int, Sequence[tuple[int, int]]] | None) -> None:
        ids = where.video_ids if spans is None else frozenset(spans) & where.video_ids
        chosen = PointFilter(levels=frozenset({level}), video_ids=ids, spans_ms=spans)
        for hit in runtime.vectors.search(collection, wanted, chosen, k):
            found[hit.video_id, hit.level, hit.clip_index] = hit

    found: dict[PointName, Hit] = {}
    for level, k in COARSE_COUNTS.items():
        search(level, k, within)
    near = _near(found.values(), where)
    for level, k in FINE_COUNTS.items():
        search(level, k, in_ms(near))
    search("micro", FINE_COUNTS["micro"], within)
    hits = sorted(
        found.values(),
        key=lambda h: (-h.similarity, h.end_ms - h.start_ms, h.video_id, h.level, h.clip_index),
    )
    return [_look_hit(hit) for hit in hits if not _is_asked(hit, apart_from)]


def _near(coarse: Iterable[Hit], where: Searched) -> dict[int, list[TimeSpan]]:
    """Per video the union of the coarse hits, widened, within what is searched."""
    wide: dict[int, list[TimeSpan]] = {}
    for hit in coarse:
        padding = PADDING_RATIO * (hit.end_ms - hit.start_ms) / 1000.0
        span = TimeSpan(max(0.0, hit.start_ms / 1000.0 - padding), hit.end_ms / 1000.0 + padding)
        wide.setdefault(hit.video_id, []).append(span)
    joined = {video_id: union(spans) for video_id, spans in wide.items()}
    if where.spans is None:
        return joined
    return {
        video_id: [
            span.clamp(own.start_sec, own.end_sec)
            for span in spans
            for own in where.spans.get(video_id, ())
            if span.overlap_sec(own) > 0
        ]
        for video_id, spans in joined.items()
    }


def _look_hit(hit: Hit) -> SpanHit:
    span = TimeSpan(hit.start_ms / 1000.0, hit.end_ms / 1000.0)
    return SpanHit(
        f"{hit.video_id}:{hit.level}:{hit.clip_index}",
        hit.video_id,
        span,
        hit.level,
        hit.similarity,
    )


def _is_asked(hit: Hit, asked: tuple[int, TimeSpan] | None) -> bool:
    if asked is None or asked[0] != hit.video_id:
        return False
    span = TimeSpan(hit.start_ms / 1000.0, hit.end_ms / 1000.0)
    return span.overlap_sec(asked[1]) > 0


def _spread(moments: Sequence[Moment], per_minute: int) -> list[Moment]:
    """The moments without those beyond so many of one minute of a video."""
    counts: dict[tuple[int, int], int] = {}
    kept = []
    for moment in moments:
        minute = (moment.video_id, int(moment.span.centre_sec // 60))
        counts[minute] = counts.get(minute, 0) + 1
        if counts[minute] <= per_minute:
            kept.append(moment)
    return kept


def _vectors_of(
    runtime: Runtime,
    collection: Collection,
    moments: Sequence[tuple[Moment, Sequence[ChunkRow]]],
) -> dict[int, NDArray[np.float32]]:
    """The vector of each moment by its place: that of the micro chunk in its middle."""
    names: dict[int, PointName] = {}
    for place, (moment, parts) in enumerate(moments):
        if parts:
            middle = moment.span.centre_sec
            chunk = min(parts, key=lambda c: (abs(c.span.centre_sec - middle), c.index))
            names[place] = (chunk.video_id, "micro", chunk.index)
    found = runtime.vectors.fetch(collection, names.values())
    return {place: found[name] for place, name in names.items() if name in found}


def _keyframes(span: TimeSpan, parts: Sequence[ChunkRow]) -> tuple[float, ...]:
    """Times of the thumbnails within a moment, else the nearest one. parts: its micro chunks."""
    times = sorted({time_sec for chunk in parts for time_sec in chunk.keyframes_sec})
    inside = [t for t in times if span.start_sec <= t <= span.end_sec]
    return tuple(inside or sorted(times, key=lambda t: abs(t - span.centre_sec))[:1])


def _unknown_words(
    connection: Connection,
    text: str,
    words: Mapping[str, tuple[str, ...]],
    chosen: TextFilter,
) -> tuple[str, ...]:
    """Words of the query that stand in none of the searched texts."""
    seen = {term for found in words.values() for word in found for term in terms(word)}
    unknown = []
    for word in dict.fromkeys(text.split()):
        own = [term for term in terms(word) if term not in seen]
        if own and not search_texts(connection, " ".join(own), chosen, 1):
            unknown.append(word)
    return tuple(unknown)
