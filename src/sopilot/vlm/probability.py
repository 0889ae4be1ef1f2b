"""How sure a model was of a yes or no, from the probabilities of its tokens."""

from __future__ import annotations

import json
import math
import re

from sopilot.vlm.client import Reply, TokenChoice


def probability_of(reply: Reply, field: str) -> float | None:
    """P(true) of a boolean field of a JSON answer: what its first token gives true against false.

    None where the server told no probabilities, the field is not there exactly once, or the tokens
    say another word than the answer. The place is sought in the tokens' own text: it differs from
    the answer's where a letter is spread over tokens or where thoughts come before the answer.
    """
    answered = _boolean_places(reply.text, field)
    told = _boolean_places("".join(token.text for token in reply.tokens), field)
    if len(answered) != 1 or not told or told[-1][1] != answered[0][1]:
        return None
    place = told[-1][0]
    position = 0
    for token in reply.tokens:
        if position <= place < position + len(token.text):
            return _share_of_true(token, token.text[: place - position])
        position += len(token.text)
    return None


def _boolean_places(text: str, field: str) -> list[tuple[int, str]]:
    """Where a field has true or false in JSON text, and which. No string value can look like it:
    quotes inside one are escaped."""
    found = re.finditer(rf"{re.escape(json.dumps(field))}\s*:\s*(true|false)", text)
    return [(item.start(1), item[1]) for item in found]


def _share_of_true(token: TokenChoice, before: str) -> float | None:
    """before: what of the token stands in front of the value, such as a blank or a colon."""
    weights = {"t": 0.0, "f": 0.0}
    for text, logprob in {**token.others, token.text: token.logprob}.items():
        value = text[len(before) :] if text.startswith(before) else text.lstrip()
        for word, letter in (("true", "t"), ("false", "f")):
            start = value.strip()
            if start and (word.startswith(start) or start.startswith(word)):
                weights[letter] += math.exp(logprob)
    total = weights["t"] + weights["f"]
    return weights["t"] / total if total > 0 else None
