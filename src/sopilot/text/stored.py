"""Terms as a database stores them: one word of ASCII letters and digits per term.

Every database cuts text into words in its own way; such a word all of them leave whole. It begins
with a mark of the analyzer, so that terms of another analyzer are never found by mistake.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from dataclasses import dataclass

from sopilot.text.analyze import ANALYZER, analyze

_MARK = "t" + hashlib.sha256(ANALYZER.encode()).hexdigest()[:6]


@dataclass(frozen=True, slots=True)
class StoredTerms:
    """words: what BM25 counts in a text, separated by spaces, each as often as it occurs.
    term_count: length of the text for BM25."""

    words: str
    term_count: int


def store_terms(text: str) -> StoredTerms:
    """The terms of a text, and the characters inside its words, in the form to be stored."""
    analysis = analyze(text)
    # Sorted: the order says nothing, and equal words in a row take less room.
    words = sorted(word_of(term) for term in analysis.terms + analysis.singles)
    return StoredTerms(" ".join(words), len(analysis.terms))


def word_of(term: str) -> str:
    """The stored form of one term; different terms have different ones."""
    return _MARK + term.encode().hex()


def occurrences(words: str, asked: Container[str]) -> tuple[str, ...]:
    """The asked ones of a text's stored words, each as often as it occurs, equal ones in a row."""
    return tuple([word for word in words.split(" ") if word in asked])
