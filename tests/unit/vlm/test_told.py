"""What models told, as text that stores, pages and terminals can hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.vlm.told import readable, readable_json


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("a man falls", "a man falls"),
        ("две\nстроки\tтут", "две\nстроки\tтут"),
        ("a\x00b\x1b[31mc\x7f\x9b", "ab[31mc"),
        ("fdp\u202egpj", "fdpgpj"),  # what follows would be shown from right to left
        ("\ufffe\uffff\U0001f600", "\U0001f600"),
    ],
)
def test_what_nobody_can_read_goes(told: str, read: str) -> None:
    assert readable(told) == read
    assert json.loads(readable_json(json.dumps(told))) == read


def test_an_escaped_backslash_is_no_escape() -> None:
    told = json.dumps({"caption": "C:\\u0000 \\\\u001b \\n"})
    assert readable_json(told) == told


@given(st.text())
def test_no_json_text_becomes_another_or_none(text: str) -> None:
    for told in (json.dumps({"a": text}), json.dumps({"a": text}, ensure_ascii=False)):
        found = json.loads(readable_json(told))["a"]
        assert found == readable(text.replace("\r", ""))
