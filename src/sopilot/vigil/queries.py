"""All SQL of VIGIL. A connection comes first; nobody here commits."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from sopilot.core.errors import QuestionNotFound, VideoNotFound
from sopilot.core.records import Producer, Role
from sopilot.core.timespan import TimeSpan
from sopilot.library import queries as library
from sopilot.store.ids import row_name
from sopilot.store.tables import (
    annotation_rows,
    chunks,
    embeddings,
    event_runs,
    jobs,
    retention_rules,
    videos,
    vigil_events,
    vigil_queries,
    vigil_videos,
)
from sopilot.store.times import now_text
from sopilot.store.upsert import upsert
from sopilot.vigil.schemas import (
    AnswerRow,
    ChunkRow,
    Domain,
    FootageRow,
    IndexState,
    NewAnswer,
    RuleRow,
)

_OF_VIDEO = {
    "uid": videos.c.uid,
    "status": videos.c.status,
    "task_id": videos.c.task_id,
    "camera_id": videos.c.camera_id,
    "site_id": videos.c.site_id,
    "filename": videos.c.original_filename,
    "recorded_at": videos.c.recorded_at,
    "sha256": videos.c.sha256,
    "size_bytes": videos.c.size_bytes,
    "duration_sec": videos.c.duration_sec,
    "video_error": videos.c.error_message,
    "progress": jobs.c.progress,
}
_COLUMNS = tuple(
    _OF_VIDEO[name].label(name) if name in _OF_VIDEO else vigil_videos.c[name]
    for name in FootageRow.__dataclass_fields__
)
_FOOTAGE: Select[Any] = select(*_COLUMNS).select_from(
    vigil_videos.join(videos, vigil_videos.c.video_id == videos.c.id).outerjoin(
        jobs, vigil_videos.c.job_id == jobs.c.id
    )
)
_ROWS_AT_ONCE = 500


def _footage(row: Row[Any]) -> FootageRow:
    values = dict(row._mapping)
    values["domain"], values["state"] = Domain(values["domain"]), IndexState(values["state"])
    return FootageRow(**values)


# ---- footage ----------------------------------------------------------------------------------


def insert_footage(
    connection: Connection,
    video_id: int,
    domain: Domain,
    *,
    recorded_from: str | None,
    requested_by: str,
) -> None:
    """Make a video known to VIGIL, not indexed; nothing changes where it is already."""
    known = select(vigil_videos.c.video_id).where(vigil_videos.c.video_id == video_id)
    if connection.execute(known).first() is not None:
        return
    now = now_text()
    connection.execute(
        vigil_videos.insert().values(
            video_id=video_id,
            domain=str(domain),
            state=str(IndexState.NONE),
            recorded_from=recorded_from,
            counts={},
            requested_by=requested_by,
            created_at=now,
            updated_at=now,
        )
    )


def get_footage(connection: Connection, video: int | str) -> FootageRow:
    """The footage of a video's id or uid. Raises VideoNotFound."""
    found = find_footage(connection, library.get_video(connection, video).id)
    if found is None:
        raise VideoNotFound(
            f"video {video} is not known to VIGIL; index it (POST /vigil/videos/{video}/index)"
        )
    return found


def find_footage(connection: Connection, video_id: int) -> FootageRow | None:
    """The footage of a video; None where VIGIL does not know it."""
    row = connection.execute(_FOOTAGE.where(vigil_videos.c.video_id == video_id)).one_or_none()
    return None if row is None else _footage(row)


def lock_footage(connection: Connection, video_id: int) -> FootageRow | None:
    """find_footage, its row locked until the transaction ends."""
    connection.execute(
        select(vigil_videos.c.video_id).where(vigil_videos.c.video_id == video_id).with_for_update()
    )
    return find_footage(connection, video_id)


def list_footage(
    connection: Connection, limit: int, offset: int, state: IndexState | None = None
) -> tuple[list[FootageRow], int]:
    """One page, newest first, and how many there are."""
    query, count = _FOOTAGE, select(func.count()).select_from(vigil_videos)
    if state is not None:
        query = query.where(vigil_videos.c.state == str(state))
        count = count.where(vigil_videos.c.state == str(state))
    rows = connection.execute(
        query.order_by(vigil_videos.c.video_id.desc()).limit(limit).offset(offset)
    )
    return [_footage(row) for row in rows], connection.execute(count).scalar_one()


def labels_of(connection: Connection, video_id: int) -> Mapping[str, str | None]:
    """What a vector server is told of a video. Raises VideoNotFound."""
    video = library.get_video(connection, video_id)
    footage = find_footage(connection, video_id)
    return {
        "video_id": video.uid,
        "domain": None if footage is None else str(footage.domain),
        "camera_id": video.camera_id,
        "site_id": video.site_id,
        "task_id": video.task_id,
    }


def indexed_footage(connection: Connection) -> list[FootageRow]:
    """All footage that can be searched, by id."""
    rows = connection.execute(
        _FOOTAGE.where(vigil_videos.c.indexed_at.is_not(None)).order_by(vigil_videos.c.video_id)
    )
    return [_footage(row) for row in rows]


def videos_of_changed_texts(connection: Connection, producer: str) -> list[int]:
    """Indexed videos whose texts are not those that this producer has made vectors of, by id."""
    said = (
        select(
            annotation_rows.c.video_id,
            func.count().label("number"),
            func.max(annotation_rows.c.id).label("last_id"),
        )
        .group_by(annotation_rows.c.video_id)
        .subquery()
    )
    number = func.coalesce(said.c.number, 0)
    is_other = and_(number > 0, func.coalesce(vigil_videos.c.texts_producer, "") != producer)
    rows = connection.execute(
        select(vigil_videos.c.video_id)
        .outerjoin(said, said.c.video_id == vigil_videos.c.video_id)
        .where(
            vigil_videos.c.indexed_at.is_not(None),
            or_(
                number != func.coalesce(vigil_videos.c.texts_count, 0),
                func.coalesce(said.c.last_id, 0) != func.coalesce(vigil_videos.c.texts_last_id, 0),
                is_other,
            ),
        )
        .order_by(vigil_videos.c.video_id)
    )
    return [int(video_id) for video_id in rows.scalars()]


def forget_text_vectors(connection: Connection) -> None:
    """Let every text count as one without a vector."""
    connection.execute(
        vigil_videos.update().values(texts_producer=None, texts_count=None, texts_last_id=None)
    )


def count_unindexed(connection: Connection) -> int:
    """How much footage is known and cannot be searched."""
    return connection.execute(
        select(func.count()).select_from(vigil_videos).where(vigil_videos.c.indexed_at.is_(None))
    ).scalar_one()


def update_footage(connection: Connection, video_id: int, **values: object) -> None:
    """Set columns of a row."""
    connection.execute(
        vigil_videos.update()
        .where(vigil_videos.c.video_id == video_id)
        .values(updated_at=now_text(), **values)
    )


def delete_footage(connection: Connection, video_id: int) -> None:
    """Remove what VIGIL knows of a video; the video stays."""
    connection.execute(vigil_events.delete().where(vigil_events.c.video_id == video_id))
    connection.execute(event_runs.delete().where(event_runs.c.video_id == video_id))
    connection.execute(chunks.delete().where(chunks.c.video_id == video_id))
    connection.execute(vigil_videos.delete().where(vigil_videos.c.video_id == video_id))


# ---- chunks -----------------------------------------------------------------------------------


def replace_chunks(connection: Connection, video_id: int, found: Iterable[ChunkRow]) -> None:
    """Put these chunks in the place of all that the video has."""
    connection.execute(chunks.delete().where(chunks.c.video_id == video_id))
    batch: list[dict[str, object]] = []
    for chunk in found:
        batch.append(
            {
                "video_id": video_id,
                "level": chunk.level,
                "chunk_index": chunk.index,
                "start_sec": chunk.span.start_sec,
                "end_sec": chunk.span.end_sec,
                "keyframes_sec": list(chunk.keyframes_sec),
            }
        )
        if len(batch) == _ROWS_AT_ONCE:
            connection.execute(chunks.insert(), batch)
            batch = []
    if batch:
        connection.execute(chunks.insert(), batch)


def chunks_of(
    connection: Connection, video_id: int, level: str, span: TimeSpan | None = None
) -> list[ChunkRow]:
    """The chunks of a level in time order; with span, those that overlap it."""
    query = select(chunks).where(chunks.c.video_id == video_id, chunks.c.level == level)
    if span is not None:
        query = query.where(chunks.c.start_sec < span.end_sec, chunks.c.end_sec > span.start_sec)
    return [_chunk(row) for row in connection.execute(query.order_by(chunks.c.chunk_index))]


def chunks_at(
    connection: Connection, level: str, longest_sec: float, places: Sequence[tuple[int, TimeSpan]]
) -> list[list[ChunkRow]]:
    """The chunks of a level that overlap each (video, span), in time order; in one query.

    longest_sec: of the level's chunks, so that an index finds those that begin before the span.
    """
    if not places:
        return []
    overlap = or_(
        *(
            and_(
                chunks.c.video_id == video_id,
                chunks.c.level == level,
                chunks.c.start_sec > span.start_sec - longest_sec - 0.001,
                chunks.c.start_sec < span.end_sec,
            )
            for video_id, span in dict.fromkeys(places)
        )
    )
    query = select(chunks).where(overlap)
    by_video: dict[int, list[ChunkRow]] = {}
    for row in connection.execute(query.order_by(chunks.c.video_id, chunks.c.chunk_index)):
        by_video.setdefault(row.video_id, []).append(_chunk(row))
    return [
        [
            chunk
            for chunk in by_video.get(video_id, ())
            if chunk.span.start_sec < span.end_sec and chunk.span.end_sec > span.start_sec
        ]
        for video_id, span in places
    ]


def _chunk(row: Row[Any]) -> ChunkRow:
    span = TimeSpan(row.start_sec, row.end_sec)
    times = tuple(float(time_sec) for time_sec in row.keyframes_sec)
    return ChunkRow(row.video_id, row.level, row.chunk_index, span, times)


# ---- models of vectors ------------------------------------------------------------------------


def register_model(
    connection: Connection, collection: str, producer: Producer, dimension: int
) -> None:
    """Write down which model a collection's vectors are of."""
    values: Mapping[str, object] = {
        "collection": collection,
        "model_name": producer.name,
        "model_version": producer.version,
        "dimension": dimension,
        "settings": dict(producer.settings),
        "created_at": now_text(),
    }
    upsert(connection, embeddings, ("collection",), dict(values))


def model_of(connection: Connection, collection: str) -> str | None:
    """ "name version" of a collection's model."""
    row = connection.execute(
        select(embeddings).where(embeddings.c.collection == collection)
    ).one_or_none()
    return None if row is None else f"{row.model_name} {row.model_version}"


# ---- questions --------------------------------------------------------------------------------

_ANSWER = tuple(vigil_queries.c[name] for name in AnswerRow.__dataclass_fields__)


def insert_answer(connection: Connection, made: NewAnswer, *, requested_by: str) -> AnswerRow:
    """Keep a question with its answer."""
    values = {name: getattr(made, name) for name in NewAnswer.__dataclass_fields__}
    values["evidence"] = [dict(item) for item in made.evidence]
    values["unknowns"] = [*made.unknowns]
    result = connection.execute(
        vigil_queries.insert().values(
            uid=str(uuid.uuid4()), requested_by=requested_by, created_at=now_text(), **values
        )
    )
    key = result.inserted_primary_key
    assert key is not None
    return get_answer(connection, int(key[0]))


def get_answer(connection: Connection, answer: int | str) -> AnswerRow:
    """The row of an id or uid. Raises QuestionNotFound."""
    wanted = row_name(answer)
    column = vigil_queries.c.id if isinstance(wanted, int) else vigil_queries.c.uid
    row = connection.execute(select(*_ANSWER).where(column == wanted)).one_or_none()
    if row is None:
        raise QuestionNotFound(f"there is no question {wanted}; GET /vigil/queries lists them")
    return AnswerRow(**row._mapping)


def list_answers(connection: Connection, limit: int, offset: int) -> tuple[list[AnswerRow], int]:
    """One page, newest first, and how many there are."""
    rows = connection.execute(
        select(*_ANSWER).order_by(vigil_queries.c.id.desc()).limit(limit).offset(offset)
    )
    total = connection.execute(select(func.count()).select_from(vigil_queries)).scalar_one()
    return [AnswerRow(**row._mapping) for row in rows], total


def judge_answer(
    connection: Connection, answer_id: int, feedback: str, comment: str | None, by: str
) -> None:
    """Write down what somebody thinks of an answer, in the place of what was thought before."""
    connection.execute(
        vigil_queries.update()
        .where(vigil_queries.c.id == answer_id)
        .values(feedback=feedback, feedback_comment=comment, feedback_by=by)
    )


def count_texts(connection: Connection, video_id: int) -> int:
    """Annotations of a video, whatever their source."""
    return connection.execute(
        select(func.count())
        .select_from(annotation_rows)
        .where(annotation_rows.c.video_id == video_id)
    ).scalar_one()


# ---- retention --------------------------------------------------------------------------------

_RULE = tuple(retention_rules.c[name] for name in RuleRow.__dataclass_fields__)


def list_rules(connection: Connection) -> list[RuleRow]:
    """All rules, the one for all other cameras first, then by camera."""
    rows = connection.execute(
        select(*_RULE).order_by(
            retention_rules.c.camera_id.is_not(None), retention_rules.c.camera_id
        )
    )
    return [RuleRow(**row._mapping) for row in rows]


def put_rule(
    connection: Connection, camera_id: str | None, max_age_days: float | None, by: str
) -> None:
    """Set the rule of a camera (None: of all others), or remove it (max_age_days None)."""
    is_it = (
        retention_rules.c.camera_id.is_(None)
        if camera_id is None
        else retention_rules.c.camera_id == camera_id
    )
    connection.execute(retention_rules.delete().where(is_it))
    if max_age_days is not None:
        connection.execute(
            retention_rules.insert().values(
                uid=str(uuid.uuid4()),
                camera_id=camera_id,
                max_age_days=max_age_days,
                created_by=by,
                created_at=now_text(),
            )
        )


def expired_footage(
    connection: Connection, camera_id: str | None, others: Iterable[str], before: str
) -> list[FootageRow]:
    """Footage of a camera that was recorded, else taken in, before a moment; not what is held.

    camera_id None: of every camera that is not among the others, and of none.
    """
    moment = func.coalesce(vigil_videos.c.recorded_from, vigil_videos.c.created_at)
    if camera_id is not None:
        of_camera = videos.c.camera_id == camera_id
    else:
        of_camera = or_(videos.c.camera_id.is_(None), videos.c.camera_id.not_in(list(others)))
    rows = connection.execute(
        _FOOTAGE.where(
            of_camera,
            moment < before,
            vigil_videos.c.held_by.is_(None),
            videos.c.role == str(Role.FOOTAGE),
        ).order_by(vigil_videos.c.video_id)
    )
    return [_footage(row) for row in rows]
