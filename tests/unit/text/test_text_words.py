"""The OR of lower-cased words as substrings, as the contract of incidents has it."""

from __future__ import annotations

import pytest

from sopilot.text.words import matches_any_word


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        ("car crash", "A CAR stops", True),
        ("Crash", "near_crash", True),
        ("car", "the scar", True),
        ("удар ПАДЕНИЕ", "Падение груза", True),
        ("падения", "падение груза", False),
        ("落下", "棚から落下物", True),
        ("car crash", "a van stops", False),
        ("car.", "a car stops", False),
        ("", "a car", False),
        (" \t\n", "a car", False),
        ("car", "", False),
        ("a\ud800", "x a\ud800 y", True),
    ],
)
def test_any_word_of_the_prompt_anywhere_in_the_text(
    prompt: str, text: str, expected: bool
) -> None:
    assert matches_any_word(prompt, text) is expected
