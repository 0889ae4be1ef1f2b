"""The chain DP against brute force, and what its tables promise."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.align.chain import (
    best_cuts,
    cumulate,
    extend,
    prefix_tables,
    suffix_tables,
)

SEEDS = st.integers(0, 10_000)


def _problem(seed: int, windows: int = 7, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(windows, classes)), rng.integers(1, 3, classes)


def _brute(evidence: np.ndarray, chain: np.ndarray, shortest: np.ndarray) -> float:
    best = -np.inf
    for inner in combinations(range(1, len(evidence)), len(chain) - 1):
        cuts = (0, *inner, len(evidence))
        if any(b - a < m for a, b, m in zip(cuts, cuts[1:], shortest, strict=False)):
            continue
        parts = zip(chain, cuts, cuts[1:], strict=False)
        best = max(best, sum(evidence[a:b, k].sum() for k, a, b in parts))
    return best


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 4))
def test_chain_equals_brute_force(seed: int, length: int) -> None:
    evidence, least = _problem(seed)
    chain = np.random.default_rng(seed + 1).integers(0, 3, length)
    expected = _brute(evidence, chain, least[chain])
    assert prefix_tables(cumulate(evidence), chain, least[chain])[-1, -1] == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_cuts_earn_what_the_table_says(seed: int) -> None:
    evidence, least = _problem(seed)
    chain, sums = np.array([0, 2, 1]), cumulate(evidence)
    prefix = prefix_tables(sums, chain, least[chain])
    cuts = best_cuts(prefix, sums, chain, least[chain])
    earned = sum(evidence[a:b, k].sum() for k, a, b in zip(chain, cuts, cuts[1:], strict=False))
    assert (cuts[0], cuts[-1]) == (0, len(evidence))
    assert (np.diff(cuts) >= least[chain]).all()
    assert earned == pytest.approx(prefix[-1, -1])


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_prefix_and_suffix_meet_everywhere(seed: int) -> None:
    evidence, least = _problem(seed)
    chain, sums = np.array([1, 0, 2]), cumulate(evidence)
    prefix = prefix_tables(sums, chain, least[chain])
    suffix = suffix_tables(sums, chain, least[chain])
    for i in range(len(chain) + 1):
        assert (prefix[i] + suffix[i]).max() == pytest.approx(prefix[-1, -1])


def test_batch_extension_equals_single_rows() -> None:
    evidence, _ = _problem(3, windows=9)
    sums = cumulate(evidence)
    tables = np.random.default_rng(0).normal(size=(3, 10))
    classes, shortest = np.array([0, 1, 2]), np.array([1, 4, 2])
    together = extend(tables, sums, classes, shortest)
    for row in range(3):
        one = slice(row, row + 1)
        assert np.array_equal(together[one], extend(tables[one], sums, classes[one], shortest[one]))


def test_too_few_windows_give_no_chain() -> None:
    sums = cumulate(np.zeros((3, 2)))
    assert prefix_tables(sums, np.array([0, 1]), np.array([2, 2]))[-1, -1] == -np.inf
    assert prefix_tables(sums, np.array([0]), np.array([9]))[-1, -1] == -np.inf
