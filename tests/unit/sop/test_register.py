"""A camera that stands a little elsewhere is found by moving the layout; nothing else is moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compare_material import STEP_SEC, execution, marked
from numpy.typing import NDArray

from sopilot.align.evidence import ClassView, fit_view
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.embed.layout import CELLS, COLUMNS, LAYOUT_LENGTH, ROWS, moved
from sopilot.sop.compare import compare_with
from sopilot.sop.learn import fit
from sopilot.sop.model import TaskModel, read
from sopilot.sop.register import LAYOUT, STILL, is_mirrored, registered

Rows = NDArray[np.float32]
STEPS, CLIPS = 5, 12
PLACES = [(4.0, 3.0), (11.0, 3.5), (7.5, 4.5), (4.5, 5.5), (10.5, 5.0)]
"""Where the hands are in each step: column and row of the grid, away from its edges."""


def _layout(places: list[tuple[float, float]], seed: int, noise: float = 0.01) -> Rows:
    """(n, LAYOUT_LENGTH): a blob that wanders round its step's place."""
    rng = np.random.default_rng(seed)
    across, down = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
    rows = []
    for column, row in places:
        for clip in range(CLIPS):
            angle = 2 * np.pi * clip / CLIPS
            x, y = column + 0.8 * np.cos(angle), row + 0.6 * np.sin(angle)
            blob = np.exp(-((across - x) ** 2 + (down - y) ** 2) / 2.0).ravel()
            rows.append(np.concatenate([blob, 0.5 * blob, 0.8 * blob]))
    clean = np.array(rows)
    return (clean + noise * rng.normal(size=clean.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def view() -> ClassView:
    recordings = [_layout(PLACES, seed) for seed in (1, 2)]
    labels = np.repeat(np.arange(STEPS), CLIPS)
    return fit_view(recordings, [labels, labels], STEPS)


@pytest.mark.parametrize(
    "move",
    [(1, 0), (0, 1), (-1, -1), (2, 0), (0, -2), (2, -1), (0.5, 0), (0, -0.5), (1.5, 0.5), (-2, 1)],
)
def test_the_opposite_of_the_cameras_move_is_found(
    view: ClassView, move: tuple[float, float]
) -> None:
    shown = moved(_layout(PLACES, 3), *move)
    rows, found = registered(LAYOUT, view, shown)
    assert found == (-move[0], -move[1])
    assert np.array_equal(rows, moved(shown, *found))


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1])
def test_a_camera_that_did_not_move_stays(view: ClassView, noise: float) -> None:
    shown = _layout(PLACES, 3, noise)
    rows, found = registered(LAYOUT, view, shown)
    assert found == STILL
    assert rows is shown


def test_a_layout_of_other_work_is_not_bent_to_fit(view: ClassView) -> None:
    noise = np.random.default_rng(5).normal(size=(40, LAYOUT_LENGTH)).astype(np.float32)
    assert registered(LAYOUT, view, noise)[1] == STILL


@pytest.mark.parametrize(("name", "width"), [("crop", LAYOUT_LENGTH), (LAYOUT, CELLS), (LAYOUT, 1)])
def test_other_views_and_other_widths_are_left_alone(
    view: ClassView, name: str, width: int
) -> None:
    shown = moved(_layout(PLACES, 3), 1, 0)[:, :width]
    rows, found = registered(name, view, shown)
    assert rows is shown
    assert found == STILL


def _filmed(seed: int, move: tuple[float, float] = (0, 0), versions: int = 0) -> VideoFeatures:
    """An execution of the steps with a layout beside its crop."""
    video = execution(range(STEPS), seed=seed, versions=versions)
    assert video.clip_count == STEPS * CLIPS
    blocks = {name: video.blocks[name] for name in video.blocks}
    blocks[LAYOUT] = moved(_layout(PLACES, seed), *move)
    for version in range(1, versions + 1):
        blocks[f"{LAYOUT}@{version}"] = _layout(PLACES, 100 * seed + version, 0.03)
    return replace(video, blocks=Blocks(blocks))


@pytest.fixture(scope="module")
def model() -> TaskModel:
    return fit([_filmed(1, versions=2)], marked(STEPS))


@pytest.mark.parametrize(
    ("move", "cells"), [((0, 0), 0.0), ((1, 0), 1.0), ((0.5, -1.5), 1.5), ((-2, 1), 2.0)]
)
def test_a_reading_says_how_far_the_camera_stands_off(
    model: TaskModel, move: tuple[float, float], cells: float
) -> None:
    reading = read(model, _filmed(3, move))
    assert reading.camera_cells == cells
    assert reading.confidences[LAYOUT] > 0.85


@pytest.mark.parametrize("move", [(0, 0), (1, 0), (0.5, -1.5), (-2, 1)])
def test_good_work_before_a_moved_camera_has_no_finding(
    model: TaskModel, move: tuple[float, float]
) -> None:
    found = compare_with(model, _filmed(3, move))
    assert found.findings == ()
    assert found.is_comparable
    spans = [span for span in found.trainee_steps if span is not None]
    assert [span.start_sec for span in spans] == pytest.approx(
        [STEP_SEC * step for step in range(STEPS)], abs=1.0
    )


def test_a_mirrored_layout_is_seen_and_the_video_itself_is_not() -> None:
    rng = np.random.default_rng(4)
    scenes = np.abs(rng.normal(size=(6, LAYOUT_LENGTH))).astype(np.float32)
    rows = np.repeat(scenes, 8, axis=0) + 0.1 * rng.normal(size=(48, LAYOUT_LENGTH)).astype(
        np.float32
    )
    view = fit_view([rows], [np.repeat(np.arange(6), 8)], 6)
    turned = np.ascontiguousarray(rows.reshape(-1, COLUMNS)[:, ::-1]).reshape(rows.shape)
    assert is_mirrored(view, turned)
    assert not is_mirrored(view, rows)
    assert not is_mirrored(view, rows[:, :20])
