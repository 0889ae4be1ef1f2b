"""All SQL on annotations. Functions take a connection first; the caller owns the transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    Table,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
    text,
    true,
)

from sopilot.core.errors import VideoNotFound
from sopilot.core.timespan import TimeSpan
from sopilot.store.engine import canonical_json
from sopilot.store.lexical import FTS_TABLE, VECTOR
from sopilot.store.tables import annotation_rows, annotation_sets, videos
from sopilot.store.upsert import upsert

_PIECE = 500
_SHOWN = tuple(
    annotation_rows.c[name]
    for name in (
        "id uid video_id source kind label start_sec end_sec text language detail producer "
        "created_at"
    ).split()
)


class Candidate(NamedTuple):
    """A stored text that may match, with what ranking needs of it; there are many at a time."""

    id: int
    video_id: int
    start_sec: float
    end_sec: float
    words: str
    term_count: int


class Set(NamedTuple):
    """What one producer says of one video from one source."""

    video_id: int
    source: str
    producer: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """All texts of one analyzer. text_counts: stored word → in how many of them it stands."""

    text_count: int
    term_count: int
    text_counts: Mapping[str, int]


def lock_annotations(connection: Connection, video_id: int) -> str:
    """Let nobody else write annotations of a video until this transaction ends; its uid.

    Raises VideoNotFound.
    """
    uid = _lock(connection, video_id)
    if uid is None:
        raise VideoNotFound(f"there is no video {video_id}; GET /videos lists them")
    return uid


def is_locked(connection: Connection, video_id: int) -> bool:
    """`lock_annotations` of a video that may be gone; False where it is."""
    return _lock(connection, video_id) is not None


def _lock(connection: Connection, video_id: int) -> str | None:
    query = select(videos.c.uid).where(videos.c.id == video_id)
    # Not to be deleted meanwhile; rows that only refer to the video need not wait.
    found = connection.execute(query.with_for_update(key_share=True)).scalar_one_or_none()
    return None if found is None else str(found)


def uids_of(connection: Connection, which: Set) -> dict[str, int]:
    """What is in a set: uid → id."""
    columns = (annotation_rows.c.uid, annotation_rows.c.id)
    rows = connection.execute(select(*columns).where(*_is_set(annotation_rows, which)))
    return {row.uid: int(row.id) for row in rows}


def insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """New rows, in this order."""
    for first in range(0, len(rows), _PIECE):
        connection.execute(annotation_rows.insert(), [*rows[first : first + _PIECE]])


def delete(connection: Connection, ids: Collection[int]) -> None:
    """Remove rows by id; their words go with them."""
    if ids:
        chosen = _is_among(connection, annotation_rows.c.id, ids)
        connection.execute(annotation_rows.delete().where(chosen))


def delete_of_producers(
    connection: Connection, source: str, producers: Sequence[str], except_video_id: int | None
) -> int:
    """Remove what producers wrote, about whatever video but one; how many rows."""
    count = 0
    for first in range(0, len(producers), _PIECE):
        for table in (annotation_sets, annotation_rows):
            written = table.c.producer.in_(producers[first : first + _PIECE])
            statement = table.delete().where(written, table.c.source == source)
            if except_video_id is not None:
                statement = statement.where(table.c.video_id != except_video_id)
            gone = connection.execute(statement).rowcount
        count += gone
    return count


def listed(
    connection: Connection,
    video_id: int,
    source: str | None,
    kind: str | None,
    span: TimeSpan | None,
) -> Sequence[Row[Any]]:
    """Annotations of a video in the order of time."""
    query = select(*_SHOWN).where(annotation_rows.c.video_id == video_id)
    if source is not None:
        query = query.where(annotation_rows.c.source == source)
    if kind is not None:
        query = query.where(annotation_rows.c.kind == kind)
    if span is not None:
        query = query.where(
            annotation_rows.c.start_sec <= span.end_sec, annotation_rows.c.end_sec >= span.start_sec
        )
    order = (annotation_rows.c.start_sec, annotation_rows.c.end_sec, annotation_rows.c.id)
    return connection.execute(query.order_by(*order)).all()


def by_id(connection: Connection, ids: Collection[int]) -> dict[int, Row[Any]]:
    """Rows to be shown."""
    rows = connection.execute(
        select(*_SHOWN).where(_is_among(connection, annotation_rows.c.id, ids))
    )
    return {row.id: row for row in rows}


def corpus_of(connection: Connection, analyzer: str, words: Sequence[str]) -> Corpus:
    """What ranking needs to know of all texts, in one statement: so of one moment.

    O(producers of all videos), and O(texts with a word) for each word, both from indexes.
    """
    counts = [
        select(func.count())
        .where(_holds(connection, [word], f"word_{place}"))
        .select_from(_indexed(connection))
        .scalar_subquery()
        .label(f"count_{place}")
        for place, word in enumerate(words)
    ]
    columns = (annotation_sets.c.text_count, annotation_sets.c.term_count)
    total = select(*(func.coalesce(func.sum(column), 0) for column in columns)).where(
        annotation_sets.c.analyzer == analyzer
    )
    row = connection.execute(total.add_columns(*counts)).one()
    return Corpus(
        int(row[0]), int(row[1]), {w: int(n) for w, n in zip(words, row[2:], strict=True)}
    )


def count_of(
    connection: Connection, video_ids: Collection[int], sources: Collection[str] | None
) -> int:
    """How many texts of these videos there are, from an index alone."""
    query = select(func.count()).select_from(annotation_rows)
    query = query.where(*_limits(connection, video_ids, sources, None))
    return int(connection.execute(query).scalar_one())


def candidates(
    connection: Connection,
    words: Sequence[str],
    video_ids: Collection[int] | None,
    sources: Collection[str] | None,
    kinds: Collection[str] | None,
    most: int | None,
) -> Iterator[Candidate]:
    """Texts that hold one of the words. most: of more the shortest, which rank before longer ones
    that hold a word as often, then the oldest."""
    columns = (
        annotation_rows.c.id,
        annotation_rows.c.video_id,
        annotation_rows.c.start_sec,
        annotation_rows.c.end_sec,
        annotation_rows.c.tokens,
        annotation_rows.c.term_count,
    )
    query: Select[Any] = select(*columns).where(_holds(connection, words, "words"))
    if connection.dialect.name == "sqlite":
        query = query.select_from(annotation_rows).join(
            text(FTS_TABLE), text(f"{FTS_TABLE}.rowid = annotations.id")
        )
    query = query.where(*_limits(connection, video_ids, sources, kinds))
    if most is not None:
        query = query.order_by(annotation_rows.c.term_count, annotation_rows.c.id).limit(most)
    # At once: row by row takes twice as long.
    return map(Candidate._make, connection.execute(query).all())


def analyzer_of(connection: Connection, which: Set) -> str | None:
    """Who made the terms of a set; None where the producer has said nothing."""
    query = select(annotation_sets.c.analyzer).where(*_is_set(annotation_sets, which))
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def count_set(connection: Connection, which: Set, analyzer: str) -> None:
    """Write down how much a set holds now, and whose terms these are."""
    figures = select(func.count(), func.coalesce(func.sum(annotation_rows.c.term_count), 0)).where(
        *_is_set(annotation_rows, which)
    )
    text_count, term_count = connection.execute(figures).one()
    if not text_count:
        gone = annotation_sets.delete().where(*_is_set(annotation_sets, which))
        connection.execute(gone)
        return
    upsert(
        connection,
        annotation_sets,
        Set._fields,
        which._asdict()
        | {"analyzer": analyzer, "text_count": int(text_count), "term_count": int(term_count)},
    )


def set_of_other_analyzer(connection: Connection, analyzer: str) -> Set | None:
    """The first set whose terms another analyzer made."""
    columns = (annotation_sets.c[name] for name in Set._fields)
    query = select(*columns).where(annotation_sets.c.analyzer != analyzer)
    row = connection.execute(query.order_by(annotation_sets.c.id).limit(1)).one_or_none()
    return None if row is None else Set(*row)


def texts_of(connection: Connection, which: Set) -> list[tuple[int, str, str | None, str]]:
    """(id, kind, label, text) of the rows of a set."""
    columns = (annotation_rows.c[name] for name in ("id", "kind", "label", "text"))
    rows = connection.execute(select(*columns).where(*_is_set(annotation_rows, which)))
    return [(row.id, row.kind, row.label, row.text) for row in rows]


def set_terms(connection: Connection, rows: Sequence[tuple[int, str, int]]) -> None:
    """Put other terms in the place of a row's. rows: (id, stored words, number of terms)."""
    statement = (
        annotation_rows.update()
        .where(annotation_rows.c.id == bindparam("row_id"))
        .values(tokens=bindparam("words"), term_count=bindparam("count"))
    )
    for first in range(0, len(rows), _PIECE):
        piece = rows[first : first + _PIECE]
        connection.execute(
            statement,
            [{"row_id": row, "words": words, "count": count} for row, words, count in piece],
        )


def _is_set(table: Table, which: Set) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in which._asdict().items()]


def _limits(
    connection: Connection,
    video_ids: Collection[int] | None,
    sources: Collection[str] | None,
    kinds: Collection[str] | None,
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if video_ids is not None:
        found.append(_is_among(connection, annotation_rows.c.video_id, video_ids))
    if sources is not None:
        found.append(annotation_rows.c.source.in_(sorted(sources)))
    if kinds is not None:
        found.append(annotation_rows.c.kind.in_(sorted(kinds)))
    return found or [true()]


def _is_among(
    connection: Connection, column: ColumnElement[int], numbers: Collection[int]
) -> ColumnElement[bool]:
    """Is the column one of them? As one parameter: of many there may be too many."""
    chosen = sorted(numbers)
    if connection.dialect.name == "sqlite":
        values = func.json_each(canonical_json(chosen)).table_valued("value")
        return column.in_(select(values.c.value))
    return column == any_(cast(literal(chosen, ARRAY(Integer)), ARRAY(Integer)))


def _indexed(connection: Connection) -> Any:
    return text(FTS_TABLE) if connection.dialect.name == "sqlite" else annotation_rows.alias("held")


def _holds(connection: Connection, words: Sequence[str], name: str) -> Any:
    """Does a row hold one of the words? The words are letters and digits only."""
    if connection.dialect.name == "sqlite":
        held = text(f"{FTS_TABLE} MATCH :{name}")
        return held.bindparams(bindparam(name, " OR ".join(words)))
    held = text(f"{VECTOR} @@ CAST(:{name} AS tsquery)")
    return held.bindparams(bindparam(name, " | ".join(words)))
