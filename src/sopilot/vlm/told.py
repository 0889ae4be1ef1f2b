"""What a model or its server told, as text that every store, page and terminal can hold.

Called where answers are read. What was answered word for word is kept beside it.
"""

from __future__ import annotations

import re

MOST_CHARACTERS = 1 << 16
"""Longest answer that is read: the longest that is asked for has 8192 tokens."""

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_ESCAPED = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|[bfr]|.)", re.DOTALL)


def readable(text: str) -> str:
    """The text without control characters, but for tabs and line ends, without marks that turn the
    direction of writing, and without what is no character."""
    return _HIDDEN.sub("", text)


def readable_json(text: str) -> str:
    """JSON text whose strings are readable: what `readable` drops goes, also where it is escaped.

    PostgreSQL stores no NUL, Word opens no file with one, and ESC commands a terminal.
    """
    return _ESCAPED.sub(_kept, readable(text))


def _kept(escape: re.Match[str]) -> str:
    told = escape[0]
    if escape[1] is not None:
        code = int(escape[1], 16)
        is_half = 0xD800 <= code <= 0xDFFF  # two halves may be one character; JSON's reader tells
        return told if is_half or not _HIDDEN.match(chr(code)) else ""
    return "" if told in {r"\b", r"\f", r"\r"} else told
