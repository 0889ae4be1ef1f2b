"""Classifier of clips: tells classes apart, ignores scale and place, is deterministic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.align.evidence import (
    EvidenceSettings,
    class_scores,
    fit_view,
    log_shares,
    place,
    principal_axes,
)


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


SCORES = np.random.default_rng(0).normal(size=(9, 4)) * 3
ODD = st.integers(0, 6).map(lambda half: 2 * half + 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12), ODD, st.floats(1e-6, 1.0), st.floats(0.1, 300.0))
def test_log_shares_are_probabilities_with_a_floor(
    seed: int, clips: int, smooth_clips: int, floor: float, spread: float
) -> None:
    scores = np.random.default_rng(seed).normal(size=(clips, 4)) * spread
    shares = log_shares(scores, EvidenceSettings(smooth_clips=smooth_clips, floor=floor))
    assert np.allclose(np.exp(shares).sum(axis=1), 1.0)
    assert shares.min() >= np.log(floor / 4) - 1e-9


def test_without_smoothing_and_floor_scores_stay_as_they_are() -> None:
    before = SCORES.copy()
    shares = log_shares(SCORES, EvidenceSettings(smooth_clips=1, floor=0.0))
    gaps = shares - SCORES
    assert np.allclose(gaps, gaps[:, :1])
    assert np.array_equal(SCORES, before)


@pytest.mark.parametrize("smooth_clips", [3, 5, 7])
def test_smoothing_takes_the_mean_over_so_many_clips(smooth_clips: int) -> None:
    half = smooth_clips // 2
    single = EvidenceSettings(smooth_clips=1)
    means = SCORES.copy()
    for clip in range(half, len(SCORES) - half):
        means[clip] = SCORES[clip - half : clip + half + 1].mean(axis=0)
    smoothed = log_shares(SCORES, EvidenceSettings(smooth_clips=smooth_clips))
    assert np.allclose(smoothed, log_shares(means, single))
    assert np.array_equal(smoothed[:half], log_shares(SCORES, single)[:half])


@pytest.mark.parametrize(("clips", "smooth_clips"), [(1, 3), (2, 3), (4, 5)])
def test_too_few_clips_are_not_smoothed(clips: int, smooth_clips: int) -> None:
    few = SCORES[:clips]
    smoothed = log_shares(few, EvidenceSettings(smooth_clips=smooth_clips))
    assert np.array_equal(smoothed, log_shares(few, EvidenceSettings(smooth_clips=1)))


def test_the_floor_is_shared_out_over_the_classes() -> None:
    plain, floored, even = (
        np.exp(log_shares(SCORES, EvidenceSettings(floor=floor))) for floor in (0.0, 0.2, 1.0)
    )
    assert np.allclose(floored, 0.8 * plain + 0.2 / 4)
    assert np.allclose(even, 1 / 4)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_median_share_levels_what_a_class_has_all_along(share: float) -> None:
    gold, labels = _recording(1)
    view = fit_view([gold], [labels], 4)
    settings = EvidenceSettings(lda_share=0.0, cosine_gain=8.0, median_share=share)
    scores, cosines = class_scores(view, place(view, _recording(2)[0][:30]), settings)
    medians = np.median(cosines, axis=0)
    left = np.median(scores / 8.0, axis=0)
    assert np.allclose(left, medians - share * (medians - medians.mean()), atol=1e-5)
    assert np.ptp(left) == pytest.approx((1 - share) * np.ptp(medians), abs=1e-5)
    assert np.ptp(medians) > 0.1


def test_the_discriminant_counts_by_its_share() -> None:
    gold, labels = _recording(1)
    view = fit_view([gold], [labels], 4)
    points = place(view, _recording(2)[0])
    none, one, two = (
        class_scores(view, points, EvidenceSettings(lda_share=share))[0] for share in (0.0, 1, 2)
    )
    assert np.allclose(one - none, points @ view.weights + view.offsets, rtol=1e-3, atol=1e-2)
    assert np.allclose(two - none, 2 * (one - none), rtol=1e-3, atol=1e-2)
