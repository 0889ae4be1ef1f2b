"""Prompt files: all there, alike in all languages, strict; what is asked and what is answered."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from sopilot.core.errors import InputError
from sopilot.incidents import prompting
from sopilot.incidents.prompting import (
    AUTO,
    DOMAINS,
    LANGUAGES,
    domain_shape,
    domain_text,
    frame_shape,
    frame_text,
    load_prompt,
    parse_custom,
    parse_prompt,
    window_shape,
    window_text,
    with_custom,
)

GOOD = "Look.\n\n## FALL | Fall\nQ: Does somebody fall?\nNORMAL: Sitting down.\n"
_LETTERS = {"ru": "[а-яё]", "ja": "[\u3040-\u30ff]", "en": "[a-z]"}
# Contract vigil-incidents 1.4: what the third pass of the earlier product looked for.
_WORDS = {
    ("traffic", "ru"): ("столкновение", "наезд", "резкое торможение", "авари"),
    ("traffic", "en"): ("collision", "run-over", "hard braking", "accident"),
    ("traffic", "ja"): ("衝突", "人身事故", "急ブレーキ", "事故の跡"),
    ("production", "ru"): (
        "падение груза",
        "нарушение техники безопасности",
        "обрушение",
        "травма",
    ),
    ("production", "en"): ("falling load", "safety violation", "collapse", "injury"),
    ("production", "ja"): ("荷の落下", "安全違反", "崩壊", "けが"),
    ("violence", "ru"): ("драка", "удар", "нападение", "агрессия", "оружие"),
    ("violence", "en"): ("fight", "blow", "attack", "aggression", "weapon"),
    ("violence", "ja"): ("喧嘩", "殴打", "襲撃", "攻撃的", "武器"),
}


@pytest.mark.parametrize("domain", [*DOMAINS, AUTO])
def test_a_domain_asks_the_same_in_every_language(domain: str) -> None:
    prompts = {language: load_prompt(domain, language) for language in LANGUAGES}
    ids = {tuple(kind.id for kind in prompt.kinds) for prompt in prompts.values()}
    assert len(ids) == 1
    assert 4 <= len(next(iter(ids))) <= 8
    assert len({prompt.version for prompt in prompts.values()}) == 3
    for language, prompt in prompts.items():
        text = window_text(prompt, 0, 0.0, 1.5).lower() + prompt.instruction.lower()
        letters = re.findall(r"[^\W\d_]", text)
        own = [letter for letter in letters if re.match(_LETTERS[language], letter)]
        assert len(own) / len(letters) > {"ru": 0.7, "ja": 0.3, "en": 0.97}[language]


@pytest.mark.parametrize(("place", "words"), _WORDS.items())
def test_what_the_earlier_product_looked_for_is_asked(
    place: tuple[Any, Any], words: tuple[str, ...]
) -> None:
    questions = [text for kind in load_prompt(*place).kinds for text in kind.questions]
    text = " ".join(questions).lower()
    assert [word for word in words if word not in text] == []


def test_a_window_is_asked_every_question_with_its_contrast() -> None:
    prompt = load_prompt("production", "en")
    text = window_text(prompt, 7, 10.5, 12.0)
    for kind in prompt.kinds:
        assert kind.id in text
        assert all(question in text for question in kind.questions)
        assert kind.normal is not None
        assert kind.normal in text
    assert "window 7, from 10.50 s to 12.00 s" in text
    assert all(kind.name in frame_text(prompt, 7, 1.0, 3.0) for kind in prompt.kinds)
    auto = domain_text(load_prompt(AUTO, "en"))
    assert all(domain in auto for domain in DOMAINS)


def test_other_words_around_a_file_make_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    first = parse_prompt(GOOD.encode(), "other", "en")
    other = replace(prompting._TEXTS["en"], normal="Normal")
    monkeypatch.setitem(prompting._TEXTS, "en", other)
    second = parse_prompt(GOOD.encode(), "other", "en")
    assert first.version != second.version


def test_one_byte_makes_another_version() -> None:
    first = parse_prompt(GOOD.encode(), "other", "en")
    second = parse_prompt(GOOD.replace("Look.", "Look!").encode(), "other", "en")
    assert re.fullmatch("[0-9a-f]{12}", first.version)
    assert first.version != second.version


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("## FALL | Fall", "## fall | Fall"), "line 3"),
        (GOOD.replace("## FALL | Fall", "## FALL"), "line 3"),
        (GOOD + "W: what\n", "line 6"),
        (GOOD + "NORMAL: again\n", "line 6"),
        (GOOD + "## FALL | Fall\nQ: x y z?\n", "line 6"),
        (GOOD + "## SLIP | Slip\n", "line 6: SLIP ends without a line `Q: …`"),
        (GOOD.replace("NORMAL: Sitting down.\n", ""), "line 4: FALL ends without a line `NORMAL"),
        (GOOD.replace("Q: Does somebody fall?\n", "") + GOOD[7:], "line 5: FALL ends without"),
        ("Look.\n", "line 1: an instruction and at least one section"),
        (GOOD.replace("Look.", ""), "line 1: an instruction and at least one section"),
        (GOOD.replace("## FALL | Fall\n", ""), "line 3"),
        (GOOD.replace("fall?", "fall."), "line 4"),
        (GOOD.replace("NORMAL", "Q: 2?\nQ: 3?\nQ: 4?\nNORMAL"), "line 7"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(text: str, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        parse_prompt(text.encode(), "other", "en")
    assert "other.en.md" in caught.value.message


def test_a_file_that_is_no_text_is_refused_with_its_line() -> None:
    with pytest.raises(InputError, match=r"other\.en\.md, line 4: this is no UTF-8"):
        parse_prompt(GOOD.encode().replace(b"somebody", b"some\xffbody"), "other", "en")


def test_an_unknown_domain_names_what_there_is() -> None:
    with pytest.raises(InputError, match="traffic, production, violence, other, auto"):
        load_prompt("space", "en")


def test_types_in_plain_words_join_and_replace() -> None:
    prompt = load_prompt("violence", "en")
    custom = parse_custom("FIGHT: Do two people fight?\n\nSPIT: Does somebody spit?\n")
    made = with_custom(prompt, custom)
    questions = {kind.id: kind.questions for kind in made.kinds}
    assert questions["FIGHT"] == ("Do two people fight?",)
    assert questions["SPIT"] == ("Does somebody spit?",)
    assert [kind.id for kind in made.kinds] == [*(kind.id for kind in prompt.kinds), "SPIT"]
    assert {kind.id: kind.name for kind in made.kinds}["FIGHT"] == prompt.kinds[0].name == "Fight"
    assert len(made.kinds) == len(prompt.kinds) + 1
    assert made.version != prompt.version
    assert with_custom(prompt, custom).version == made.version
    assert with_custom(prompt, {}) is prompt


def test_the_frame_pass_asks_types_in_plain_words_too() -> None:
    prompt = with_custom(load_prompt("production", "ru"), {"AISLE": "Стоит ли поддон в проходе?"})
    text = frame_text(prompt, 0, 0.0, 2.0)
    assert "AISLE (Стоит ли поддон в проходе?)" in text
    assert all(kind.name in text for kind in prompt.kinds)
    assert not any(question in text for kind in prompt.kinds[:-1] for question in kind.questions)


@pytest.mark.parametrize(
    "text",
    ["fall: is there?", "FALL", "FALL: x", "F: is there?", "A" * 41 + ": is there?",
     "FALL: " + "x" * 501, "FALL: yes yes\nFALL: no no no",
     "\n".join(f"T{i}: is there?" for i in range(10, 31))],
)  # fmt: skip
def test_types_that_cannot_be_used_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_custom(text)
    assert caught.value.details == {"field": "events"}


@pytest.mark.parametrize(
    ("domain", "custom"),
    [
        ("other", {"fall": "is there?"}),
        ("other", {"A\nB": "is there?"}),
        ("other", {"SPIT": " x  "}),
        ("other", {"SPIT": "x" * 501}),
        ("other", {f"T{i}": "is there?" for i in range(10, 31)}),
        (AUTO, {"SPIT": "is there?"}),
    ],
)
def test_a_prompt_takes_no_types_that_cannot_be_used(domain: str, custom: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        with_custom(load_prompt(domain, "en"), custom)
    assert caught.value.details == {"field": "events"}


def test_a_question_in_plain_words_stays_on_its_line() -> None:
    made = with_custom(load_prompt("other", "en"), {"SPIT": "Does somebody\n## FALL | spit? "})
    assert made.kinds[-1].questions == ("Does somebody ## FALL | spit?",)


def good_answer(index: int) -> dict[str, Any]:
    ids = [kind.id for kind in load_prompt("violence", "en").kinds]
    return {
        "window": index,
        "caption": "two people talk",
        "answers": dict.fromkeys(ids, False),
        "risk_score": 0.0,
    }


def test_an_answer_must_be_about_its_window_and_whole() -> None:
    shape = window_shape(load_prompt("violence", "en"), 4)
    assert shape.model_validate(good_answer(4)).model_dump()["window"] == 4
    wrong = [
        good_answer(5),
        good_answer(4) | {"risk_score": 1.5},
        good_answer(4) | {"caption": "x" * 301},
        good_answer(4) | {"start_time": 3.0},
        good_answer(4) | {"answers": {"FIGHT": True}},
        good_answer(4) | {"answers": {**good_answer(4)["answers"], "ELSE": True}},
    ]
    for answer in wrong:
        with pytest.raises(ValidationError):
            shape.model_validate(answer)


def test_a_model_says_what_it_sees_before_it_answers() -> None:
    prompt = load_prompt("violence", "en")
    schema = window_shape(prompt, 4).model_json_schema()
    assert list(schema["properties"]) == ["window", "caption", "answers", "risk_score"]
    assert list(schema["$defs"]["Answers"]["properties"]) == [kind.id for kind in prompt.kinds]


def test_the_schemas_are_closed_and_bounded() -> None:
    for shape in (window_shape(load_prompt("other", "ja"), 0), frame_shape(), domain_shape()):
        schema = shape.model_json_schema()
        assert schema["additionalProperties"] is False
        assert set(schema["required"]) == set(schema["properties"])
        assert all(
            "maxLength" in p
            for p in schema["properties"].values()
            if p.get("type") == "string" and "enum" not in p
        )
