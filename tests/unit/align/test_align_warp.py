"""Warping: equal to brute force, monotone, diagonal for equal sequences."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.align.warp import warp
from sopilot.core.errors import InputError


def _cost(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, columns)).astype(np.float32)


def _brute(cost: np.ndarray) -> float:
    @cache
    def least(i: int, j: int) -> float:
        before = [
            least(a, b) for a, b in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if a >= 0 and b >= 0
        ]
        return float(cost[i, j]) + (min(before) if before else 0.0)

    return least(cost.shape[0] - 1, cost.shape[1] - 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 6), st.integers(1, 6))
def test_warp_equals_brute_force(seed: int, rows: int, columns: int) -> None:
    cost = _cost(seed, rows, columns)
    path, mean = warp(cost)
    assert mean * len(path) == pytest.approx(_brute(cost), abs=1e-6)
    assert cost[path[:, 0], path[:, 1]].sum() == pytest.approx(_brute(cost), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 12), st.integers(1, 12))
def test_path_is_monotone_and_complete(seed: int, rows: int, columns: int) -> None:
    path, _ = warp(_cost(seed, rows, columns))
    moves = np.diff(path, axis=0)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [rows - 1, columns - 1]
    assert {tuple(move) for move in moves} <= {(1, 1), (1, 0), (0, 1)}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 15))
def test_equal_sequences_match_along_the_diagonal(seed: int, count: int) -> None:
    points = np.random.default_rng(seed).random((count, 4))
    cost = np.linalg.norm(points[:, None] - points[None], axis=2).astype(np.float32)
    path, mean = warp(cost)
    assert mean == 0.0
    assert (path[:, 0] == path[:, 1]).all()


@pytest.mark.parametrize("cost", [np.zeros((0, 3)), np.full((2, 2), np.nan)])
def test_unusable_cost_is_refused(cost: np.ndarray) -> None:
    with pytest.raises(InputError, match="cost matrix"):
        warp(cost.astype(np.float32))
