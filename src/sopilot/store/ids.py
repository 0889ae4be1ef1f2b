"""How callers name a row: by its integer id or its uid; one rule for every table."""

from __future__ import annotations

_MAX_ID = 2**31 - 1


def row_name(given: int | str) -> int | str:
    """The id to look for (int), or the uid (str, lower case).

    An id is written in ASCII digits and fits the column; anything else can only be a uid, and
    finds nothing where it is none.
    """
    text = str(given)
    is_id = text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= _MAX_ID
    return int(text) if is_id else text.lower()
