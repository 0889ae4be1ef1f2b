from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopilot.align.soft_warp import soft_warp
from sopilot.align.warp import warp
from sopilot.core.errors import InputError


def path_costs(cost: np.ndarray, i: int = 0, j: int = 0) -> Iterator[float]:
    """The cost of every monotone path from a cell to the last one."""
    here = float(cost[i, j])
    if (i, j) == (cost.shape[0] - 1, cost.shape[1] - 1):
        yield here
    for di, dj in ((1, 1), (1, 0), (0, 1)):
        if i + di < cost.shape[0] and j + dj < cost.shape[1]:
            yield from (here + rest for rest in path_costs(cost, i + di, j + dj))


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([0.05, 0.5, 3.0]), st.integers(0, 99))
def test_it_is_the_soft_minimum_over_all_paths(n: int, m: int, gamma: float, seed: int) -> None:
    cost = np.random.default_rng(seed).random((n, m)).astype(np.float32)
    costs = np.array(list(path_costs(cost)))
    least = costs.min()
    expected = least - gamma * math.log(np.exp(-(costs - least) / gamma).sum())
    assert soft_warp(cost, gamma) == pytest.approx(expected, abs=1e-5)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_without_smoothing_it_is_the_cheapest_path(n: int, m: int, seed: int) -> None:
    cost = np.random.default_rng(seed).random((n, m)).astype(np.float32)
    path, mean = warp(cost)
    assert soft_warp(cost, 1e-6) == pytest.approx(mean * len(path), abs=1e-3)
    assert soft_warp(cost, 1.0) <= mean * len(path) + 1e-6


def test_extreme_gammas_stay_finite() -> None:
    flat = np.full((200, 300), 2.0, np.float32)
    uneven = np.arange(600, dtype=np.float32).reshape(20, 30)
    for cost in (flat, uneven):
        for gamma in (5e-324, 1e-300, 1e-9, 1e3):
            assert math.isfinite(soft_warp(cost, gamma))


@pytest.mark.parametrize("gamma", [0.0, -1.0, math.nan, math.inf])
def test_a_gamma_that_means_nothing_is_refused(gamma: float) -> None:
    with pytest.raises(InputError, match="gamma"):
        soft_warp(np.zeros((2, 2), np.float32), gamma)


@pytest.mark.parametrize("cost", [np.zeros((0, 3)), np.full((2, 2), np.nan)])
def test_a_matrix_that_means_nothing_is_refused(cost: np.ndarray) -> None:
    with pytest.raises(InputError, match="cost matrix"):
        soft_warp(cost.astype(np.float32), 1.0)
