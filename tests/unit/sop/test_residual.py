"""How far a step is from the golds: what all steps share is taken off, the nearest gold counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compare_material import execution
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sopilot.align.evidence import unit_rows
from sopilot.sop.residual import (
    DISTANCE_FLOOR,
    LEAST_CLIPS,
    MORE_GOLDS_SPREAD,
    MOST_REPEATS,
    NEARER_SHARE,
    NEAREST_USUAL,
    OUTCOME_FROM,
    OUTCOME_WEIGHT,
    SPREAD,
    StepClips,
    excess,
    part_rows,
    repeats_alike,
    step_distances,
    trusted,
    unlikeness,
)

NOTHING = float(np.log(DISTANCE_FLOOR))
"""The log distance of equal rows."""
Rows = NDArray[np.float32]


def _rows(count: int, seed: int = 1) -> Rows:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, 12)).astype(np.float32))


def _distance(gold: Rows, other: Rows, own: range, clips: range, same_video: bool = False) -> float:
    found = step_distances(
        {"part": gold}, [StepClips(0, own)], {"part": other}, [StepClips(0, clips)], same_video
    )
    assert found.shape == (1, 1)
    return float(found[0, 0])


def test_equal_clips_have_no_distance() -> None:
    rows = _rows(10)
    assert _distance(rows, rows, range(10), range(10)) == pytest.approx(NOTHING, abs=1e-4)


def test_in_the_same_video_no_clip_is_held_against_itself() -> None:
    rows = _rows(10)
    products = rows @ rows.T
    near = np.abs(np.arange(10)[:, None] - np.arange(10)[None]) <= 3  # three tenths of the step
    np.fill_diagonal(near, False)
    expected = np.log(1.0 - np.where(near, products, -1.0).max(axis=0) + DISTANCE_FLOOR).mean()
    found = _distance(rows, rows, range(10), range(10), same_video=True)
    assert found == pytest.approx(float(expected), abs=1e-5)
    assert found > NOTHING + 1.0


def test_in_the_same_video_a_moment_is_known_by_its_place_in_the_video() -> None:
    rows = _rows(20)
    alone = _distance(rows, rows, range(0, 10), range(10, 20), same_video=True)
    assert alone == _distance(rows, rows, range(0, 10), range(10, 20))


def test_what_the_gold_shows_must_be_shown_and_more_may_be() -> None:
    rows, strange = _rows(10), _rows(10, 5)
    more = np.stack([rows, strange], axis=1).reshape(20, -1)
    assert _distance(rows, more, range(10), range(20)) == pytest.approx(NOTHING, abs=1e-4)
    less = _distance(rows, rows[[0, 1, 2, 3, 0, 1, 2, 3, 2, 3]], range(10), range(10))
    assert less > NOTHING + 1.0


def test_only_clips_at_about_the_same_share_of_the_step_are_compared() -> None:
    rows = _rows(10)
    turned = rows[::-1]
    middle = slice(4, 6)
    far = _distance(rows, turned, range(10), range(10))
    assert far > NOTHING + 1.0
    same = rows.copy()
    same[middle] = turned[middle]
    assert _distance(rows, same, range(10), range(10)) == pytest.approx(NOTHING, abs=1e-4)


@pytest.mark.parametrize("count", [15, 20, 40])
def test_pace_makes_no_distance(count: int) -> None:
    gold = unit_rows(np.linspace([1, 0, 0], [0, 1, 1], 20).astype(np.float32))
    slow = unit_rows(np.linspace([1, 0, 0], [0, 1, 1], count).astype(np.float32))
    assert _distance(gold, slow, range(20), range(count)) < NOTHING + 0.1


@pytest.mark.parametrize(
    ("own", "clips", "known"),
    [
        (range(LEAST_CLIPS), range(LEAST_CLIPS), True),
        (range(LEAST_CLIPS - 1), range(9), False),
        (range(9), range(LEAST_CLIPS - 1), False),
        (range(9), range(0), False),
    ],
)
def test_very_short_steps_say_nothing(own: range, clips: range, known: bool) -> None:
    assert np.isfinite(_distance(_rows(9), _rows(9, 2), own, clips)) == known


def test_a_step_that_the_gold_has_not_says_nothing() -> None:
    rows = {"part": _rows(9)}
    found = step_distances(rows, [StepClips(0, range(9))], rows, [StepClips(4, range(9))])
    assert np.isnan(found).all()


def test_parts_come_centred_on_the_video_and_of_length_one() -> None:
    video = execution(range(3), versions=1, place=4.0)
    rows = part_rows(video)
    assert set(rows) == {"crop"}
    assert np.linalg.norm(rows["crop"], axis=1) == pytest.approx(1.0, abs=1e-5)
    moved = part_rows(execution(range(3), versions=1, place=-2.0))
    assert np.allclose(rows["crop"], moved["crop"], atol=0.02)


def test_rows_of_a_rerecording_and_rows_given_instead() -> None:
    video = execution(range(3), versions=1)
    again, own = part_rows(video, "@1"), part_rows(video)
    assert not np.allclose(again["crop"], own["crop"], atol=0.02)
    shown = part_rows(video, shown={"crop": video.block("crop@1")})
    assert np.array_equal(shown["crop"], again["crop"])
    assert part_rows(video, "@2") == {}


tables = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).normal(size=(5, 6)))
shares = st.lists(st.floats(-3, 3), min_size=5, max_size=5).map(np.array)


@given(tables, tables, shares)
def test_what_all_steps_share_is_no_excess(
    distances: NDArray[np.float64], nulls: NDArray[np.float64], shared: NDArray[np.float64]
) -> None:
    moved = excess(distances + shared[:, None] - nulls)
    assert moved == pytest.approx(excess(distances - nulls), abs=1e-9)


def test_one_step_beyond_the_others_is_left_with_its_excess() -> None:
    distances = np.full((2, 5), -1.5)
    distances[1, 3] += 0.8
    nulls = np.full((2, 5), -2.0)
    expected = np.zeros((2, 5))
    expected[1, 3] = 0.8
    assert excess(distances - nulls) == pytest.approx(expected)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_steps_have_no_excess(count: int) -> None:
    table = np.random.default_rng(1).normal(size=(4, count))
    assert not excess(table).any()


def test_what_is_unknown_stays_unknown_and_measures_nothing() -> None:
    distances = np.array([[1.0, 2.0, np.nan, 4.0], [np.nan] * 4])
    found = excess(distances)
    assert found[0] == pytest.approx([-2.0, -0.5, np.nan, 2.5], nan_ok=True)
    assert np.isnan(found[1]).all()


PARTS = ("edges", "movement", "place", "rhythm", "motion")
SPREADS = np.array([SPREAD[name] for name in PARTS])


def beyond(**columns: list[float]) -> NDArray[np.float64]:
    """(5 parts, 5 steps) in units of the parts' spreads, 0 but for the columns s0 .. s4."""
    table = np.zeros((5, 5))
    for name, values in columns.items():
        table[:, int(name[1:])] = values
    return table * SPREADS[:, None]


def test_unlikeness_is_the_mean_of_the_four_largest_parts() -> None:
    table = beyond(s0=[0.1, 0.5, 0.3, 0.7, -0.9], s1=[0.0, 0.0, 0.0, 0.0, np.nan])
    expected = np.array([0.4, 0.0, 0.0, 0.0, 0.0])
    assert unlikeness([table], PARTS) == pytest.approx(expected)
    assert unlikeness([table, table], PARTS) == pytest.approx(expected / MORE_GOLDS_SPREAD)


def test_parts_that_are_nearer_than_elsewhere_are_no_unlikeness() -> None:
    table = beyond(s0=[-0.5] * 5, s1=[0.1, -0.5, -0.5, -0.5, -0.5])
    assert not unlikeness([table], PARTS)[:2].any()


def test_the_gold_that_is_most_alike_decides_for_each_step() -> None:
    one, other = beyond(s0=[0.5] * 5), beyond(s1=[0.7] * 5)
    assert not unlikeness([one, other], PARTS).any()
    other = beyond(s0=[0.3] * 5, s1=[0.7] * 5)
    found = unlikeness([one, other], PARTS)
    assert found[:2] == pytest.approx([0.3 / MORE_GOLDS_SPREAD, 0.0])


def test_what_is_nearer_than_good_work_in_every_part_is_not_unlike() -> None:
    near = beyond(s0=[-0.1] * 5) - 0.2 + beyond(s1=[-1.0] * 5)
    assert not unlikeness([near], PARTS).any()
    uneven = np.full((5, 5), -2.0)
    uneven[:, 0] = -0.1
    assert not unlikeness([uneven], PARTS).any()
    uneven[0, 0] = 0.1
    assert unlikeness([uneven], PARTS)[0] > 1.0


def test_how_near_the_other_steps_of_a_copy_are_counts_less() -> None:
    step = [0.1, -0.05, -0.4, -0.1, -0.3]
    copied = np.full((5, 5), -1.5)
    copied[:, 0] = step
    nearest = np.array([NEAREST_USUAL[name] for name in PARTS])
    usual = -1.5 + NEARER_SHARE * (nearest + 1.5)
    expected = np.sort((step - usual) / SPREADS)[1:].mean()
    assert unlikeness([copied], PARTS)[0] == pytest.approx(expected)
    unnamed = tuple(f"block {name}" for name in PARTS)
    assert unlikeness([copied], unnamed)[0] > expected + 0.5


def test_what_is_left_behind_counts_beyond_the_other_steps() -> None:
    table = beyond(s0=[0.4] * 5)
    left = np.array([0.1, 0.1, 0.1 + OUTCOME_FROM + 0.5, np.nan, 0.1 - 2.0])
    more = unlikeness([table], PARTS, [left]) - unlikeness([table], PARTS)
    assert more == pytest.approx([0.0, 0.0, OUTCOME_WEIGHT * 0.5, 0.0, 0.0])


def test_the_gold_that_leaves_the_same_behind_decides() -> None:
    table = np.zeros((5, 5))
    other, same = np.array([2.0, 0, 0, 0, 0]), np.zeros(5)
    assert unlikeness([table, table], PARTS, [other, other])[0] > 1.0
    assert not unlikeness([table, table], PARTS, [other, same]).any()


def test_parts_of_motion_are_ignored_where_movement_cannot_be_compared() -> None:
    # Motion alone in the first step, looks alone in the second.
    table = beyond(s0=[0.0, 2.0, 0.0, 2.0, 2.0], s1=[2.0, 0.0, 2.0, 0.0, 0.0])
    with_motion, without = (unlikeness([table], PARTS, with_motion=w) for w in (True, False))
    assert with_motion[:2] == pytest.approx([1.5, 1.0])
    assert without[:2] == pytest.approx([0.0, 2.0])


@given(st.lists(tables, min_size=2, max_size=4), tables)
def test_one_gold_more_never_makes_a_step_more_unlike(
    golds: list[NDArray[np.float64]], more: NDArray[np.float64]
) -> None:
    assert (unlikeness([*golds, more], PARTS) <= unlikeness(golds, PARTS)).all()


@pytest.mark.parametrize(
    ("gold", "other", "alike"),
    [(0.0, 0.0, True), (0.0, MOST_REPEATS, True), (0.3, 0.2, False), (0.2, 0.3, False)],
)
def test_cameras_that_repeat_frames_as_often_are_alike(
    gold: float, other: float, alike: bool
) -> None:
    video = execution(range(2))
    one, two = (replace(video, repeat_ratio=ratio) for ratio in (gold, other))
    assert repeats_alike(one, two) is alike


def test_a_null_is_drawn_half_way_to_the_mean_of_its_part() -> None:
    nulls = np.array([[-2.0, -1.0, np.nan, -3.0], [np.nan] * 4])
    found = trusted(nulls)
    assert found[0] == pytest.approx([-2.0, -1.5, np.nan, -2.5], nan_ok=True)
    assert np.isnan(found[1]).all()
