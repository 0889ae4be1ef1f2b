"""BM25: numbers worked out by hand, and what must not change a score."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.core.errors import InputError
from sopilot.text.rank import (
    CorpusStatistics,
    DocumentStatistics,
    bm25,
    corpus_statistics,
    document_statistics,
    rank,
)

WORDS = st.sampled_from(["crane", "load", "fork", "кран", "груз", "火災", "7"])
TEXTS = st.lists(WORDS, max_size=8).map(" ".join)
DOCUMENTS = st.lists(TEXTS, min_size=1, max_size=8).map(lambda texts: list(enumerate(texts)))


def test_scores_are_those_of_the_formula() -> None:
    # N = 2, lengths 2 and 4, mean 3. crane stands in both: ln(1 + 0.5 / 2.5) = 0.182322.
    # 1: damping 1.2 (0.25 + 0.75 · 2/3) = 0.9, 1 · 2.2 / (1 + 0.9) = 1.157895 -> 0.211109
    # 2: damping 1.2 (0.25 + 0.75 · 4/3) = 1.5, 2 · 2.2 / (2 + 1.5) = 1.257143 -> 0.229204
    assert rank("crane", [(1, "crane falls"), (2, "crane crane moves load")]) == [
        (2, pytest.approx(0.229204, abs=1e-6)),
        (1, pytest.approx(0.211109, abs=1e-6)),
    ]


def test_terms_add_up_and_rarer_ones_weigh_more() -> None:
    # N = 3, all of length 2 = mean, so that one occurrence weighs 2.2 / (1 + 1.2) = 1.
    # worker in 2 of 3: ln(1 + 1.5 / 2.5) = ln 1.6 = 0.470004
    # falls in 1 of 3: ln(1 + 2.5 / 1.5) = ln(8/3) = 0.980829; both: 1.450833
    texts = [(1, "worker walks"), (2, "worker falls"), (3, "load moves")]
    assert rank("falling worker", texts) == [
        (2, pytest.approx(1.450833, abs=1e-6)),
        (1, pytest.approx(0.470004, abs=1e-6)),
    ]


def test_stored_numbers_of_the_query_terms_are_enough() -> None:
    # N = 1000, n = 10: ln(1 + 990.5 / 10.5) = 4.557380. Length 50 of 100, k1 = 2, b = 0.5:
    # damping 2 (0.5 + 0.5 · 0.5) = 1.5; 3 · 3 / (3 + 1.5) = 2. Score 9.114759.
    document = DocumentStatistics({"fall": 3, "crane": 1}, length=50)
    corpus = CorpusStatistics(1000, 100.0, {"fall": 10})
    assert bm25(["fall"], document, corpus, k1=2.0, b=0.5) == pytest.approx(9.114759, abs=1e-6)


def test_a_term_of_every_document_still_counts() -> None:
    # ln(1 + 0.5 / 1.5) = ln(4/3) = 0.287682
    assert rank("кран", [("a", "краны")]) == [("a", pytest.approx(0.287682, abs=1e-6))]


def test_a_repeated_term_of_the_query_counts_once() -> None:
    document = document_statistics("crane falls")
    corpus = corpus_statistics([document])
    assert bm25(["crane", "crane"], document, corpus) == bm25(["crane"], document, corpus)


def test_terms_add_up_without_rounding_in_between() -> None:
    names = [f"word{number}" for number in range(60)]
    document = DocumentStatistics({name: 1 + i % 7 for i, name in enumerate(names)}, length=40)
    corpus = CorpusStatistics(999, 31.7, {name: 3 * i for i, name in enumerate(names)})
    singly = [bm25([name], document, corpus) for name in names]
    assert bm25(names, document, corpus) == math.fsum(singly)


def test_single_characters_inside_words_count_as_occurrences_and_not_as_length() -> None:
    document = document_statistics("火災")
    assert document == DocumentStatistics({"火災": 1, "火": 1, "災": 1}, length=1)
    assert [key for key, _ in rank("火", [(1, "煙"), (2, "火災発生")])] == [2]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("падение груза", ["ru"]),
        ("falling loads", ["en"]),
        ("落下物", ["ja"]),
        ("A-12", ["code", "en"]),
        ("пожар", []),
        ("", []),
        ("?!", []),
    ],
)
def test_a_query_finds_the_texts_that_share_a_term(query: str, expected: list[str]) -> None:
    captions = [
        ("ru", "Груз падает: зафиксировано падение с крана"),
        ("en", "a load falls near post 12"),
        ("ja", "棚から落下物が落ちた"),
        ("code", "камера А-12 перекрыта"),
        ("blank", ""),
    ]
    assert [key for key, _ in rank(query, captions)] == expected


def test_equal_scores_stand_in_the_order_of_their_keys() -> None:
    texts = [(3, "crane falls"), (1, "falls crane"), (2, "crane falls")]
    assert [key for key, _ in rank("crane", texts)] == [1, 2, 3]


def test_nothing_is_ranked_among_nothing() -> None:
    nothing: list[tuple[int, str]] = []
    assert rank("crane", nothing) == []
    assert corpus_statistics([]) == CorpusStatistics(0, 0.0, {})


@pytest.mark.parametrize(
    ("count", "mean", "frequencies"),
    [(-1, 1.0, {}), (1, -1.0, {}), (1, float("nan"), {}), (1, 1.0, {"a": 2}), (1, 1.0, {"a": -1})],
)
def test_impossible_corpora_are_refused(
    count: int, mean: float, frequencies: dict[str, int]
) -> None:
    with pytest.raises(InputError):
        CorpusStatistics(count, mean, frequencies)


@pytest.mark.parametrize(("k1", "b"), [(-0.1, 0.5), (float("nan"), 0.5), (1.2, -0.1), (1.2, 1.1)])
def test_parameters_outside_their_range_are_refused(k1: float, b: float) -> None:
    document = document_statistics("crane")
    with pytest.raises(InputError):
        bm25(["crane"], document, corpus_statistics([document]), k1=k1, b=b)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, TEXTS, st.randoms(use_true_random=False))
def test_the_order_of_documents_and_of_words_changes_no_score(
    documents: list[tuple[int, str]], query: str, chance: random.Random
) -> None:
    mixed, words = list(documents), query.split()
    chance.shuffle(mixed)
    chance.shuffle(words)
    assert rank(" ".join(words), mixed) == rank(query, documents)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, TEXTS)
def test_exactly_the_documents_that_share_a_term_are_ranked(
    documents: list[tuple[int, str]], query: str
) -> None:
    ranked = rank(query, documents)
    sharing = {key for key, text in documents if set(text.split()) & set(query.split())}
    assert {key for key, _ in ranked} == sharing
    scores = [score for _, score in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(score > 0 for score in scores)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=8), st.integers(0, 30))
def test_an_unrelated_document_keeps_the_order_of_equally_long_ones(
    counts: list[int], unrelated_words: int
) -> None:
    documents = [(i, " ".join(["crane"] * n + ["load"] * (6 - n))) for i, n in enumerate(counts)]
    unrelated = (99, " ".join(["worker"] * unrelated_words))
    expected = [i for n, i in sorted((-n, i) for i, n in enumerate(counts)) if n]
    assert [key for key, _ in rank("crane", documents)] == expected
    assert [key for key, _ in rank("crane", [*documents, unrelated])] == expected


@settings(max_examples=150, deadline=None)
@given(st.permutations(["crane", "load", "falls", "near"]), TEXTS)
def test_equal_frequencies_and_lengths_score_equally_beside_any_third(
    words: list[str], third: str
) -> None:
    ranked = dict(rank("crane near", [(1, "crane load falls near"), (2, " ".join(words))]))
    beside = dict(
        rank("crane near", [(1, "crane load falls near"), (2, " ".join(words)), (3, third)])
    )
    assert ranked[1] == ranked[2]
    assert beside[1] == beside[2]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 100), st.integers(0, 50))
def test_more_occurrences_never_score_less_and_more_length_never_more(
    frequency: int, more: int, length: int, longer: int
) -> None:
    corpus = CorpusStatistics(100, 20.0, {"crane": 7})

    def score(occurrences: int, terms_count: int) -> float:
        return bm25(["crane"], DocumentStatistics({"crane": occurrences}, terms_count), corpus)

    assert score(frequency + more, length) > score(frequency, length)
    assert score(frequency, length + longer) <= score(frequency, length)
