"""Framings: what a shift, a turn and a zoom of the close view do to picture and movement."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from embed_scenes import HEIGHT, SCENE, WIDTH, Picture
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sopilot.embed.crop import CROP_RATIO, seen_in_crop
from sopilot.embed.framing import AS_SEEN, READ_COUNT, STRENGTHS, Framing, draw_framings
from sopilot.embed.hog import EDGE_LENGTH, FLOW_BINS, FLOW_CELLS, FLOW_LENGTH
from sopilot.embed.rows import RowMaker
from sopilot.embed.windows import window_blocks

CENTRE = (WIDTH / 2, HEIGHT / 2)
SIDE = CROP_RATIO * HEIGHT
RNG = np.random.default_rng(4)
TEXTURE = cv2.GaussianBlur(RNG.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 2)
SWIRL = RNG.normal(0, 2, (HEIGHT, WIDTH, 2)).astype(np.float32)
WHOLE_CELLS = FLOW_CELLS**2 * FLOW_BINS


def spot(right_px: float, down_px: float, radius_px: int = 8) -> Picture:
    """A warm spot on grey, so far from the centre of the picture."""
    picture = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    at = (round(CENTRE[0] + right_px), round(CENTRE[1] + down_px))
    return np.asarray(cv2.circle(picture, at, radius_px, (30, 60, 200), -1), np.uint8)


def even_flow(right_px: float, down_px: float) -> NDArray[np.float32]:
    return np.broadcast_to(np.float32([right_px, down_px]), (HEIGHT, WIDTH, 2)).copy()


def spot_cells(tones: NDArray[np.int16]) -> NDArray[np.float64]:
    """(k, 2) x, y of the spot's cells in a tone map, relative to its middle."""
    y, x = np.nonzero(tones > (int(tones.max()) + int(tones.min())) / 2)
    return np.stack([x, y], axis=1) + 0.5 - len(tones) / 2


def direction_deg(vector: NDArray[np.float64]) -> float:
    return float(np.rad2deg(np.arctan2(vector[1], vector[0])))


def flow_vector(seen: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum of the direction bins of the movement, as x, y."""
    bins = seen[EDGE_LENGTH:][:WHOLE_CELLS].reshape(-1, FLOW_BINS).sum(axis=0)
    angles = np.arange(FLOW_BINS) * 2 * np.pi / FLOW_BINS
    return np.array([bins @ np.cos(angles), bins @ np.sin(angles)])


def flow_speeds(seen: NDArray[np.float32]) -> NDArray[np.float32]:
    return seen[EDGE_LENGTH + WHOLE_CELLS : EDGE_LENGTH + FLOW_LENGTH]


@pytest.mark.parametrize(
    ("turn_deg", "bin_index"), [(0, 0), (90, 2), (180, 4), (-90, 6), (45, 1), (-135, 5)]
)
def test_movement_to_the_right_falls_into_the_turned_bin(turn_deg: float, bin_index: int) -> None:
    seen, _ = seen_in_crop(TEXTURE, even_flow(2, 0), CENTRE, Framing(turn_deg=turn_deg))
    cells = seen[EDGE_LENGTH:][:WHOLE_CELLS].reshape(-1, FLOW_BINS)
    assert set(cells.argmax(axis=1)) == {bin_index}


@settings(max_examples=30, deadline=None)
@given(st.floats(-180, 180), st.floats(-180, 180))
def test_picture_and_movement_turn_together(turn_deg: float, from_deg: float) -> None:
    towards = np.array([np.cos(np.deg2rad(from_deg)), np.sin(np.deg2rad(from_deg))])
    picture, flow = spot(*(24 * towards)), even_flow(*(2 * towards))
    seen, tones = seen_in_crop(picture, flow, CENTRE, Framing(turn_deg=turn_deg))
    moved, placed = direction_deg(flow_vector(seen)), direction_deg(spot_cells(tones).mean(axis=0))
    for found in (moved, placed):
        off_deg = (found - from_deg - turn_deg + 180) % 360 - 180
        assert abs(off_deg) < 5


@pytest.mark.parametrize("log_zoom", [-0.3, -0.1, 0.0, 0.2, 0.4])
def test_zoom_scales_picture_and_movement(log_zoom: float) -> None:
    seen, tones = seen_in_crop(spot(0, 0, 20), even_flow(2, 1), CENTRE, Framing(log_zoom=log_zoom))
    side_cells = np.ptp(spot_cells(tones), axis=0) + 1
    assert side_cells == pytest.approx(np.exp(log_zoom) * 41 / SIDE * len(tones), abs=1.1)
    assert flow_speeds(seen) == pytest.approx(np.exp(log_zoom) * np.hypot(2, 1), rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_a_shift_is_another_centre(right_ratio: float, down_ratio: float) -> None:
    shifted = seen_in_crop(TEXTURE, SWIRL, CENTRE, Framing(right_ratio, down_ratio))
    centre = (CENTRE[0] + right_ratio * SIDE, CENTRE[1] + down_ratio * SIDE)
    for one, other in zip(shifted, seen_in_crop(TEXTURE, SWIRL, centre), strict=True):
        assert one.tobytes() == other.tobytes()


def test_the_view_as_seen_is_the_view_without_a_framing() -> None:
    framed = seen_in_crop(TEXTURE, SWIRL, CENTRE, Framing(0.0, 0.0, 0.0, 0.0))
    for one, other in zip(framed, seen_in_crop(TEXTURE, SWIRL, CENTRE), strict=True):
        assert one.tobytes() == other.tobytes()


def test_two_framings_of_a_pair_are_opposites() -> None:
    for first, second in zip(draw_framings()[::2], draw_framings()[1::2], strict=True):
        assert second == Framing(
            -first.right_ratio, -first.down_ratio, -first.turn_deg, -first.log_zoom
        )
        assert np.allclose(first.matrix @ second.matrix, np.eye(2))


def test_framings_are_drawn_the_same_at_every_call() -> None:
    assert draw_framings() == draw_framings()
    assert len(set(draw_framings())) == 2 * len(STRENGTHS)


def test_framings_stay_within_their_strengths_and_away_from_none() -> None:
    for number, framing in enumerate(draw_framings()):
        shift, turn, zoom = STRENGTHS[number // 2]
        drawn = (framing.right_ratio, framing.down_ratio, framing.turn_deg, framing.log_zoom)
        shares = np.abs(drawn) / (shift, shift, turn, zoom)
        assert shares.min() >= 0.5
        assert shares.max() <= 1.0


def test_the_framings_of_every_video_are_the_mildest() -> None:
    turns = [abs(framing.turn_deg) for framing in draw_framings()]
    assert max(turns[:READ_COUNT]) < min(turns[READ_COUNT:])


def maker_of(framings: Sequence[Framing]) -> RowMaker:
    """A row maker that took two seconds of the scene."""
    maker = RowMaker(framings)
    for picture in SCENE[:20]:
        maker.push(picture)
    maker.flush()
    return maker


def test_further_framings_leave_the_rest_of_a_row_as_it_is() -> None:
    plain, framed = maker_of((AS_SEEN,)), maker_of((AS_SEEN, *draw_framings()))
    one, other = (maker.rows.read(0, len(maker.rows)) for maker in (plain, framed))
    assert framed.framing_count == 9
    assert one["seen"].tobytes() == other["seen"][:, :1].tobytes()
    assert one["tone"].tobytes() == other["tone"][:, :1].tobytes()
    for name in ("lab", "motion"):
        assert one[name].tobytes() == other[name].tobytes()
    assert plain.track == framed.track


def test_every_framing_has_its_own_block_of_windows() -> None:
    framings = (AS_SEEN, draw_framings()[0], AS_SEEN)
    pieces = window_blocks(maker_of(framings).rows, len(framings))
    made = {name: np.concatenate(list(block.parts)) for name, block in pieces.items()}
    assert set(made) == {"layout", "scene", "crop", "crop~1", "crop~2"}
    assert made["crop"].tobytes() == made["crop~2"].tobytes()
    assert made["crop"].shape == made["crop~1"].shape
    assert not np.array_equal(made["crop"], made["crop~1"])
