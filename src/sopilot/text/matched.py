"""Why a text was found: the words of the text, as they are written there, that a query hit."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from sopilot.text.analyze import CODE_MARKS, analyze, terms

MOST_MATCHED = 12
_MOST_LETTERS = 20_000
_WORD = re.compile(rf"[\w'\u2019{re.escape(CODE_MARKS)}]+")
_WIDE = re.compile("[\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af]")


def matched_words(text: str, asked: Collection[str]) -> tuple[str, ...]:
    """The words of a text with a term of the query, in order, each once, at most MOST_MATCHED.

    asked: the terms of the query. Of text without spaces between words, the parts that match.
    For the hits that are shown: it costs about as much as analysing the text.
    """
    found: dict[str, None] = {}
    for chain in _WORD.finditer(text[:_MOST_LETTERS]):
        for word in _parts(chain.group(), asked):
            found.setdefault(word)
            if len(found) == MOST_MATCHED:
                return tuple(found)
    return tuple(found)


def _parts(chain: str, asked: Collection[str]) -> Iterator[str]:
    analysis = analyze(chain)
    if not any(term in asked for term in analysis.terms + analysis.singles):
        return
    if not _WIDE.search(chain):
        yield chain.strip("'" + CODE_MARKS) or chain
        return
    # A letter belongs to a match when it, or it with a neighbour, is a term of the query.
    is_hit = [_hits(letter, asked) for letter in chain]
    for place in range(len(chain) - 1):
        if _hits(chain[place : place + 2], asked):
            is_hit[place] = is_hit[place + 1] = True
    yield from (
        chain[run.start() : run.end()]
        for run in re.finditer("1+", "".join("1" if hit else "0" for hit in is_hit))
    )


def _hits(part: str, asked: Collection[str]) -> bool:
    return any(term in asked for term in terms(part))
