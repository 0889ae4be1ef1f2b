"""Entity tags and byte ranges of stored files."""

from __future__ import annotations

import pytest

from sopilot.api.files import etag_matches, parse_ranges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("", False),
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ('"abcd"', False),
        ("abc", False),
    ],
)
def test_if_none_match(header: str | None, expected: bool) -> None:
    assert etag_matches(header, '"abc"') is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", [(0, 0)]),
        ("bytes=5-", [(5, 9)]),
        ("bytes=-3", [(7, 9)]),
        ("bytes=-30", [(0, 9)]),
        ("bytes=2-900", [(2, 9)]),
        ("bytes=0-1, 4-5", [(0, 1), (4, 5)]),
        ("bytes=0-1,90-", [(0, 1)]),
        ("bytes=10-", []),
        ("bytes=-0", []),
        ("bytes=5-2", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes", None),
        ("items=0-1", None),
        ("bytes=" + "0-0," * 200 + "0-0", None),
    ],
)
def test_ranges(header: str, expected: list[tuple[int, int]] | None) -> None:
    assert parse_ranges(header, 10) == expected
