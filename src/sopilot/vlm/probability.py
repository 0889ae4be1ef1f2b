"""How sure a model was of a yes or no, from the probabilities of its tokens."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from sopilot.vlm.client import Reply, TokenChoice

Choices = tuple[tuple[str, float], ...]
"""What could have stood in a place of an answer, each with its log probability."""


def probability_of(reply: Reply, field: str) -> float | None:
    """P(true) of a boolean field of a JSON answer: what its first token gives true against false.

    None where `choices_of` finds nothing.
    """
    return share_of_true(choices_of(reply, field))


def choices_of(reply: Reply, field: str) -> Choices:
    """The beginnings of true and false that could have stood at a boolean field of a JSON answer.

    Empty where the server told no probabilities, the field is not there exactly once, or the tokens
    say another word than the answer. The place is sought in the tokens' own text: it differs from
    the answer's where a letter is spread over tokens or where thoughts come before the answer.
    """
    answered = _boolean_places(reply.text, field)
    told = _boolean_places("".join(token.text for token in reply.tokens), field)
    if len(answered) != 1 or not told or told[-1][1] != answered[0][1]:
        return ()
    place = told[-1][0]
    position = 0
    for token in reply.tokens:
        if position <= place < position + len(token.text):
            return _choices(token, token.text[: place - position])
        position += len(token.text)
    return ()


def share_of_true(choices: Sequence[tuple[str, float]]) -> float | None:
    """What true has of the probability of true and false together, 0-1; None without any."""
    weights = {"true": 0.0, "false": 0.0}
    for text, logprob in choices:
        for word in _words_of(text):
            weights[word] += math.exp(logprob)
    total = sum(weights.values())
    return weights["true"] / total if total > 0 else None


def _boolean_places(text: str, field: str) -> list[tuple[int, str]]:
    """Where a field has true or false in JSON text, and which. No string value can look like it:
    quotes inside one are escaped."""
    found = re.finditer(rf"{re.escape(json.dumps(field))}\s*:\s*(true|false)", text)
    return [(item.start(1), item[1]) for item in found]


def _choices(token: TokenChoice, before: str) -> Choices:
    """before: what of the token stands in front of the value, such as a blank or a colon."""
    found = []
    for text, logprob in {**token.others, token.text: token.logprob}.items():
        value = (text[len(before) :] if text.startswith(before) else text).strip()
        if _words_of(value):
            found.append((value, logprob))
    return tuple(found)


def _words_of(text: str) -> list[str]:
    """Of true and false, what the text begins or is the beginning of."""
    return [
        word
        for word in ("true", "false")
        if text and (word.startswith(text) or text.startswith(word))
    ]
