"""Histograms and maps on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from sopilot.embed.activity import Activity, FlowMeter, activity_of, common_centre
from sopilot.embed.crop import (
    FOREGROUND_LENGTH,
    TONE_SIDE,
    TONE_STEPS,
    foreground,
    tone_level,
    tone_of,
)
from sopilot.embed.hog import (
    EDGE_BINS,
    EDGE_LENGTH,
    FLOW_BINS,
    FLOW_CELLS,
    FLOW_LENGTH,
    edge_histogram,
    flow_histogram,
)
from sopilot.embed.layout import CELLS, COLUMNS, background_of, layout_of, occupancy


@pytest.mark.parametrize(("axis", "expected_bin"), [(1, 0), (0, 4)])
def test_edges_fall_into_the_bin_of_their_direction(axis: int, expected_bin: int) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 64), (64, 64)).astype(np.uint8)
    bins = edge_histogram(ramp if axis == 1 else ramp.T.copy()).reshape(-1, EDGE_BINS)
    assert bins.sum(axis=0).argmax() == expected_bin


def test_an_empty_picture_has_no_edges_and_noise_stays_below_a_real_edge() -> None:
    flat = np.full((64, 64), 40, np.uint8)
    noisy = flat + np.random.default_rng(0).integers(0, 2, flat.shape, np.uint8)
    edge = flat.copy()
    edge[:, 32:] = 160
    assert edge_histogram(flat).shape == (EDGE_LENGTH,)
    assert np.allclose(edge_histogram(flat), 0)
    assert edge_histogram(noisy).max() < 0.3 * edge_histogram(edge).max()


@pytest.mark.parametrize(("x", "y", "direction"), [(2, 0, 0), (0, 2, 2), (-2, 0, 4), (0, -2, 6)])
def test_movement_falls_into_its_signed_direction(x: int, y: int, direction: int) -> None:
    flow = np.zeros((32, 32, 2), np.float32)
    flow[..., 0], flow[..., 1] = x, y
    histogram = flow_histogram(flow)
    cells = histogram[: FLOW_CELLS**2 * FLOW_BINS].reshape(-1, FLOW_BINS)
    assert histogram.shape == (FLOW_LENGTH,)
    assert set(cells.argmax(axis=1)) == {direction}
    assert histogram[-(FLOW_CELLS**2) :] == pytest.approx(2.0, rel=1e-3)


def test_activity_is_where_the_patch_moves_and_a_flat_rest_is_not_believed() -> None:
    rng = np.random.default_rng(1)
    patch = rng.integers(0, 255, (24, 24), np.uint8)
    before = np.full((108, 192), 30, np.uint8)
    after = before.copy()
    before[30:54, 120:144], after[30:54, 123:147] = patch, patch
    flow = FlowMeter().residual(before, after)
    found = activity_of(flow)
    assert (found.x_px, found.y_px) == pytest.approx((133, 42), abs=8)
    assert not flow[80:, :60].any()


def test_without_movement_the_centre_is_the_middle() -> None:
    assert common_centre([Activity(0.0, 0.0, 0.0)] * 7, 192, 108) == (96.0, 54.0)


def test_foreground_is_what_is_warmer_than_the_scene() -> None:
    sample = np.full((4, 36, 64, 3), (120, 128, 128), np.uint8)
    sample[:, :, 40:] = (110, 150, 150)
    level = tone_level(sample)
    tones = np.zeros((1, TONE_SIDE, TONE_SIDE), np.int16)
    tones[:, :, : TONE_SIDE // 2] = (tone_of(sample[0, 0, 0]) - 3) * TONE_STEPS
    tones[:, :, TONE_SIDE // 2 :] = tone_of(sample[0, 0, 63]) * TONE_STEPS
    cells = foreground(tones, level).reshape(12, 12)
    assert cells.size == FOREGROUND_LENGTH
    assert cells[:, :6].max() < 0.2 < 0.8 < cells[:, 6:].min()


def test_occupancy_marks_what_is_not_background() -> None:
    labs = np.full((9, 36, 64, 3), 100, np.uint8)
    labs[4, :4, :4, 0] = 220
    cells = occupancy(labs, background_of(labs))
    assert cells.shape == (9, CELLS)
    assert cells[4, 0] == 1
    assert cells.sum() == 1


def test_layout_blurs_into_neighbouring_cells_only() -> None:
    occupied = np.zeros((1, 8, CELLS), np.float32)
    occupied[:, :, 4 * COLUMNS + 8] = 1
    mean = layout_of(occupied, np.zeros_like(occupied))[0, :CELLS].reshape(9, 16)
    assert mean.sum() == pytest.approx(1, abs=1e-3)
    assert mean[4, 8] == mean.max()
    assert np.allclose(mean[:, :3], 0)
