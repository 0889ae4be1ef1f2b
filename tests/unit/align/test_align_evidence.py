"""Classifier of clips: tells classes apart, ignores scale and place, is deterministic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.align.evidence import class_scores, fit_view, log_shares, place, principal_axes


def _recording(seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), 12)
    centres = np.random.default_rng(99).normal(size=(4, 30)) * 2
    rows = centres[labels] + rng.normal(size=(48, 30)) * 0.5 + shift
    return rows.astype(np.float32), labels


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100), st.floats(-50, 50))
def test_classes_are_recognised_in_another_place(seed: int, shift: float) -> None:
    gold, labels = _recording(seed)
    other, truth = _recording(seed + 1, shift)
    view = fit_view([gold], [labels], 4)
    scores, _ = class_scores(view, place(view, other))
    assert (scores.argmax(axis=1) == truth).mean() > 0.95


@pytest.mark.parametrize("factor", [0.01, 7.0, 1000.0])
def test_scaling_the_features_changes_nothing(factor: float) -> None:
    gold, labels = _recording(1)
    other, _ = _recording(2)
    plain = fit_view([gold], [labels], 4)
    scaled = fit_view([gold * np.float32(factor)], [labels], 4)
    before, _ = class_scores(plain, place(plain, other))
    after, _ = class_scores(scaled, place(scaled, other * np.float32(factor)))
    assert np.allclose(before, after, atol=0.02)


def test_fitting_twice_gives_equal_bytes() -> None:
    gold, labels = _recording(5)
    first, second = (fit_view([gold], [labels], 4) for _ in range(2))
    assert first.axes.tobytes() == second.axes.tobytes()
    assert first.weights.tobytes() == second.weights.tobytes()


def test_still_video_has_axes_and_finite_scores() -> None:
    rows, labels = np.ones((6, 5), np.float32), np.array([0, 0, 0, 1, 1, 1])
    view = fit_view([rows], [labels], 2)
    scores, _ = class_scores(view, place(view, rows))
    assert np.isfinite(scores).all()


def test_axes_are_orthonormal() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)
    axes = principal_axes(rows, 8)
    assert np.allclose(axes.T @ axes, np.eye(8), atol=1e-4)


def test_log_shares_are_probabilities_with_a_floor() -> None:
    shares = log_shares(np.random.default_rng(0).normal(size=(9, 4)) * 100)
    assert np.allclose(np.exp(shares).sum(axis=1), 1.0)
    assert shares.min() >= np.log(0.005 / 4) - 1e-9
