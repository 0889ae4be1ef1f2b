"""Texts of footage found by what they mean, where a server of text vectors is configured.

Every text of an indexed video gets a vector; a query gets one too, and the nearest texts are one
more ranking. A job makes the vectors of whatever changed: texts come from many features, so it
compares what is there with what it saw last. Without the server a search goes on by words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from sopilot.core.errors import ModelError, SopilotError, StoreError
from sopilot.core.log import get_logger
from sopilot.core.records import Progress
from sopilot.jobs import queries as jobs
from sopilot.jobs.context import JobContext
from sopilot.jobs.stop import Stop
from sopilot.library import queries as library
from sopilot.library.annotations import Annotation, Kind, annotations_by_id, list_annotations
from sopilot.runtime import Runtime
from sopilot.store.vectors import LEVELS, Collection, PointFilter, Points
from sopilot.vigil import queries
from sopilot.vigil.scope import Searched, in_ms
from sopilot.vigil.vectors import ROLE_NUMBER, forget_if_gone
from sopilot.vlm.open import open_text_embedder
from sopilot.vlm.text_vectors import TextEmbedder

MEANING_KIND = "vigil.embed_texts"
MOST_HITS = 50
_LEVEL = "micro_text"
_PAUSE_SEC = 60.0

_log = get_logger(__name__)


def collection_of_texts(embedder: TextEmbedder, dim: int) -> Collection:
    """Where the vectors of a model lie."""
    return Collection(embedder.producer.fingerprint, dim, "texts")


def request_vectors(runtime: Runtime, connection: Connection) -> None:
    """Have changed texts get their vectors; nothing without a server, or where a job waits."""
    if not runtime.settings.text_embedding_url:
        return
    if jobs.is_waiting(connection, MEANING_KIND):
        return
    jobs.enqueue(
        connection,
        MEANING_KIND,
        {},
        requested_by="system:texts",
        max_attempts=runtime.settings.job_max_retries + 1,
    )


def embed_texts(runtime: Runtime, context: JobContext) -> None:
    """Work on the job: the texts of every video that changed, video by video."""
    with open_text_embedder(runtime.settings) as embedder:
        if embedder is not None:
            embed_changed(runtime, embedder, context.progress)
    with context.commit():
        pass


def embed_changed(runtime: Runtime, embedder: TextEmbedder, progress: Progress) -> int:
    """How many videos got the vectors of their texts. Raises ModelError, StoreError, and what
    `progress` raises; what was done before is kept."""
    wanted = embedder.producer.fingerprint
    with runtime.database.read() as connection:
        waiting = queries.videos_of_changed_texts(connection, wanted)
    for place, video_id in enumerate(waiting):
        progress(place / len(waiting))
        _embed_video(runtime, embedder, video_id)
    return len(waiting)


def _embed_video(runtime: Runtime, embedder: TextEmbedder, video_id: int) -> None:
    with runtime.database.snapshot() as connection:
        footage = queries.find_footage(connection, video_id)
        if footage is None:
            return
        rows = list_annotations(connection, video_id)
        task = library.task_number(connection, footage.task_id)
        labels = queries.labels_of(connection, video_id)
    seen = (len(rows), max((row.id for row in rows), default=0))
    said = [row for row in rows if _read(row).strip()]
    name = embedder.producer.fingerprint
    try:
        if said:
            vectors = embedder.of_passages([_read(row) for row in said])
            collection = collection_of_texts(embedder, vectors.shape[1])
            runtime.vectors.upsert(collection, video_id, _points(said, vectors, task, labels))
        _forget_others(runtime, video_id, name if said else None)
        with runtime.database.write() as connection:
            queries.update_footage(
                connection,
                video_id,
                texts_producer=name,
                texts_count=seen[0],
                texts_last_id=seen[1],
            )
    except BaseException:
        forget_if_gone(runtime, video_id)
        raise
    forget_if_gone(runtime, video_id)


def _read(row: Annotation) -> str:
    """What is embedded: of an event also its type, of a sentence not its speaker."""
    if row.kind is Kind.EVENT and row.label:
        return f"{row.label}: {row.text}"
    return row.text


def _points(
    rows: Sequence[Annotation],
    vectors: NDArray[np.float32],
    task: int,
    labels: Mapping[str, str | None],
) -> Points:
    spans = np.array([(row.span.start_sec, row.span.end_sec) for row in rows], np.float64)
    return Points(
        vectors,
        np.round(spans * 1000.0).astype(np.int64),
        task,
        ROLE_NUMBER,
        np.full(len(rows), LEVELS.index(_LEVEL), np.int16),
        np.array([row.id for row in rows], np.int32),
        labels,
    )


def _forget_others(runtime: Runtime, video_id: int, kept: str | None) -> None:
    """Remove the video's texts from the collections of other models."""
    for collection in runtime.vectors.collections():
        if collection.kind == "texts" and collection.producer != kept:
            runtime.vectors.remove(collection, [video_id])


def query_vector(
    runtime: Runtime, text: str
) -> tuple[Collection, NDArray[np.float32]] | str | None:
    """Where to look for a query's meaning, and with what; a sentence where the server does not
    answer; None where none is configured."""
    with open_text_embedder(runtime.settings, is_waited_for=True) as embedder:
        if embedder is None:
            return None
        try:
            vector = embedder.of_query(text)
        except ModelError as error:
            return f"what the words mean: {error.message}"
        return collection_of_texts(embedder, len(vector)), vector


def meant(
    runtime: Runtime,
    connection: Connection,
    collection: Collection,
    vector: NDArray[np.float32],
    where: Searched,
) -> list[tuple[Annotation, float]]:
    """Texts by how near their meaning is, the nearest first, with the cosine."""
    chosen = PointFilter(
        video_ids=where.video_ids,
        spans_ms=None if where.spans is None else in_ms(where.spans),
    )
    hits = runtime.vectors.search(collection, vector, chosen, MOST_HITS)
    rows = annotations_by_id(connection, [hit.clip_index for hit in hits])
    # Texts that were replaced since have vectors left until the job has run.
    return [(rows[h.clip_index], h.similarity) for h in hits if h.clip_index in rows]


def count_without_vectors(connection: Connection, producer: str, where: Searched) -> int:
    """How many of the searched videos have texts that this model has not seen yet."""
    changed = queries.videos_of_changed_texts(connection, producer)
    return len(where.video_ids.intersection(changed))


def watch_texts(runtime: Runtime, stop: Stop) -> None:
    """Ask for vectors of changed texts every minute until stopped; runs in a thread of every worker
    process."""
    while runtime.settings.text_embedding_url and not stop.is_set():
        try:
            with open_text_embedder(runtime.settings) as embedder:
                assert embedder is not None
                name = embedder.producer.fingerprint
            with runtime.database.write() as connection:
                if queries.videos_of_changed_texts(connection, name):
                    request_vectors(runtime, connection)
        except (SopilotError, StoreError) as error:
            _log.warning("texts.look_failed", reason=error.message)
        stop.wait(_PAUSE_SEC)
