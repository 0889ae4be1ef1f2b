"""What a step leaves behind is found beside hands that come and go, and held against the gold's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sopilot.sop.outcome import (
    FLOOR,
    GAINS,
    MOST_CHANGE,
    SceneTrack,
    change_distance,
    marked_changes,
    outcome_distances,
)
from sopilot.sop.residual import StepClips

CLIPS, STEP_CLIPS = 36, 12
STEPS = tuple(StepClips(k, range(k * STEP_CLIPS, (k + 1) * STEP_CLIPS)) for k in range(3))
LAMP, OTHER_LAMP = (60, -40, 30), (60, 40, -30)
TABLE = np.random.default_rng(3).integers(80, 160, (18, 32, 3)).astype(np.int16)
Pictures = NDArray[np.uint8]


def film(
    lamp: tuple[int, int, int] | None = LAMP,
    *,
    row: int = 6,
    column: int = 12,
    at: int = STEP_CLIPS + 7,
    until: int = CLIPS,
    seed: int = 1,
) -> Pictures:
    """A table with noise, on which a lamp two pixels wide is lit in the middle of step 1, and over
    which an arm works: in step 1 at the lamp, else elsewhere, at rest below in between."""
    rng = np.random.default_rng(seed)
    pictures = TABLE + rng.integers(-1, 2, (CLIPS, 18, 32, 3))
    if lamp is not None:
        pictures[at:until, row : row + 2, column : column + 2] += np.array(lamp)
    for clip in range(CLIPS):
        working = 3 <= clip % STEP_CLIPS < 9
        left = (2, 10, 24)[clip // STEP_CLIPS]
        rows = slice(4, 18) if working else slice(14, 18)
        columns = slice(left, left + 5) if working else slice(18, 22)
        pictures[clip, rows, columns] = (40, 150, 160)
    return np.clip(pictures, 0, 255).astype(np.uint8)


def changes_of(pictures: Pictures) -> dict[int, NDArray[np.float32]]:
    return dict(marked_changes(SceneTrack(pictures), STEPS))


def distances(gold: Pictures, trainee: Pictures) -> NDArray[np.float64]:
    """Lab units per step."""
    found = outcome_distances(changes_of(gold), SceneTrack(trainee), STEPS)
    return np.asarray(np.exp(found) - FLOOR)


def test_a_lamp_is_left_by_its_step_and_an_arm_by_none() -> None:
    sizes = {step: np.linalg.norm(change, axis=-1) for step, change in changes_of(film()).items()}
    assert sizes[1].max() > 15.0
    assert np.unravel_index(sizes[1].argmax(), sizes[1].shape)[0] in (6, 7)
    assert sizes[0].max() < 3.0
    assert sizes[2].max() < 3.0


def test_the_same_work_leaves_the_same() -> None:
    assert distances(film(), film(seed=2)).max() < 2.5


@pytest.mark.parametrize("lamp", [None, OTHER_LAMP])
def test_work_that_leaves_nothing_or_something_else_is_far(
    lamp: tuple[int, int, int] | None,
) -> None:
    found = distances(film(), film(lamp, seed=2))
    assert found[1] > 12.0
    assert max(found[0], found[2]) < 2.5


def test_what_the_gold_does_not_leave_is_far_as_well() -> None:
    assert distances(film(None), film(seed=2))[1] > 12.0


def test_what_is_left_elsewhere_is_far() -> None:
    assert distances(film(), film(column=20, row=2, seed=2))[1] > 12.0


def test_a_camera_that_stands_a_little_elsewhere_is_forgiven() -> None:
    assert distances(film(), film(column=13, seed=2))[1] < 4.0


def test_weaker_light_is_forgiven() -> None:
    dim = tuple(round(0.7 * value) for value in LAMP)
    assert 0.7 > GAINS[0]
    assert distances(film(), film((dim[0], dim[1], dim[2]), seed=2))[1] < 3.5


def test_light_that_changes_everywhere_is_no_change() -> None:
    brighter = film(None).astype(np.int16)
    brighter[STEP_CLIPS + 6 :] += 20
    found = changes_of(brighter.astype(np.uint8))
    assert all(np.linalg.norm(change, axis=-1).max() < 3.0 for change in found.values())


def test_what_does_not_last_is_no_change() -> None:
    flash = changes_of(film(until=2 * STEP_CLIPS + 1))
    assert np.linalg.norm(flash[1], axis=-1).max() < 3.0


def test_what_an_arm_covers_for_a_while_is_still_left_behind() -> None:
    covered = film(seed=2)
    covered[2 * STEP_CLIPS + 2 : 2 * STEP_CLIPS + 7, 4:10, 10:16] = (40, 150, 160)
    assert distances(film(), covered)[1] < 3.0
    nothing = film(None, seed=2)
    nothing[2 * STEP_CLIPS + 2 : 2 * STEP_CLIPS + 7, 4:10, 10:16] = (40, 150, 160)
    assert distances(film(), nothing)[1] > 12.0


@pytest.mark.parametrize("off", [-1, 1, 2])
def test_a_boundary_found_a_little_off_changes_nothing(off: int) -> None:
    steps = [
        StepClips(0, range(0, STEP_CLIPS + off)),
        StepClips(1, range(STEP_CLIPS + off, 2 * STEP_CLIPS)),
        StepClips(2, range(2 * STEP_CLIPS, CLIPS)),
    ]
    found = outcome_distances(changes_of(film()), SceneTrack(film(seed=2)), steps)
    assert (np.exp(found) - FLOOR).max() < 3.0


def test_distance_is_never_more_than_the_largest_change() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        one, other = rng.normal(0, 40, (2, 18, 32, 3)).astype(np.float32)
        one, other = (
            c * np.minimum(1, MOST_CHANGE / np.linalg.norm(c, axis=-1, keepdims=True))
            for c in (one, other)
        )
        assert 0.0 <= change_distance(one, [other]) <= MOST_CHANGE + 1e-3
        assert change_distance(one, [one]) == pytest.approx(0.0, abs=1e-2)
        assert change_distance(one, [other, one]) == pytest.approx(0.0, abs=1e-2)


def test_without_pictures_or_step_nothing_is_known() -> None:
    known = changes_of(film())
    assert marked_changes(None, STEPS) == {}
    assert np.isnan(outcome_distances(known, None, STEPS)).all()
    strange = [*STEPS[:2], StepClips(7, range(24, 36)), StepClips(2, range(30, 30))]
    found = outcome_distances(known, SceneTrack(film()), strange)
    assert np.isnan(found).tolist() == [False, False, True, True]


def test_a_video_of_one_clip_has_no_change() -> None:
    track = SceneTrack(film()[:1])
    assert not track.change(0, 1).any()
