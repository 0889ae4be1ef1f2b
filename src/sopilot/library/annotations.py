"""Timed texts and events of videos: what one feature writes and another finds.

A transcript, a caption, a deviation, an event: each is a text with a span of its video. Whoever
writes them replaces, in its own transaction, what it said of that video before. `search_texts`
ranks by BM25 computed here from stored numbers, so that both databases answer alike.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from heapq import nsmallest
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row

from sopilot.core.errors import InputError
from sopilot.core.records import plain
from sopilot.core.timespan import TimeSpan
from sopilot.library import annotation_queries as queries
from sopilot.library.annotation_queries import Candidate
from sopilot.store.engine import Database, canonical_json
from sopilot.store.times import now_text
from sopilot.text.analyze import ANALYZER, terms
from sopilot.text.matched import matched_words
from sopilot.text.rank import CorpusStatistics, DocumentStatistics, bm25
from sopilot.text.stored import StoredTerms, occurrences, store_terms, word_of

MOST_CANDIDATES = 5_000
"""Texts that one search ranks; a bound on its time and memory; measured in benchmarks/texts.py."""

MOST_QUERY_TERMS = 256
Ranked = tuple[float, int, float, int]
"""Score with a minus, video, start, id: in the order of hits."""

_NAMES = uuid.UUID("6f1c1c0e-55d9-4d0b-9a6e-6d0a5a6f6f10")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Source(StrEnum):
    """Where an annotation comes from."""

    TRANSCRIPT = "transcript"
    CAPTION = "caption"
    SOP = "sop"
    INCIDENT = "incident"
    IMPORTED = "imported"
    OPERATOR = "operator"
    ASR = "asr"


class Kind(StrEnum):
    """A text says what is said or seen; an event, that something happened."""

    TEXT = "text"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class NewAnnotation:
    """What a feature writes. label: type of an event, name of a step, or speaker.

    detail: JSON-ready; returned as it was given. language: a code such as `ru`, where known.
    terms: see `prepared`.
    """

    kind: Kind
    span: TimeSpan
    text: str
    label: str | None = None
    language: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    terms: StoredTerms | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """A stored annotation. uid: the same for the same words at the same place and producer."""

    id: int
    uid: str
    video_id: int
    source: Source
    kind: Kind
    label: str | None
    span: TimeSpan
    text: str
    language: str | None
    detail: Mapping[str, Any]
    producer: str
    created_at: str


@dataclass(frozen=True, slots=True)
class TextFilter:
    """Where to search; None = anywhere.

    spans: per video, of which an annotation must share some time with one (an instant may lie on
    an edge); videos without an entry are left out.
    """

    video_ids: frozenset[int] | None = None
    sources: frozenset[Source] | None = None
    kinds: frozenset[Kind] | None = None
    spans: Mapping[int, Sequence[TimeSpan]] | None = None

    @property
    def chosen_videos(self) -> frozenset[int] | None:
        """The videos that are left by both limits."""
        if self.spans is None:
            return self.video_ids
        spanned = frozenset(self.spans)
        return spanned if self.video_ids is None else spanned & self.video_ids

    def allows(self, found: Candidate) -> bool:
        """Does it lie in one of the spans of its video?"""
        if self.spans is None:
            return True
        span = TimeSpan(found.start_sec, found.end_sec)
        return any(_shares(span, one) for one in self.spans[found.video_id])


@dataclass(frozen=True, slots=True)
class TextHit:
    """A found annotation. score: BM25, > 0. matched_terms: words of its text that were asked."""

    annotation: Annotation
    score: float
    matched_terms: tuple[str, ...]


def prepared(rows: Iterable[NewAnnotation]) -> list[NewAnnotation]:
    """The rows with their terms, for many at a time: analysing them costs more than writing them,
    and is done before the transaction so."""
    cleaned = map(_cleaned, rows)
    return [
        replace(row, terms=store_terms(_searched(row.kind, row.label, row.text))) for row in cleaned
    ]


def put_annotations(
    connection: Connection,
    video_id: int,
    source: Source,
    producer: str,
    rows: Sequence[NewAnnotation],
) -> int:
    """Make these rows all that a producer says of a video from this source; how many there are.

    Idempotent: rows that were there stay, with their ids. producer: at most 64 characters that name
    who replaces whom. Writers of one video wait for each other.
    Raises VideoNotFound; InputError for a label or producer that is too long.
    """
    if not 0 < len(producer) <= 64:
        raise InputError(f"a producer has 1 to 64 characters, got {producer!r:.80}; shorten it")
    video_uid = queries.lock_annotations(connection, video_id)
    which = queries.Set(video_id, str(source), producer)
    wanted = _named([_cleaned(row) for row in rows], f"{video_uid}|{source}|{producer}")
    present = queries.uids_of(connection, which)
    # Terms of another analyzer do not stay beside new ones.
    kept = present if queries.analyzer_of(connection, which) == ANALYZER else {}
    queries.delete(
        connection,
        [number for uid, number in present.items() if uid not in wanted or uid not in kept],
    )
    head = which._asdict() | {"created_at": now_text()}
    new = [{"uid": uid} | head | _values(row) for uid, row in wanted.items() if uid not in kept]
    queries.insert(connection, new)
    queries.count_set(connection, which, ANALYZER)
    return len(wanted)


def drop_annotations(
    connection: Connection,
    source: Source,
    producers: Sequence[str],
    *,
    except_video_id: int | None = None,
) -> int:
    """Remove what producers wrote, about whatever video but one; how many rows."""
    return queries.delete_of_producers(connection, source, producers, except_video_id)


def annotations_by_id(connection: Connection, ids: Collection[int]) -> dict[int, Annotation]:
    """Those of them that are there."""
    rows = queries.by_id(connection, ids)
    return {number: _annotation(row) for number, row in rows.items()}


def list_annotations(
    connection: Connection,
    video_id: int,
    *,
    source: Source | None = None,
    kind: Kind | None = None,
    span: TimeSpan | None = None,
) -> list[Annotation]:
    """Annotations of a video by time. span: only what shares some time with it."""
    rows = queries.listed(connection, video_id, source, kind, span)
    found = [_annotation(row) for row in rows]
    return [one for one in found if span is None or _shares(one.span, span)]


def search_texts(
    connection: Connection, query: str, chosen: TextFilter, k: int, *, wants_words: bool = True
) -> list[TextHit]:
    """The k texts that match a query best; ties by video, start and id. wants_words: with the words
    that matched, which cost as much again; `matched_terms` gives those of one text.

    Rarity and length are judged against the whole archive, whatever the filter. Ranks at most
    MOST_CANDIDATES texts, alike on both databases: where more hold a word of the query, its rarest
    words find them, and the others only count in what those found; if that gives less than k, the
    shortest texts of the next word are ranked too.
    The connection should be of `Database.snapshot`.
    Raises InputError for k < 1 or a query of more than MOST_QUERY_TERMS different terms.
    """
    if k < 1:
        raise InputError(f"a search gives at least one hit, got k={k}; ask for 1 or more")
    asked = {word_of(term): term for term in dict.fromkeys(terms(query))}
    if len(asked) > MOST_QUERY_TERMS:
        raise InputError(
            f"the query has {len(asked)} different words, at most {MOST_QUERY_TERMS} are searched; "
            "shorten it"
        )
    videos = chosen.chosen_videos
    if not asked or (videos is not None and not videos):
        return []
    corpus = queries.corpus_of(connection, ANALYZER, [*asked])
    best: list[Ranked] = []
    for words, most in _sources(connection, corpus.text_counts, chosen):
        seen = {row_id for *_, row_id in best}
        found = _fresh(connection, words, chosen, most, seen)
        best = nsmallest(k, chain(best, _ranked(found, asked, corpus)))
        if len(best) == k:
            break
    rows = queries.by_id(connection, [row_id for *_, row_id in best])
    told = frozenset(asked.values()) if wants_words else frozenset()
    return [_hit(rows[row_id], -negative, told) for negative, *_, row_id in best]


def matched_terms(annotation: Annotation, query: str) -> tuple[str, ...]:
    """The words of a text that a query asks for."""
    searched = _searched(annotation.kind, annotation.label, annotation.text)
    return matched_words(searched, frozenset(terms(query)))


def reindex_texts(database: Database, is_stopped: Callable[[], bool] = lambda: False) -> int:
    """Make the terms of texts anew that another analyzer made; how many texts.

    A transaction per producer and video, so that others write meanwhile, until told to stop. Texts
    whose turn has not come are not found. Raises StoreError.
    """
    count = 0
    while not is_stopped():
        with database.read() as connection:
            which = queries.set_of_other_analyzer(connection, ANALYZER)
            if which is None:
                break
            texts = queries.texts_of(connection, which)
        made = [(row[0], store_terms(_searched(*row[1:]))) for row in texts]
        with database.write() as connection:
            if queries.is_locked(connection, which.video_id):
                present = {*queries.uids_of(connection, which).values()}
                rows = [(n, t.words, t.term_count) for n, t in made if n in present]
                # Who replaced them meanwhile has made them anew as well.
                if queries.analyzer_of(connection, which) != ANALYZER:
                    queries.set_terms(connection, rows)
                    queries.count_set(connection, which, ANALYZER)
                    count += len(rows)
    return count


def _cleaned(row: NewAnnotation) -> NewAnnotation:
    label = None if row.label is None else _storable(row.label)
    if label is not None and len(label) > 256:
        raise InputError(f"a label has at most 256 characters, got {len(label)}; shorten it")
    return replace(row, text=_storable(row.text), label=label, detail=plain(row.detail))


def _storable(text: str) -> str:
    """No database and no answer can hold what is replaced."""
    return _UNSTORABLE.sub("\ufffd", text)


def _named(rows: Sequence[NewAnnotation], place: str) -> dict[str, NewAnnotation]:
    """The rows by uid: a hash of what they say and where, and of which of several equal ones."""
    found: dict[str, NewAnnotation] = {}
    seen: Counter[str] = Counter()
    for row in rows:
        at = [row.span.start_sec, row.span.end_sec]
        said = canonical_json([row.kind, at, row.text, row.label, row.language, row.detail])
        seen[said] += 1
        found[str(uuid.uuid5(_NAMES, f"{place}|{seen[said]}|{said}"))] = row
    return found


def _values(row: NewAnnotation) -> dict[str, Any]:
    made = row.terms or store_terms(_searched(row.kind, row.label, row.text))
    return {
        "kind": str(row.kind),
        "label": row.label,
        "start_sec": row.span.start_sec,
        "end_sec": row.span.end_sec,
        "text": row.text,
        "language": row.language,
        "detail": dict(row.detail),
        "term_count": made.term_count,
        "tokens": made.words,
    }


def _searched(kind: str, label: str | None, text: str) -> str:
    """What a search reads: an event is also found by its type, a sentence not by its speaker."""
    return f"{label}\n{text}" if kind == Kind.EVENT and label else text


def _annotation(row: Row[Any]) -> Annotation:
    values = dict(row._mapping)
    span = TimeSpan(values.pop("start_sec"), values.pop("end_sec"))
    values["source"], values["kind"] = Source(values["source"]), Kind(values["kind"])
    return Annotation(span=span, **values)


def _shares(one: TimeSpan, other: TimeSpan) -> bool:
    """Have they time in common? An instant also where it lies on an edge."""
    first, last = max(one.start_sec, other.start_sec), min(one.end_sec, other.end_sec)
    is_instant = not (one.duration_sec and other.duration_sec)
    return first < last or (is_instant and first == last)


def _sources(
    connection: Connection, text_counts: Mapping[str, int], chosen: TextFilter
) -> list[tuple[list[str], int | None]]:
    """Which words find the texts to be ranked, and how many at most, one choice after the other
    until there are hits enough: words from the rarest on, then the next one for what room is left.
    """
    present = sorted((count, word) for word, count in text_counts.items() if count)
    every = [word for _, word in present]
    if not present or sum(count for count, _ in present) <= MOST_CANDIDATES:
        return [(every, None)] if every else []
    videos = chosen.chosen_videos
    if videos is not None:
        if queries.count_of(connection, videos, chosen.sources) <= MOST_CANDIDATES:
            return [(every, None)]
    room, taken = MOST_CANDIDATES, 0
    while present[taken][0] <= room:
        room -= present[taken][0]
        taken += 1
    first: list[tuple[list[str], int | None]] = [(every[:taken], None)] if taken else []
    return [*first, ([every[taken]], room)] if room else first


def _fresh(
    connection: Connection,
    words: list[str],
    chosen: TextFilter,
    most: int | None,
    seen: Container[int],
) -> Iterator[Candidate]:
    """Texts of the filter that one of the words finds, without those that were ranked already."""
    found = queries.candidates(
        connection, words, chosen.chosen_videos, chosen.sources, chosen.kinds, most
    )
    return (one for one in found if one.id not in seen and chosen.allows(one))


def _ranked(
    found: Iterable[Candidate], asked: Mapping[str, str], corpus: queries.Corpus
) -> Iterator[Ranked]:
    statistics = CorpusStatistics(
        corpus.text_count,
        corpus.term_count / corpus.text_count if corpus.text_count else 0.0,
        {asked[word]: count for word, count in corpus.text_counts.items()},
    )
    # Many texts hold the same few words as often and are as long: most scores are known already.
    known: dict[tuple[tuple[str, ...], int], float] = {}
    for one in found:
        said = (occurrences(one.words, asked), one.term_count)
        score = known.get(said)
        if score is None:
            counts = Counter(asked[word] for word in said[0])
            score = bm25(counts, DocumentStatistics(counts, one.term_count), statistics)
            known[said] = score
        yield -score, one.video_id, one.start_sec, one.id


def _hit(row: Row[Any], score: float, asked: frozenset[str]) -> TextHit:
    one = _annotation(row)
    if not asked:
        return TextHit(one, score, ())
    searched = _searched(one.kind, one.label, one.text)
    return TextHit(one, score, matched_words(searched, asked))
