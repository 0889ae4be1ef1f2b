"""The comparison on made-up executions: every difference is found where it is, and no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compare_material import HOP_SEC, STEP_SEC, execution, marked

from sopilot.core.errors import BadSteps, ProducerMismatch
from sopilot.core.records import Producer, Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.sop.compare import compare, compare_with
from sopilot.sop.comparison import Comparison, EventType
from sopilot.sop.learn import fit
from sopilot.sop.model import TaskModel
from sopilot.sop.score import total_score

STEPS = 6


@pytest.fixture(scope="module")
def gold() -> VideoFeatures:
    return execution(range(STEPS), versions=2)


@pytest.fixture(scope="module")
def model(gold: VideoFeatures) -> TaskModel:
    return fit([gold], marked(STEPS))


def _told(found: Comparison) -> list[tuple[EventType, int | None, str | None]]:
    return [(f.type, f.step_index, f.detail) for f in found.findings]


@pytest.mark.parametrize("steps", [marked(STEPS), None])
def test_gold_matches_itself_clip_by_clip(
    gold: VideoFeatures, steps: tuple[Step, ...] | None
) -> None:
    found = compare([gold], gold, steps)
    assert found.findings == ()
    assert found.conformity == 1.0
    assert found.normalized_cost == pytest.approx(0.0, abs=1e-6)
    assert (found.path[:, 0] == found.path[:, 1]).all()
    assert len(found.path) == gold.clip_count
    assert found.structural.order_violation_ratio == 0.0


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_good_execution_has_no_finding(model: TaskModel, seed: int) -> None:
    trainee = execution(range(STEPS), seed=seed, place=5.0, stretch={2: 1.2, 4: 0.85})
    found = compare_with(model, trainee)
    assert found.findings == ()
    assert found.conformity > 0.97
    assert found.comparability > 0.8


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([0, 2, 3, 4, 5], [(EventType.MISSING_STEP, 1, "inner")]),
        ([1, 2, 3, 4, 5], [(EventType.MISSING_STEP, 0, "start")]),
        ([0, 1, 2, 3, 4], [(EventType.MISSING_STEP, 5, "tail")]),
        ([0, 2, 1, 3, 4, 5], [(EventType.ORDER_SWAP, 1, None)]),
        ([0, 4, 2, 3, 1, 5], [(EventType.ORDER_SWAP, 1, None)]),
        ([0, 1, 5, 3, 4, 5], [(EventType.STEP_DEVIATION, 2, None)]),
        ([0, 1, 2, 3, 1, 4, 5], [(EventType.REPEATED_STEP, 1, None)]),
    ],
)
def test_order_differences_are_named(
    model: TaskModel, order: list[int], expected: list[tuple[EventType, int, str | None]]
) -> None:
    found = compare_with(model, execution(order, seed=7))
    assert _told(found) == expected
    assert all(0.0 < f.strength <= 1.0 for f in found.findings)


@pytest.mark.parametrize(
    ("order", "slot_stretch", "expected"),
    [
        ([0, 1, 3, 4, 5], {}, (EventType.MISSING_STEP, None)),
        ([0, 1, 3, 4, 5], {1: 1.8, 2: 1.8}, (EventType.MISSING_STEP, EventType.STEP_DEVIATION)),
        ([0, 1, 3, 4, 5], {1: 2.2}, (EventType.MISSING_STEP, EventType.STEP_DEVIATION)),
        ([0, 1, 50, 3, 4, 5], {}, (EventType.STEP_DEVIATION, EventType.MISSING_STEP)),
        ([0, 1, 5, 3, 4, 5], {}, (EventType.STEP_DEVIATION, None)),
    ],
)
def test_what_the_evidence_does_not_tell_apart_is_named_as_well(
    model: TaskModel,
    order: list[int],
    slot_stretch: dict[int, float],
    expected: tuple[EventType, EventType | None],
) -> None:
    found = compare_with(model, execution(order, seed=7, slot_stretch=slot_stretch))
    told = [(f.type, f.alternative) for f in found.findings if f.step_index == 2]
    assert told == [expected]


def test_spans_point_at_both_videos(model: TaskModel) -> None:
    swap = compare_with(model, execution([0, 2, 1, 3, 4, 5], seed=7)).findings[0]
    assert swap.other_step_index == 2
    assert swap.gold_span.as_list() == pytest.approx([STEP_SEC, 3 * STEP_SEC])
    assert swap.trainee_span.iou(swap.gold_span) > 0.85
    missing = compare_with(model, execution([0, 1, 3, 4, 5], seed=7)).findings[0]
    assert missing.gold_span.as_list() == pytest.approx([2 * STEP_SEC, 3 * STEP_SEC])
    assert missing.trainee_span.centre_sec == pytest.approx(2 * STEP_SEC, abs=2.5)


def test_missing_step_was_done_nowhere(model: TaskModel) -> None:
    found = compare_with(model, execution([0, 2, 3, 4, 5], seed=7))
    spans = found.trainee_steps
    assert spans[1] is None
    assert [k for k, span in enumerate(spans) if span is not None] == [0, 2, 3, 4, 5]


def test_path_is_monotone_inside_every_executed_step(model: TaskModel) -> None:
    found = compare_with(model, execution([0, 2, 1, 3, 4, 5], seed=7))
    rows = found.path
    starts = found.gold_clips.mean(axis=1)[rows[:, 0]] // STEP_SEC
    for step in range(STEPS):
        inside = rows[starts == step]
        assert len(inside)
        assert (np.diff(inside, axis=0) >= 0).all()


@pytest.mark.parametrize("factor", [2.2, 3.0])
def test_long_step_is_over_time(model: TaskModel, factor: float) -> None:
    found = compare_with(model, execution(range(STEPS), seed=8, stretch={3: factor}))
    assert _told(found) == [(EventType.OVER_TIME, 3, "dwell")]
    assert found.findings[0].evidence == pytest.approx(factor, rel=0.2)


def test_limit_of_a_step_counts_before_the_rule(gold: VideoFeatures) -> None:
    steps = [replace(s, max_duration_sec=8.0 if s.index == 2 else None) for s in marked(STEPS)]
    trainee = execution(range(STEPS), seed=8, stretch={2: 1.3})
    assert _told(compare([gold], trainee, steps)) == [(EventType.OVER_TIME, 2, "dwell")]
    assert compare([gold], trainee, marked(STEPS)).findings == ()


def test_pause_without_movement_is_idle(model: TaskModel) -> None:
    trainee = execution(range(STEPS), seed=9, quiet=[2])
    assert _told(compare_with(model, trainee)) == [(EventType.OVER_TIME, 2, "idle")]


def test_freeze_is_told_with_its_step(model: TaskModel) -> None:
    trainee = execution(range(STEPS), seed=9, freezes=[TimeSpan(16.0, 20.0)])
    found = compare_with(model, trainee)
    assert _told(found) == [(EventType.FREEZE, 2, None)]
    assert found.findings[0].trainee_span == TimeSpan(16.0, 20.0)


def test_freeze_of_the_gold_is_no_finding() -> None:
    still = execution(range(STEPS), versions=2, freezes=[TimeSpan(16.0, 20.0)])
    assert compare([still], still, marked(STEPS)).findings == ()


def test_step_done_differently_deviates(model: TaskModel) -> None:
    trainee = execution(range(STEPS), seed=5, strange=1.1, strange_step=3)
    found = compare_with(model, trainee)
    assert _told(found) == [(EventType.STEP_DEVIATION, 3, None)]


@pytest.mark.parametrize("strange", [1.1, 2.0, 4.0, 5.5, 7.0, 8.0, 10.0])
def test_stranger_step_is_never_judged_milder(model: TaskModel, strange: float) -> None:
    mild, wild = (
        compare_with(model, execution(range(STEPS), seed=5, strange=s, strange_step=3))
        for s in (strange, strange * 1.1)
    )
    assert (EventType.STEP_DEVIATION, 3, None) in _told(wild)
    assert total_score(wild) <= total_score(mild) + 0.5


def test_what_one_gold_shows_is_no_deviation(gold: VideoFeatures) -> None:
    other = execution(range(STEPS), seed=21, versions=2, strange=1.1, strange_step=3)
    trainee = execution(range(STEPS), seed=5, strange=1.1, strange_step=3)
    assert compare([gold, other], trainee, marked(STEPS)).findings == ()


def test_another_task_shows_hardly_any_step(model: TaskModel) -> None:
    found = compare_with(model, execution(range(STEPS), seed=5, task=9))
    missing = {f.step_index for f in found.findings if f.type is EventType.MISSING_STEP}
    assert found.comparability < 0.45
    assert len(missing) >= STEPS // 2
    assert total_score(found) < 30.0


def test_scaling_the_features_changes_nothing(gold: VideoFeatures) -> None:
    def scaled(video: VideoFeatures) -> VideoFeatures:
        blocks = {name: video.blocks[name] * np.float32(8) for name in video.blocks}
        return replace(video, blocks=Blocks(blocks))

    trainee = execution([0, 2, 1, 3, 4, 5], seed=7)
    plain = compare([gold], trainee, marked(STEPS))
    other = compare([scaled(gold)], scaled(trainee), marked(STEPS))
    assert _told(plain) == _told(other)
    assert np.array_equal(plain.path, other.path)
    assert other.conformity == pytest.approx(plain.conformity, abs=1e-3)


def test_comparing_twice_gives_equal_results(gold: VideoFeatures) -> None:
    trainee = execution([0, 1, 3, 4, 5], seed=7)
    first, second = (compare([gold], trainee, marked(STEPS)) for _ in range(2))
    assert first.findings == second.findings
    assert first.conformity == second.conformity
    assert first.path.tobytes() == second.path.tobytes()


def test_unmarked_time_between_steps_is_no_step(gold: VideoFeatures) -> None:
    steps = tuple(s for s in marked(STEPS) if s.index != 3)
    assert compare([gold], execution(range(STEPS), seed=3), steps).findings == ()
    found = compare([gold], execution([0, 1, 2, 4, 5], seed=3), steps)
    assert EventType.MISSING_STEP not in {f.type for f in found.findings}


def test_steps_without_times_keep_their_names(gold: VideoFeatures) -> None:
    names = tuple(Step(index=k, name_en=f"step {k}") for k in range(STEPS))
    found = compare([gold], gold, names)
    assert [s.name_en for s in found.steps] == [f"step {k}" for k in range(STEPS)]
    starts = [s.span.start_sec for s in found.steps if s.span]
    assert np.allclose(starts, [STEP_SEC * k for k in range(STEPS)], atol=1.5 * HOP_SEC)
    assert found.steps_source == "proposed"


def test_short_trainee_is_compared(model: TaskModel) -> None:
    found = compare_with(model, execution([0], seed=3, stretch={0: 0.2}))
    missing = {f.step_index for f in found.findings if f.type is EventType.MISSING_STEP}
    assert len(missing) >= STEPS - 1


@pytest.mark.parametrize("step_sec", [0.05])
def test_step_without_a_clip_is_refused(gold: VideoFeatures, step_sec: float) -> None:
    steps = [Step(index=0, span=TimeSpan(1.0, 1.0 + step_sec))]
    with pytest.raises(BadSteps, match="shorter"):
        fit([gold], steps)


def test_more_names_than_clips_are_refused(gold: VideoFeatures) -> None:
    with pytest.raises(BadSteps, match="do not fit"):
        fit([gold], [Step(index=k) for k in range(gold.clip_count + 1)])


def test_other_producer_is_refused(model: TaskModel) -> None:
    trainee = replace(execution(range(STEPS)), producer=Producer("made-up", "2"))
    with pytest.raises(ProducerMismatch, match="ingest both"):
        compare_with(model, trainee)
