"""Terms: what a reader takes for the same word in three languages becomes the same term."""

from __future__ import annotations

import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.text.analyze import CODE_MARKS, LONGEST_TERM, analyze, terms

MILLION = 1_000_000
RUSSIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
KANA_AND_HAN = "落下物火災車人作業員倒れたがのをにベルトコンベアーフィ々"
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
SENTENCES = st.text(
    st.sampled_from("abcdefxyz" + RUSSIAN + KANA_AND_HAN + "0123456789" + " -_./:,'()。、・"),
    max_size=60,
)


@pytest.mark.parametrize(
    "forms",
    [
        ["падение", "падения", "падением", "Падению", "ПАДЕНИЕ"],
        ["сотрудник", "сотрудники", "сотрудника", "сотрудникам"],
        ["столкновение", "столкновения", "столкновений"],
        ["ёлка", "елка", "Ёлки", "е\u0308лку"],
        ["fall", "falls", "falling", "FALLING"],
        ["crash", "crashes", "crashed"],
        ["worker", "workers", "worker's", "worker\u2019s"],
    ],
)
def test_inflections_of_a_word_are_one_term(forms: list[str]) -> None:
    found = {terms(form) for form in forms}
    assert len(found) == 1
    assert len(found.pop()) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("падение", "паук"), ("fall", "fail"), ("кран", "экран"), ("落下", "下落"), ("й", "и")],
)
def test_different_words_stay_apart(one: str, other: str) -> None:
    assert not set(terms(one)) & set(terms(other))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("落下物が落ちた", ["落下", "下物", "物が", "が落", "落ち", "ちた"]),
        ("火", ["火"]),
        ("フィルター", ["フィ", "ィル", "ルタ", "ター"]),
        ("人・車", ["人", "車"]),
        ("佐々木", ["佐々", "々木"]),
        ("𠮷野家", ["𠮷野", "野家"]),
        ("葛\U000e0100城", ["葛城"]),
        ("第3工程、A号機", ["第", "3", "工程", "a", "号機"]),
    ],
)
def test_runs_of_han_and_kana_are_cut_into_bigrams(text: str, expected: list[str]) -> None:
    assert list(terms(text)) == expected


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("落下物", "棚から落下物が落ちた"),
        ("ベルトコンベア", "大型ベルトコンベアの前で停止"),
        ("閉め", "バルブを閉める"),
        ("フィルター", "ﾌｨﾙﾀｰを交換"),
        ("ベルト", "ﾍﾞﾙﾄ"),
    ],
)
def test_every_term_of_a_japanese_word_stands_in_a_longer_run(query: str, text: str) -> None:
    assert set(terms(query)) <= set(terms(text))


def test_one_han_character_is_found_inside_a_word_and_not_the_other_way_round() -> None:
    text = analyze("工場で火災が発生")
    assert set(terms("火")) <= set(text.singles)
    assert "で" not in text.singles
    assert not set(terms("火災")) & {*analyze("火").terms, *analyze("火").singles}
    assert analyze("火").singles == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A-12", ["a-12", "a", "12"]),
        ("NEAR_CRASH", ["near_crash", "near", "crash"]),
        ("__init__ a__b", ["init", "a__b", "a", "b"]),
        ("12.5", ["12.5", "12", "5"]),
        ("12,5 м", ["12.5", "12", "5", "м"]),
        ("at 12:30.", ["at", "12:30", "12", "30"]),
        ("H264", ["h264", "h", "264"]),
        ("cam/3, 7", ["cam/3", "cam", "3", "7"]),
        ("ＡＢ－１２ｘ", ["ab-12x", "ab", "12", "x"]),
        ("A\u201112", ["a-12", "a", "12"]),
        ("fork-lift", ["fork", "lift"]),
        ("1. stop: x", ["1", "stop", "x"]),
        ("--- ... ':'", []),
    ],
)
def test_a_code_is_kept_whole_and_in_parts(text: str, expected: list[str]) -> None:
    assert list(terms(text)) == expected


def test_a_code_is_the_same_from_either_keyboard() -> None:
    assert terms("А-12")[0] == terms("A-12")[0]
    assert terms("К204ММ77")[0] == terms("K204MM77")[0]
    assert terms("ВЖ-12")[0] == "вж-12"
    assert terms("Ё-12")[0] == terms("Е-12")[0]


def test_each_script_of_a_mixed_sentence_is_cut_in_its_own_way() -> None:
    text = "Сотрудники убегают: forklift falling, ベルト停止 (NEAR_CRASH, 12,5 сек)"
    assert list(terms(text)) == [
        "сотрудник", "убега", "forklift", "fall", "ベル", "ルト", "ト停", "停止",
        "near_crash", "near", "crash", "12.5", "12", "5", "сек",
    ]  # fmt: skip


def test_a_letter_of_another_script_ends_a_word() -> None:
    assert list(terms("стопstopΩμέγα火")) == ["стоп", "stop", "ωμέγα", "火"]


def test_marks_and_invisible_characters_do_not_break_a_word() -> None:
    assert terms("уда\u0301р") == terms("удар")
    assert terms("fork\u00adlift\ufeff") == terms("forklift")
    assert terms("\u1100\u00ad\u1161") == terms("\uac00")
    assert list(terms("\u0301")) == []


def test_lone_surrogates_and_controls_separate_and_vanish() -> None:
    assert list(terms("fall\ud800\x00crane\udfff")) == ["fall", "crane"]


def test_overlong_words_are_cut_and_overlong_codes_known_by_their_parts() -> None:
    assert list(terms("x" * 500)) == ["x" * LONGEST_TERM]
    assert list(terms("ж" * LONGEST_TERM)) == ["ж" * LONGEST_TERM]
    assert list(terms("7" * 60 + "-abcd")) == ["7" * 60, "abcd"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" + "\u0301\u0323" * (MILLION // 2), 1),
        ("a" + "\uff9e\u0323" * (MILLION // 2), 1),
        ("\ud800" * MILLION, 0),
        ("ab" * (MILLION // 2), 1),
        ("a-" * (MILLION // 2), MILLION // 2),
        ("1," * (MILLION // 2), MILLION // 2),
        ("-" * MILLION, 0),
        ("落下" * (MILLION // 2), MILLION - 1),
    ],
    ids=["marks", "mark forms", "surrogates", "word", "chain", "commas", "hyphens", "han"],
)
def test_a_million_hostile_characters_end(text: str, count: int) -> None:
    # A quadratic step (Python's normaliser on marks) would take half an hour here.
    assert len(terms(text)) == count


def test_the_listed_mark_forms_are_all_there_are() -> None:
    # Each would let a run of marks grow past what the normaliser sorts in linear time.
    hidden = {
        chr(code)
        for code in range(sys.maxunicode + 1)
        if not unicodedata.combining(chr(code))
        and unicodedata.combining(unicodedata.normalize("NFKD", chr(code))[0])
    }
    assert hidden == set("\u0f73\u0f75\u0f81\uff9e\uff9f")


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT)
def test_any_text_gives_encodable_bounded_terms_without_blanks(text: str) -> None:
    found = analyze(text)
    assert found == analyze(text)
    for term in found.terms + found.singles:
        assert 1 <= len(term.encode()) <= 4 * LONGEST_TERM
        assert len(term) <= LONGEST_TERM
        for one in term:
            assert one in CODE_MARKS or unicodedata.category(one)[0] in "LN" or ord(one) > 0x1AFFF


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_composed_and_decomposed_texts_have_the_same_terms(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert terms(composed) == terms(decomposed)


@settings(max_examples=200, deadline=None)
@given(SENTENCES)
def test_capitals_change_nothing(text: str) -> None:
    assert terms(text.upper()) == terms(text)


@settings(max_examples=200, deadline=None)
@given(SENTENCES, SENTENCES)
def test_a_line_break_joins_the_terms_of_both_sides(one: str, other: str) -> None:
    assert terms(f"{one}\n{other}") == terms(one) + terms(other)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from(KANA_AND_HAN + "0123456789 。"), max_size=40))
def test_japanese_terms_and_numbers_are_their_own_terms(text: str) -> None:
    found = terms(text)
    assert terms(" ".join(found)) == found


def test_threads_share_no_stemmer() -> None:
    words = [f"{stem}{end}" for stem in ("fall", "crash", "load") for end in ("ing", "s", "ed")]
    texts = [" ".join(words[i:] + words[:i]) + f" сотрудник{'а' * i}" for i in range(9)] * 20
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(terms, texts)) == [terms(text) for text in texts]
