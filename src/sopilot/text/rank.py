"""Okapi BM25 from frequencies and lengths, by our own code wherever they are stored.

Called with `rank` for small sets in memory, and with `bm25` for candidates of a database, whose
ranks then do not depend on which database it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sopilot.core.errors import InputError
from sopilot.text.analyze import analyze, terms


class Ordered(Protocol):
    """A key that sorts among its kind."""

    def __lt__(self, other: Any, /) -> bool: ...


Key = TypeVar("Key", bound=Ordered)


@dataclass(frozen=True, slots=True)
class DocumentStatistics:
    """frequencies: occurrences >= 1 of each term, the single characters inside words included.
    length: number of terms without those characters, >= 0."""

    frequencies: Mapping[str, int]
    length: int


@dataclass(frozen=True, slots=True)
class CorpusStatistics:
    """All documents that are ranked together, and in how many of them a term stands.

    mean_length in terms; the quotient of two whole numbers taken here, not by a database, is the
    same on every database. document_frequencies may hold the terms of the query only.
    Raises InputError for a negative number or a term in more documents than there are.
    """

    document_count: int
    mean_length: float
    document_frequencies: Mapping[str, int]

    def __post_init__(self) -> None:
        if self.document_count < 0 or not 0 <= self.mean_length < math.inf:
            raise InputError(
                f"a corpus must have a count and a finite mean length >= 0, got "
                f"{self.document_count} and {self.mean_length}; count its documents again"
            )
        for term, frequency in self.document_frequencies.items():
            if not 0 <= frequency <= self.document_count:
                raise InputError(
                    f"the term {term!r} is said to stand in {frequency} of "
                    f"{self.document_count} documents; read both numbers in one transaction"
                )


def document_statistics(text: str) -> DocumentStatistics:
    """What BM25 needs to know of one text."""
    analysis = analyze(text)
    return DocumentStatistics(
        Counter(analysis.terms + analysis.singles), length=len(analysis.terms)
    )


def corpus_statistics(documents: Iterable[DocumentStatistics]) -> CorpusStatistics:
    """What BM25 needs to know of all documents; the mean length of none is 0."""
    count = total = 0
    frequencies: Counter[str] = Counter()
    for document in documents:
        count += 1
        total += document.length
        frequencies.update(document.frequencies.keys())
    return CorpusStatistics(count, total / count if count else 0.0, frequencies)


def bm25(
    query_terms: Iterable[str],
    document: DocumentStatistics,
    corpus: CorpusStatistics,
    k1: float = 1.2,
    b: float = 0.75,
) -> float:
    """Relevance of a document, >= 0; 0 only if no term of the query stands in it.

    A repeated term of the query counts once, and the order of terms changes no bit.
    k1 >= 0 saturates repetitions, b 0-1 is the share of the length in the weight of a term.
    Raises InputError for k1 or b outside their range.
    Source: Robertson & Zaragoza 2009, with the inverse document frequency of Lucene,
    ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative.
    """
    if not (0 <= k1 < math.inf and 0 <= b <= 1):
        raise InputError(f"BM25 takes k1 >= 0 and b from 0 to 1, got k1={k1} and b={b}")
    relative = document.length / corpus.mean_length if corpus.mean_length > 0 else 1.0
    damping = k1 * (1 - b + b * relative)
    parts: list[float] = []
    for term in set(query_terms):
        frequency = document.frequencies.get(term, 0)
        if frequency > 0:
            n = corpus.document_frequencies.get(term, 0)
            rarity = math.log1p((corpus.document_count - n + 0.5) / (n + 0.5))
            parts.append(rarity * frequency * (k1 + 1) / (frequency + damping))
    return math.fsum(parts)


def rank(query: str, documents: Sequence[tuple[Key, str]]) -> list[tuple[Key, float]]:
    """The keys of the texts that share a term with the query, best first, ties by key.

    All texts are analysed at each call: for some thousand captions, not for an archive.
    """
    asked = frozenset(terms(query))
    known = [(key, document_statistics(text)) for key, text in documents]
    corpus = corpus_statistics(document for _, document in known)
    scored = [(key, bm25(asked, document, corpus)) for key, document in known]
    return sorted(
        ((key, score) for key, score in scored if score > 0), key=lambda pair: (-pair[1], pair[0])
    )
