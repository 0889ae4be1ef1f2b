"""P(true) of a field, from the tokens that a server says an answer was made of."""

from __future__ import annotations

import math

import pytest

from sopilot.vlm.client import Reply, TokenChoice
from sopilot.vlm.probability import probability_of

SURE = {"true": math.log(0.2), "false": math.log(0.6)}
"""A quarter, normalised over the two."""


def reply(text: str, *tokens: str | TokenChoice) -> Reply:
    told = tuple(item if isinstance(item, TokenChoice) else plain(item) for item in tokens)
    return Reply(text, "m", "stop", None, None, 1, 0.0, told)


def plain(text: str) -> TokenChoice:
    return TokenChoice(text, -0.1, {text: -0.1, "t": -3.0, "f": -9.0})


def choice(text: str, others: dict[str, float]) -> TokenChoice:
    return TokenChoice(text, others[text], others)


@pytest.mark.parametrize(
    "tokens",
    [
        ('{"', "hit", '": ', choice("false", SURE), "}"),
        ('{"', "hit", '":', choice(" false", {f" {k}": v for k, v in SURE.items()}), "}"),
        ('{"', "hit", '": ', choice("fal", {"tr": SURE["true"], "fal": SURE["false"]}), "se", "}"),
        ('{"', "hit", choice('": false', {f'": {k}': v for k, v in SURE.items()}), "}"),
        ('{"', "hit", '": ', choice("false}", {f"{k}}}": v for k, v in SURE.items()})),
    ],
)
def test_the_share_of_true_however_the_text_is_cut(tokens: tuple[str | TokenChoice, ...]) -> None:
    assert probability_of(reply('{"hit": false}', *tokens), "hit") == pytest.approx(0.25)


def test_letters_spread_over_tokens_do_not_shift_the_place() -> None:
    spread = ["\ufffd"] * 9  # three letters of three bytes each
    text = '{"caption": "火と煙", "hit": false}'
    told = reply(text, '{"caption": "', *spread, '", "hit": ', choice("false", SURE), "}")
    assert probability_of(told, "hit") == pytest.approx(0.25)


def test_thoughts_before_the_answer_are_not_the_answer() -> None:
    thought = choice("true", {"true": -0.01, "false": -5.0})
    told = reply('{"hit": false}', '"hit": ', thought, ' {"hit": ', choice("false", SURE), "}")
    assert probability_of(told, "hit") == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ('{"hit": false}', ()),
        ('{"hit": false}', ('{"hit": ', "true", "}")),
        ('{"hit": "false"}', ('{"hit": "', choice("false", SURE), '"}')),
        (
            '{"a": {"hit": true}, "hit": true}',
            ('{"a": {"hit": ', "true", '}, "hit": ', "true", "}"),
        ),
        ('{"other": false}', ('{"other": ', choice("false", SURE), "}")),
    ],
)
def test_none_where_the_place_is_not_certain(
    text: str, tokens: tuple[str | TokenChoice, ...]
) -> None:
    assert probability_of(reply(text, *tokens), "hit") is None


def test_a_field_named_inside_a_text_is_not_the_field() -> None:
    text = '{"caption": "\\"hit\\": true", "hit": false}'
    told = reply(text, '{"caption": "\\"hit\\": true", "hit": ', choice("false", SURE), "}")
    assert probability_of(told, "hit") == pytest.approx(0.25)
