"""The documented word rule of the incidents search, kept exact beside the ranked one."""

from __future__ import annotations


def matches_any_word(prompt: str, text: str) -> bool:
    """Whether any lower-cased word of the prompt stands in the lower-cased text, also inside a
    longer word; False for a prompt without words. Source: vigil-incidents.md 1.4.

    O(words of the prompt × length of the text).
    """
    searched = text.lower()
    return any(word in searched for word in dict.fromkeys(prompt.lower().split()))
