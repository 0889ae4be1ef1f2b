"""Still time before and after the work is no part of it; freezes hide work, but not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from compare_material import STEP_SEC, execution, filmed, marked, spans_of
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import VideoFeatures
from sopilot.sop.compare import compare_with
from sopilot.sop.comparison import Comparison, EventType
from sopilot.sop.learn import fit
from sopilot.sop.model import TaskModel
from sopilot.sop.score import total_score
from sopilot.sop.timing import (
    FREEZE_SEC,
    MOST_EDGE_SEC,
    MOST_EDGE_SHARE,
    quiet_level,
    work_of,
)

STEPS = 6
CLIPS = 12
"""Per slot of the usual length."""
LOOK = 50
"""What no step looks like."""


@pytest.fixture(scope="module")
def model() -> TaskModel:
    return fit([execution(range(STEPS), versions=2)], marked(STEPS))


def _told(found: Comparison) -> list[tuple[EventType, int | None, str | None]]:
    return [(f.type, f.step_index, f.detail) for f in found.findings]


@pytest.mark.parametrize(
    ("quiet", "first", "stop"),
    [
        ([0], CLIPS - 1, 8 * CLIPS),
        ([7], 0, 7 * CLIPS + 1),
        ([0, 7], CLIPS - 1, 7 * CLIPS + 1),
        ([0, 1, 6, 7], 2 * CLIPS - 1, 6 * CLIPS + 1),
        ([0, 3, 7], CLIPS - 1, 7 * CLIPS + 1),  # a pause inside stays
    ],
)
def test_a_still_head_and_tail_are_cut_and_times_stay(
    model: TaskModel, quiet: list[int], first: int, stop: int
) -> None:
    video = execution([LOOK, *range(STEPS), LOOK], seed=3, quiet=quiet)
    begin, work = work_of(model, video)
    assert begin == first
    assert np.array_equal(work.clip_spans, video.clip_spans[first:stop])
    assert np.array_equal(work.block("crop"), video.block("crop")[first:stop])
    assert (work.duration_sec, work.freezes) == (video.duration_sec, video.freezes)


@pytest.mark.parametrize("quiet", [[], range(STEPS), [2]])
def test_a_video_without_still_ends_or_without_movement_is_unchanged(
    model: TaskModel, quiet: Sequence[int]
) -> None:
    video = execution(range(STEPS), seed=3, quiet=quiet)
    assert work_of(model, video) == (0, video)


@settings(max_examples=30)
@given(energy=st.lists(st.integers(0, 100), min_size=1, max_size=STEPS * CLIPS))
def test_what_is_cut_hardly_moves(model: TaskModel, energy: list[int]) -> None:
    short = execution(range(STEPS)).clips(0, len(energy))
    video = replace(short, energy=np.array(energy, np.float32) / 1000)
    first, work = work_of(model, video)
    stop = first + work.clip_count
    assert np.array_equal(video.energy[first:stop], work.energy)
    cut = np.concatenate([video.energy[:first], video.energy[stop:]])
    assert (cut < quiet_level(model)).all()


def _still(slots: Sequence[int], order: Sequence[int], seconds: dict[int, float]) -> VideoFeatures:
    """An execution whose slots of other looks stand still, as an extraction of it leaves them."""
    lengths = {slot: seconds[slot] / STEP_SEC for slot in slots}
    video = execution(order, seed=3, slot_stretch=lengths)
    for slot in slots:
        video = filmed(video, spans_of(order, lengths)[slot])
    return video


@pytest.mark.parametrize("at_start", [True, False])
@pytest.mark.parametrize(("seconds", "is_found"), [(3.0, False), (9.0, False), (12.0, True)])
def test_a_freeze_outside_the_work_counts_only_where_it_is_long(
    model: TaskModel, at_start: bool, seconds: float, is_found: bool
) -> None:
    order = [LOOK, *range(STEPS)] if at_start else [*range(STEPS), LOOK]
    slot = 0 if at_start else STEPS
    found = compare_with(model, _still([slot], order, {slot: seconds}))
    step = 0 if at_start else STEPS - 1
    assert _told(found) == ([(EventType.FREEZE, step, None)] if is_found else [])
    assert (total_score(found) > 99.0) == (not is_found)
    assert (seconds > MOST_EDGE_SEC) == is_found


@pytest.mark.parametrize("at_start", [True, False])
@pytest.mark.parametrize(("seconds", "is_found"), [(6.0, False), (8.4, True)])
def test_a_freeze_that_is_much_of_a_short_video_counts(
    at_start: bool, seconds: float, is_found: bool
) -> None:
    few = range(3)
    model = fit([execution(few, versions=2)], marked(3))
    order = [LOOK, *few] if at_start else [*few, LOOK]
    slot = 0 if at_start else 3
    trainee = _still([slot], order, {slot: seconds})
    assert seconds < MOST_EDGE_SEC
    assert (seconds > MOST_EDGE_SHARE * trainee.duration_sec) == is_found
    found = {item.type for item in compare_with(model, trainee).findings}
    assert found == ({EventType.FREEZE} if is_found else set())


@pytest.mark.parametrize(
    ("order", "slot", "missing"),
    [
        ([LOOK, 1, 2, 3, 4, 5], 0, (EventType.MISSING_STEP, 0, "start")),
        ([0, 1, 2, 3, 4, LOOK], 5, (EventType.MISSING_STEP, 5, "tail")),
    ],
)
def test_a_freeze_at_an_end_counts_where_the_step_there_is_missing(
    model: TaskModel, order: list[int], slot: int, missing: tuple[EventType, int, str]
) -> None:
    told = _told(compare_with(model, _still([slot], order, {slot: 5.0})))
    assert missing in told
    assert [kind for kind, _, _ in told].count(EventType.FREEZE) == 1
    assert len(told) == 2


def test_a_step_missing_at_one_end_makes_no_freeze_at_the_other_a_finding(
    model: TaskModel,
) -> None:
    order = [LOOK, 0, 1, 2, 3, 4]
    told = _told(compare_with(model, _still([0], order, {0: 5.0})))
    assert told == [(EventType.MISSING_STEP, 5, "tail")]


@pytest.mark.parametrize("seconds", [FREEZE_SEC, 3.0, 5.0])
def test_a_freeze_inside_the_work_is_a_finding_however_short(
    model: TaskModel, seconds: float
) -> None:
    span = TimeSpan(2 * STEP_SEC, 2 * STEP_SEC + seconds)
    video = replace(execution(range(STEPS), seed=3), freezes=(span,))
    found = compare_with(model, video)
    assert _told(found) == [(EventType.FREEZE, 2, None)]
    assert found.findings[0].trainee_span == span
    assert found.findings[0].evidence == pytest.approx(seconds)


@pytest.mark.parametrize(("lead", "trail"), [(1, 0), (0, 1), (1, 1), (3, 2)])
def test_a_still_lead_in_is_no_pause_and_costs_nothing(
    model: TaskModel, lead: int, trail: int
) -> None:
    order = [*[LOOK] * lead, *range(STEPS), *[LOOK] * trail]
    quiet = [slot for slot, look in enumerate(order) if look == LOOK]
    found = compare_with(model, execution(order, seed=3, quiet=quiet))
    assert found.findings == ()
    assert found.path[0, 1] == max(0, lead * CLIPS - 1)
    starts = [span.start_sec for span in found.trainee_steps if span is not None]
    assert starts == pytest.approx([STEP_SEC * (lead + k) for k in range(STEPS)], abs=1.3)
