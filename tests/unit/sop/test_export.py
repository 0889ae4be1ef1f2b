from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.sop.export import safe_cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+cmd",
        "-2",
        "@SUM(A1)",
        "\ttab",
        "\rline",
        "\nline",
        "  =1",
        "＝1",
        "=cmd|' /C calc'!A0",
    ],
)
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("north;=1+1", "north;'=1+1"),
        ('a; "@SUM(A1)', "a; \"'@SUM(A1)"),
        ("a,-b|+c", "a,'-b|'+c"),
        ("a\n=1", "a\n'=1"),
        ("\n=1", "'\n'=1"),
    ],
)
def test_a_cell_that_another_separator_begins_is_text_too(text: str, cell: str) -> None:
    assert safe_cell(text) == cell


@pytest.mark.parametrize("value", [12, 87.5, -0.25, "north", "a=b", "a; b", "line-3", "手順"])
def test_numbers_and_plain_texts_stay(value: object) -> None:
    assert safe_cell(value) == value


def test_nothing_is_an_empty_cell() -> None:
    assert safe_cell(None) == ""


@given(st.text())
def test_no_cell_begins_like_a_formula_and_reads_back(text: str) -> None:
    cell = str(safe_cell(text))
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    if "\r" not in text and "\n" not in text and "\x00" not in text:
        [[read]] = csv.reader([f'"{cell.replace(chr(34), chr(34) * 2)}"'])
        assert read.replace("'", "") == text.replace("'", "")
