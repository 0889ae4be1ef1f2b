"""Text in Japanese, Russian and English -> the terms that search compares.

Called by the searches of the feature bands for queries and for what is searched alike. The script
of each run of letters decides how it is cut, so that a mixed sentence needs no language argument.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from types import ModuleType
from typing import Any

ANALYZER = f"terms-1/snowball-{version('snowballstemmer')}/unicode-{unicodedata.unidata_version}"
"""What produced a stored term; terms of two producers are not compared."""

CODE_MARKS = "-_./:"
"""The only characters besides letters and digits that stand in a term, inside whole codes."""

LONGEST_TERM = 64
"""Characters. A longer word is cut here, a longer code is known by its parts only."""

# Han with 々〆〇, Hiragana, Katakana with the prolonged sound mark but without the middle dot.
_CJK = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001b000-\U0001b167\U00020000-\U000323af"
)
_HAN = re.compile("[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_LATIN = "a-z\u00df-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_CYRILLIC = "\u0400-\u052f\u1c80-\u1c8f\ua640-\ua69f"
_LETTER = rf"[^\W{_CJK}]"
_RUNS = re.compile(rf"(?P<cjk>[{_CJK}]++)|{_LETTER}++(?:(?:[-./']|(?<=\d):(?=\d)){_LETTER}++)*+")
_PARTS = re.compile(
    rf"(?P<latin>[{_LATIN}]++(?:'[{_LATIN}]++)*+)|(?P<cyrillic>[{_CYRILLIC}]++)"
    rf"|\d++|[^\W\d_{_CJK}{_LATIN}{_CYRILLIC}]++"
)
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_CODE = re.compile(r"[\d_]")
_ANY_CYRILLIC = re.compile(f"[{_CYRILLIC}]")

# Spellings of one character: hyphens and dashes, apostrophes, and the Russian ё.
_SPELLINGS = str.maketrans(
    {"ё": "е", "\u2019": "'", "\u02bc": "'"} | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
)
# Codes are typed on whichever keyboard is at hand; these letters look alike in capitals.
_LOOKALIKES = str.maketrans("авекмнорстух", "abekmhopctyx")
_ALONE = "sopilot_snowball"
_DROPPED = {"Mn", "Mc", "Me", "Cf"}
# Starters whose compatibility form is a combining mark.
_MARK_FORMS = "\u0f73\u0f75\u0f81\uff9e\uff9f"
# Source: UAX 15, stream-safe text. Python's normaliser is quadratic in a run of marks.
_MOST_MARKS = 30


@dataclass(frozen=True, slots=True)
class Analysis:
    """terms: what the text says, in order. singles: the Han characters inside its longer runs,
    which belong to what is searched, never to a query: 火 finds 火災, 火災 does not find 火."""

    terms: tuple[str, ...]
    singles: tuple[str, ...]


def terms(text: str) -> tuple[str, ...]:
    """The terms of a query or a text, in order and with repetitions.

    Runs of Han and kana give their bigrams, a single character itself; Latin words the English
    stem, Cyrillic words the Russian stem, both Snowball; other scripts the word. A code (letters
    and digits, or words joined by "_") gives itself and then its parts: "A-12" -> a-12, a, 12.
    Letters are compared by NFKC and case folding, ё is е; punctuation, marks that compose with no
    letter, and what has no meaning as text (lone surrogates, controls) are dropped. No stop words.
    Every term is encodable and at most LONGEST_TERM characters. O(length) for any input.
    """
    return analyze(text).terms


def analyze(text: str) -> Analysis:
    """`terms` of a text to be searched, and the characters that stand inside its longer runs."""
    found: list[str] = []
    singles: list[str] = []
    for run in _RUNS.finditer(_folded(text)):
        if run.lastgroup == "cjk":
            found.extend(_bigrams(run.group()))
            if len(run.group()) > 1:
                singles.extend(_HAN.findall(run.group()))
        else:
            found.extend(_words(run.group()))
    return Analysis(tuple(found), tuple(singles))


def _folded(text: str) -> str:
    """The text with one spelling for what is the same to a reader."""
    if text.isascii():
        return _DECIMAL_COMMA.sub(".", text.lower())
    composed = unicodedata.normalize("NFKC", _few_marks(text)).casefold()
    bare = "".join(one for one in composed if unicodedata.category(one) not in _DROPPED)
    # Once more, since folding and dropping may have brought together what composes.
    folded = unicodedata.normalize("NFKC", bare).translate(_SPELLINGS)
    return _DECIMAL_COMMA.sub(".", folded)


def _few_marks(text: str) -> str:
    kept: list[str] = []
    run = 0
    for one in text:
        run = run + 1 if unicodedata.combining(one) or one in _MARK_FORMS else 0
        if run <= _MOST_MARKS:
            kept.append(one)
    return "".join(kept)


def _bigrams(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for first, second in pairwise(run):
        yield first + second


def _words(chain: str) -> Iterator[str]:
    """The terms of letters and digits that only CODE_MARKS and apostrophes join."""
    parts = list(_PARTS.finditer(chain))
    if len(parts) > 1 and _CODE.search(chain):
        whole = chain.strip("_").replace("'", "")
        if len(whole) <= LONGEST_TERM:
            yield _one_alphabet(whole)
    for part in parts:
        word = part.group()
        if len(word) > LONGEST_TERM:
            yield word[:LONGEST_TERM].replace("'", "")
        else:
            yield _stem(word, part.lastgroup)


def _one_alphabet(code: str) -> str:
    latin = code.translate(_LOOKALIKES)
    return code if _ANY_CYRILLIC.search(latin) else latin


@cache
def _stemmer(language: str) -> Any:
    """The class of a stemmer of the package, loaded alone.

    The package's own entrance loads thirty languages, a sixth of a second for every command, and
    takes a C library where one is installed, whose stems may be of another release.
    """
    found = find_spec("snowballstemmer")
    assert found is not None
    assert found.submodule_search_locations is not None
    alone = ModuleType(_ALONE)
    alone.__path__ = found.submodule_search_locations
    sys.modules.setdefault(_ALONE, alone)
    module = import_module(f"{_ALONE}.{language}_stemmer")
    return getattr(module, f"{language.capitalize()}Stemmer")


@lru_cache(maxsize=16384)
def _stem(word: str, script: str | None) -> str:
    # A stemmer holds the word it works on, so that threads must not share one; it costs 1 us.
    if script == "latin":
        return str(_stemmer("english")().stemWord(word)).replace("'", "")
    if script == "cyrillic":
        return str(_stemmer("russian")().stemWord(word))
    return word
