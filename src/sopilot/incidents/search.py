"""Search of words in the timeline of an incident: the documented rule, ranked by the analyzer.

A window matches where its caption or event type holds one of the prompt's words as it stands, or a
word of the same stem. Best first; of equals the earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sopilot.incidents.schemas import WindowRow
from sopilot.text.rank import rank
from sopilot.text.words import matches_any_word


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A window that matches. score: BM25, >= 0."""

    window: WindowRow
    score: float


@dataclass(frozen=True, slots=True)
class SearchFound:
    """What a search found. window_count: how many windows were looked through."""

    window_count: int
    hits: tuple[SearchHit, ...]


def search_timeline(windows: Sequence[WindowRow], prompt: str) -> SearchFound:
    """The windows that match a prompt. Raises nothing; an empty prompt matches none."""
    texts = {window.window_index: _text(window) for window in windows}
    scores = dict(rank(prompt, list(texts.items())))
    hits = [
        SearchHit(window, scores.get(window.window_index, 0.0))
        for window in windows
        if window.window_index in scores or matches_any_word(prompt, texts[window.window_index])
    ]
    hits.sort(key=lambda hit: (-hit.score, hit.window.window_index))
    return SearchFound(len(windows), tuple(hits))


def _text(window: WindowRow) -> str:
    return f"{window.caption or ''} {window.event_type or ''}"
