"""The benchmark of texts measures searches that find what they are meant to."""

from __future__ import annotations

from pathlib import Path

from benchmarks.texts import QUERIES, fill, word
from sopilot.library.annotations import TextFilter, search_texts
from sopilot.store.engine import open_database
from sopilot.text.analyze import terms


def test_every_word_is_one_term_of_its_own() -> None:
    words = [word(rank) for rank in range(0, 20_000, 7)]
    assert {terms(one) for one in words} == {(one,) for one in words}
    assert len({*words}) == len(words)


def test_the_queries_find_something(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    database = open_database(f"sqlite:///{tmp_path / 'sopilot.db'}")
    for query, _ in QUERIES.values():
        with database.snapshot() as connection:
            assert search_texts(connection, query, TextFilter(), 3)
    database.close()
