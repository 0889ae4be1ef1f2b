"""What a caller may name a row by."""

from __future__ import annotations

import pytest

from sopilot.store.ids import row_name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (7, 7),
        ("7", 7),
        ("0012", 12),
        ("2147483647", 2**31 - 1),  # ten digits are an id like others
        ("2147483648", "2147483648"),  # more than a row can have: no such id is asked for
        (2**40, str(2**40)),
        (-1, "-1"),
        ("\uff13", "\uff13"),  # a full-width digit
        ("3F2A-B", "3f2a-b"),
        ("", ""),
    ],
)
def test_a_row_is_named_by_its_id_or_its_uid(given: int | str, name: int | str) -> None:
    assert row_name(given) == name
