"""Answers kept for as long as nothing that they are made of has changed.

Counting a hundred thousand scores takes a tenth of a second, and a dashboard asks the same again
and again. Whether something changed is read from the database in the same connection: the audit
log grows with every change to a score, a video or a review, whichever process makes it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import TypeVar, cast

from sqlalchemy import Connection

from sopilot.sop.analytics_queries import change_mark

T = TypeVar("T")


class Memo:
    """The latest answers of one database; safe to share between threads."""

    def __init__(self, size: int = 64) -> None:
        """Keep at most `size` answers, the ones asked for last."""
        self._size = size
        self._kept: OrderedDict[Hashable, tuple[Hashable, object]] = OrderedDict()
        self._lock = Lock()

    def get(self, connection: Connection, question: Hashable, make: Callable[[], T]) -> T:
        """The kept answer to a question, or what `make` finds in this connection. Frozen records.

        The mark is read before the answer is made: a change in between makes the next one anew.
        """
        mark = change_mark(connection)
        with self._lock:
            kept = self._kept.get(question)
            if kept is not None and kept[0] == mark:
                self._kept.move_to_end(question)
                return cast(T, kept[1])
        made = make()
        with self._lock:
            self._kept[question] = (mark, made)
            self._kept.move_to_end(question)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return made
