"""Terms in the form a database keeps them, and the words that made a text a hit."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.text.analyze import terms
from sopilot.text.matched import MOST_MATCHED, matched_words
from sopilot.text.rank import document_statistics
from sopilot.text.stored import occurrences, store_terms, word_of


@given(st.text(max_size=80))
def test_stored_words_are_ascii_and_say_what_ranking_needs(text: str) -> None:
    stored = store_terms(text)
    words = stored.words.split()
    assert all(re.fullmatch(r"t[0-9a-f]+", word) for word in words)
    wanted = document_statistics(text)
    asked = {word_of(term): term for term in wanted.frequencies}
    assert Counter(asked[w] for w in occurrences(stored.words, asked)) == wanted.frequencies
    assert stored.term_count == wanted.length


def test_what_was_not_asked_is_not_read() -> None:
    stored = store_terms("crane crane fork")
    crane = word_of("crane")
    assert occurrences(stored.words, {crane, word_of("cran"), word_of("load")}) == (crane, crane)


def test_a_text_without_words_has_none() -> None:
    assert (store_terms("...").words, store_terms("...").term_count) == ("", 0)


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("Cranes, cranes and the fork-lift!", "crane lift", ("Cranes", "cranes", "fork-lift")),
        ("Упал Груз: грузы", "груз", ("Груз", "грузы")),
        ("作業者が転倒した。転倒だ", "転倒", ("転倒",)),
        ("荷物が落ちた", "荷物 落ちた", ("荷物", "落ちた")),
        ("火災発生", "火", ("火",)),
        ("valve A-12 opens", "а-12", ("A-12",)),
        ("nothing here", "crane", ()),
    ],
)
def test_matched_words_stand_in_the_text(text: str, query: str, found: tuple[str, ...]) -> None:
    assert matched_words(text, frozenset(terms(query))) == found


def test_no_more_matched_words_than_are_shown() -> None:
    words = [f"v{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    text = " ".join(words)
    assert len(matched_words(text, frozenset(terms(text)))) == MOST_MATCHED
