"""Change points: found where the material changes, within the allowed lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.align.change_points import cut_count_free, cut_into, kernel_sums, uniform_cuts


def _sums(lengths: list[int], noise: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(sum(lengths))
    centres = np.eye(len(lengths)) * 3
    rows = np.repeat(centres, lengths, axis=0)
    rows = rows + rng.normal(size=rows.shape) * noise
    gaps = rows[:, None] - rows[None]
    return kernel_sums((gaps**2).sum(axis=2).astype(np.float32))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(8, 20), min_size=2, max_size=5))
def test_clear_changes_are_found(lengths: list[int]) -> None:
    truth = [0, *np.cumsum(lengths).tolist()]
    assert cut_into(_sums(lengths), len(lengths), 3).tolist() == truth
    assert cut_count_free(_sums(lengths), 4, 40, 2.0).tolist() == truth


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 5.0))
def test_lengths_stay_in_bounds(seed: int, penalty: float) -> None:
    distances = np.random.default_rng(seed).random((60, 60)).astype(np.float32)
    cuts = cut_count_free(kernel_sums(distances + distances.T), 5, 14, penalty)
    lengths = np.diff(cuts)
    assert (cuts[0], cuts[-1]) == (0, 60)
    assert lengths.min() >= 5
    assert lengths.max() <= 14


@pytest.mark.parametrize(("count", "wanted"), [(10, 1), (10, 3), (7, 7), (23, 4)])
def test_uniform_cuts_are_even(count: int, wanted: int) -> None:
    lengths = np.diff(uniform_cuts(count, wanted))
    assert len(lengths) == wanted
    assert lengths.max() - lengths.min() <= 1


def test_impossible_bounds_fall_back_to_uniform() -> None:
    assert cut_count_free(_sums([5, 4]), 6, 7, 1.0).tolist() == [0, 9]
