"""docs/acceptance.toml: every row is proven by tests that exist, or says what it waits for."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = tomllib.loads((ROOT / "docs/acceptance.toml").read_text(encoding="utf-8"))


@cache
def _names(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_proven_or_planned(row: str) -> None:
    assert ROWS[row]["feature"]
    assert bool(ROWS[row].get("tests")) != bool(ROWS[row].get("planned"))
    assert set(ROWS[row]) <= {"feature", "tests", "planned"}


@pytest.mark.parametrize("row", [name for name in ROWS if ROWS[name].get("tests")])
def test_the_named_tests_are_there(row: str) -> None:
    for test in ROWS[row]["tests"]:
        place, _, name = test.partition("::")
        path = ROOT / "tests" / place
        assert path.is_file(), test
        assert name in _names(path), test
