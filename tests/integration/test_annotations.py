"""Timed texts and events of videos: written, listed, found and forgotten, on both databases."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import score_rows
from sqlalchemy import Connection, func, select, text

from sopilot.core.errors import InputError, VideoNotFound
from sopilot.core.timespan import TimeSpan
from sopilot.library import annotations as module
from sopilot.library import queries as videos
from sopilot.library.annotations import (
    Kind,
    NewAnnotation,
    Source,
    TextFilter,
    TextHit,
    drop_annotations,
    list_annotations,
    prepared,
    put_annotations,
    reindex_texts,
    search_texts,
)
from sopilot.ops.queries import optimize as tidy
from sopilot.store.engine import Database, open_database
from sopilot.store.lexical import FTS_TABLE
from sopilot.store.tables import annotation_rows, annotation_sets
from sopilot.store.transfer import copy_rows, delete_rows, dump_rows
from sopilot.text.analyze import terms
from sopilot.text.rank import rank
from sopilot.text.stored import word_of

EVERYWHERE = TextFilter()
WORDS = (
    "crane loads fork falling falls worker A-12 near_crash",
    "кран краны груз грузы падает авария ещё",
    "火災 火 作業者 クレーン 転倒 作業 荷物が落ちた",
)


@pytest.fixture
def video_ids(database: Database) -> list[int]:
    """Two stored videos."""
    with database.write() as connection:
        score_rows.store(connection, [score_rows.Made(), score_rows.Made()])
        return [*videos.all_ids(connection)]


def said(start_sec: float, words: str, **more: object) -> NewAnnotation:
    """A sentence of two seconds."""
    span = TimeSpan(start_sec, start_sec + 2.0)
    return NewAnnotation(**{"kind": Kind.TEXT, "span": span, "text": words, **more})


def put(connection: Connection, video_id: int, *rows: NewAnnotation, producer: str = "p") -> int:
    """Write a transcript."""
    return put_annotations(connection, video_id, Source.TRANSCRIPT, producer, rows)


def search(database: Database, query: str, chosen: TextFilter = EVERYWHERE, k: int = 100):
    with database.snapshot() as connection:
        return search_texts(connection, query, chosen, k)


def texts(hits: list[TextHit]) -> list[str]:
    return [hit.annotation.text for hit in hits]


def many_words(count: int) -> list[str]:
    """Different words."""
    letters = "abcdefghijklmnopqr"
    return [one + other + "q" for one in letters for other in letters][:count]


def corpus(seed: float) -> list[str]:
    """Short texts in a mixture of languages, many of them alike."""
    dice = random.Random(seed)
    pool = [word for line in dice.sample(WORDS, dice.randint(1, 3)) for word in line.split()]
    return [
        " ".join(dice.choice(pool) for _ in range(dice.randrange(0, 9)))
        for _ in range(dice.randrange(1, 60))
    ]


@pytest.mark.parametrize("seed", range(12))
def test_ranks_and_scores_are_those_of_the_formula_in_memory(
    database: Database, video_ids: list[int], seed: int
) -> None:
    made = corpus(seed)
    with database.write() as connection:
        put(connection, video_ids[0], *(said(float(n), words) for n, words in enumerate(made)))
    for query in ("crane", "falling worker a-12", "кран груз", "火災", "火 作業者 краны loads"):
        wanted = rank(query, [*enumerate(made)])
        found = [(int(h.annotation.span.start_sec), h.score) for h in search(database, query)]
        assert found == wanted  # every bit of every score


def test_equal_texts_are_told_by_video_then_time(database: Database, video_ids: list[int]) -> None:
    with database.write() as connection:
        put(connection, video_ids[1], said(1, "crane"), said(0, "crane"))
        put(connection, video_ids[0], said(9, "crane"))
    found = [
        (h.annotation.video_id, h.annotation.span.start_sec) for h in search(database, "crane")
    ]
    assert found == [(video_ids[0], 9), (video_ids[1], 0), (video_ids[1], 1)]


def test_the_same_rows_again_change_nothing(database: Database, video_ids: list[int]) -> None:
    rows = [said(0, "crane"), said(0, "crane"), said(3, "fork", label="Anna", detail={"a": [1]})]
    listed = []
    for _ in range(2):
        with database.write() as connection:
            assert put(connection, video_ids[0], *rows) == 3
            listed.append(list_annotations(connection, video_ids[0]))
    assert listed[0] == listed[1]
    assert len({one.uid for one in listed[0]}) == 3


def test_replacing_takes_only_what_the_producer_had(
    database: Database, video_ids: list[int]
) -> None:
    with database.write() as connection:
        put(connection, video_ids[0], said(0, "crane"), said(2, "fork"))
        put(connection, video_ids[0], said(4, "crane of another"), producer="q")
        put(connection, video_ids[1], said(6, "crane elsewhere"))
        kept = list_annotations(connection, video_ids[0])[1]
        put(connection, video_ids[0], said(2, "fork"), said(8, "load"))
        assert list_annotations(connection, video_ids[0])[0] == kept
    assert set(texts(search(database, "crane"))) == {"crane elsewhere", "crane of another"}
    assert texts(search(database, "load")) == ["load"]


def words_left(database: Database) -> list[str]:
    """What the word index still holds."""
    with database.write() as connection:
        if not database.is_sqlite:
            rows = connection.execute(
                text(
                    "SELECT word FROM ts_stat("
                    "'SELECT array_to_tsvector(string_to_array(tokens, '' '')) FROM annotations')"
                )
            )
        else:
            connection.execute(
                text(
                    f"CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, {FTS_TABLE}, row)"
                )
            )
            rows = connection.execute(text("SELECT term FROM temp.vocabulary"))
        return [row[0] for row in rows]


@pytest.mark.parametrize("way", ["replaced", "dropped", "video"])
def test_what_is_removed_leaves_no_word(database: Database, video_ids: list[int], way: str) -> None:
    with database.write() as connection:
        put(connection, video_ids[0], said(0, "crane 火災"), said(2, "кран"))
    with database.write() as connection:
        if way == "replaced":
            put(connection, video_ids[0])
        elif way == "dropped":
            assert drop_annotations(connection, Source.TRANSCRIPT, ["p"]) == 2
        else:
            connection.execute(text("DELETE FROM scores"))
            videos.delete_video(connection, video_ids[0])
    assert search(database, "crane 火災 кран") == []
    with database.read() as connection:
        assert connection.execute(select(annotation_sets)).all() == []
    assert words_left(database) == []


def test_filters(database: Database, video_ids: list[int]) -> None:
    first, second = video_ids
    fall = said(10, "crane", kind=Kind.EVENT)
    with database.write() as connection:
        put(connection, first, said(0, "crane"), said(5, "crane crane"))
        put_annotations(connection, first, Source.INCIDENT, "i", [fall])
        put(connection, second, said(0, "crane"))

    def starts(chosen: TextFilter) -> set[tuple[int, float]]:
        hits = search(database, "crane", chosen)
        return {(hit.annotation.video_id, hit.annotation.span.start_sec) for hit in hits}

    assert len(starts(EVERYWHERE)) == 4
    assert starts(TextFilter(video_ids=frozenset([second, 999]))) == {(second, 0)}
    assert starts(TextFilter(video_ids=frozenset())) == set()
    assert starts(TextFilter(sources=frozenset([Source.INCIDENT]))) == {(first, 10)}
    assert starts(TextFilter(kinds=frozenset([Kind.EVENT]))) == {(first, 10)}
    spans = {first: [TimeSpan(2, 5), TimeSpan(6, 6.5), TimeSpan(11, 20)]}
    assert starts(TextFilter(spans=spans)) == {(first, 5), (first, 10)}  # [0, 2] only touches
    assert starts(TextFilter(spans=spans, video_ids=frozenset([second]))) == set()


def test_more_videos_than_a_statement_takes_parameters(
    database: Database, video_ids: list[int]
) -> None:
    with database.write() as connection:
        put(connection, video_ids[0], said(0, "crane"))
    many = frozenset(range(1, 100_000))
    assert texts(search(database, "crane", TextFilter(video_ids=many))) == ["crane"]


def test_an_event_is_found_by_its_type_a_sentence_not_by_its_speaker(
    database: Database, video_ids: list[int]
) -> None:
    with database.write() as connection:
        put(
            connection,
            video_ids[0],
            said(0, "the truck stops", kind=Kind.EVENT, label="NEAR_CRASH"),
            said(4, "all is well", label="Anna"),
        )
    hits = search(database, "crash")
    assert texts(hits) == ["the truck stops"]
    assert hits[0].matched_terms == ("NEAR_CRASH",)
    assert search(database, "anna") == []


def test_common_words_find_nothing_by_themselves_in_a_large_archive(
    database: Database, video_ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CANDIDATES", 5)
    rows = [said(float(n), "the crane " + "x " * n) for n in range(4)]
    rows += [said(100.0 + n, "the fork " + "x " * n) for n in range(4)]
    with database.write() as connection:
        put(connection, video_ids[0], *rows)
        put(connection, video_ids[1], said(0, "the"))
    # fork is in 4 texts, "the" in 9: fork finds, but "the" scores.
    assert {t.split()[1] for t in texts(search(database, "the fork", k=4))} == {"fork"}
    assert search(database, "the fork")[0].score > search(database, "fork")[0].score
    # What is missing to k comes from the next word: of as many texts as there is room for.
    assert texts(search(database, "the fork"))[4:] == ["the"]
    # Of a single word of too many texts, the shortest ones.
    assert texts(search(database, "the")) == ["the", *(rows[n].text for n in (0, 4, 1, 5))]
    # Where few texts are searched, every word finds.
    few = TextFilter(video_ids=frozenset([video_ids[1]]))
    assert texts(search(database, "the fork", few)) == ["the"]


def grow_old(connection: Connection) -> None:
    """Make every text one of another analyzer."""
    connection.execute(annotation_sets.update().values(analyzer="terms-0"))
    connection.execute(annotation_rows.update().values(tokens="t000000637261", term_count=1))


def test_terms_of_another_analyzer_are_not_found_until_made_anew(
    database: Database, video_ids: list[int]
) -> None:
    rows = [said(float(n), f"crane {n}") for n in range(5)]
    with database.write() as connection:
        put(connection, video_ids[0], *rows[:3])
        put(connection, video_ids[1], *rows[3:])
        grow_old(connection)
    assert search(database, "crane") == []
    assert reindex_texts(database, lambda: True) == 0
    assert reindex_texts(database) == 5
    assert reindex_texts(database) == 0
    assert [(h.annotation.text, h.score) for h in search(database, "crane 3")] == [
        (rows[key].text, score)
        for key, score in rank("crane 3", [(n, row.text) for n, row in enumerate(rows)])
    ]
    assert not [word for word in words_left(database) if word.startswith("t000000")]


def test_writing_over_terms_of_another_analyzer_makes_them_anew(
    database: Database, video_ids: list[int]
) -> None:
    rows = [said(0, "crane"), said(1, "fork crane")]
    with database.write() as connection:
        put(connection, video_ids[0], *rows)
    before = [(hit.annotation.uid, hit.score) for hit in search(database, "crane")]
    with database.write() as connection:
        grow_old(connection)
        put(connection, video_ids[0], *rows)
    assert [(hit.annotation.uid, hit.score) for hit in search(database, "crane")] == before


def test_rows_prepared_beforehand_are_the_same(database: Database, video_ids: list[int]) -> None:
    rows = [said(0, "crane\x00 fork", label="NEAR", kind=Kind.EVENT), said(1, "火災")]
    with database.write() as connection:
        put(connection, video_ids[0], *rows)
        columns = [c for c in annotation_rows.c if c.name not in {"id", "created_at"}]
        before = connection.execute(select(*columns)).all()
        put(connection, video_ids[0])
        put(connection, video_ids[0], *prepared(rows))
        assert connection.execute(select(*columns)).all() == before


@pytest.mark.parametrize("seed", range(3))
def test_what_sets_say_of_their_texts_stays_true(
    database: Database, video_ids: list[int], seed: int
) -> None:
    dice = random.Random(seed)
    for _ in range(12):
        with database.write() as connection:
            rows = [said(float(n), words) for n, words in enumerate(corpus(dice.random()))]
            chosen = dice.sample(rows, dice.randrange(len(rows) + 1))
            put(connection, dice.choice(video_ids), *chosen, producer=dice.choice("pq"))
            if dice.random() < 0.2:
                drop_annotations(connection, Source.TRANSCRIPT, [dice.choice("pq")])
    key = ("video_id", "source", "producer")
    with database.read() as connection:
        columns = [annotation_rows.c[name] for name in key]
        counted = select(*columns, func.count(), func.sum(annotation_rows.c.term_count))
        wanted = connection.execute(counted.group_by(*columns)).all()
        told = select(*(annotation_sets.c[n] for n in (*key, "text_count", "term_count")))
        assert sorted(connection.execute(told).all()) == sorted(wanted)


def test_listing_by_source_kind_and_span(database: Database, video_ids: list[int]) -> None:
    with database.write() as connection:
        put(connection, video_ids[0], said(4, "b"), said(0, "a"), said(2, "c", kind=Kind.EVENT))
        put_annotations(connection, video_ids[0], Source.OPERATOR, "o", [said(1, "d")])

        def listed(**limits: object) -> list[str]:
            return [one.text for one in list_annotations(connection, video_ids[0], **limits)]

        assert listed() == ["a", "d", "c", "b"]
        assert listed(source=Source.OPERATOR) == ["d"]
        assert listed(kind=Kind.EVENT) == ["c"]
        assert listed(span=TimeSpan(2.0, 3.5)) == ["d", "c"]  # a ends where the span begins
        assert list_annotations(connection, video_ids[1]) == []


def test_what_no_database_can_hold_is_replaced(database: Database, video_ids: list[int]) -> None:
    with database.write() as connection:
        put(connection, video_ids[0], said(0, "crane\x00 \ud800 fork", label="a\x00"))
        (one,) = list_annotations(connection, video_ids[0])
    assert (one.text, one.label) == ("crane\ufffd \ufffd fork", "a\ufffd")
    assert len(search(database, "fork")) == 1


def test_refusals(database: Database, video_ids: list[int]) -> None:
    with database.write() as connection:
        with pytest.raises(VideoNotFound, match="999"):
            put(connection, 999, said(0, "crane"))
        with pytest.raises(InputError, match="64"):
            put(connection, video_ids[0], producer="x" * 65)
        with pytest.raises(InputError, match="256"):
            put(connection, video_ids[0], said(0, "crane", label="x" * 257))
        with pytest.raises(InputError, match="k=0"):
            search_texts(connection, "crane", EVERYWHERE, 0)
        with pytest.raises(InputError, match="257 different words"):
            search_texts(connection, " ".join(many_words(257)), EVERYWHERE, 1)
        assert search_texts(connection, "", EVERYWHERE, 1) == []
        assert search_texts(connection, "... !", EVERYWHERE, 1) == []


def test_a_query_of_the_most_words(database: Database, video_ids: list[int]) -> None:
    with database.write() as connection:
        put(connection, video_ids[0], said(0, "crane"))
    assert texts(search(database, " ".join([*many_words(255), "crane"]))) == ["crane"]


def test_both_databases_hold_the_same_rows_after_a_move(
    database: Database, video_ids: list[int], tmp_path: Path
) -> None:
    made = corpus(3)
    with database.write() as connection:
        put(connection, video_ids[0], *(said(float(n), words) for n, words in enumerate(made)))
    with database.snapshot() as connection:
        dump_rows(connection, tmp_path / "moved.db")
    moved = open_database(f"sqlite:///{tmp_path / 'moved.db'}")
    queries = ("crane кран 火災", "falling груз 作業")
    before = [search(database, query) for query in queries]
    assert [search(moved, query) for query in queries] == before
    assert all(before)
    with database.write() as connection:
        delete_rows(connection)
    assert words_left(database) == []
    with database.write() as connection, moved.read() as source:
        copy_rows(source, connection)
    assert [search(database, query) for query in queries] == before
    moved.close()


def test_writers_of_one_video_wait_for_each_other(database: Database, video_ids: list[int]) -> None:
    def write(number: int) -> int:
        with database.write() as connection:
            rows = [said(float(n), f"crane {n}") for n in range(20 + number % 2)]
            return put(connection, video_ids[0], *rows)

    with ThreadPoolExecutor(6) as threads:
        counts = set(threads.map(write, range(12)))
    assert counts == {20, 21}
    assert len(search(database, "crane")) in counts


def test_tidying_takes_the_words_of_deleted_texts_out_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sopilot.db"
    database = open_database(f"sqlite:///{path}")
    with database.write() as connection:
        score_rows.store(connection, [score_rows.Made()])
        rows = [said(float(n), f"crane {n}" + " secretword" * (n == 7)) for n in range(50)]
        put(connection, 1, *rows)
    word = word_of(terms("secretword")[0]).encode()
    tidy(database)
    assert word in path.read_bytes()
    with database.write() as connection:
        put(connection, 1, *rows[:7])
    tidy(database)
    assert word[-8:] not in path.read_bytes()
    assert len(search(database, "crane")) == 7
    database.close()
