"""Cases in which the comparison once was wrong: freezes beside still ends, short and cyclic steps,
thresholds that golds raise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from compare_material import STEP_SEC, execution, filmed, marked, spans_of, without

from sopilot.align.evidence import unit_rows
from sopilot.core.records import Step, StepKind
from sopilot.core.timespan import TimeSpan
from sopilot.sop.compare import compare_with
from sopilot.sop.comparison import EventType
from sopilot.sop.conformity import SLOW_SHARE, UNLIKE_SHARE, doubt
from sopilot.sop.interval import score_interval
from sopilot.sop.learn import fit
from sopilot.sop.method import Method
from sopilot.sop.residual import StepClips, step_distances
from sopilot.sop.score import total_score


@pytest.mark.parametrize("lead_sec", [0.6, 1.2, 3.0])
@pytest.mark.parametrize("at_start", [True, False])
def test_a_freeze_beside_a_still_end_lies_outside_the_work(at_start: bool, lead_sec: float) -> None:
    order = [50, 51, *range(6)] if at_start else [*range(6), 51, 50]
    still, frozen = (0, 1) if at_start else (7, 6)
    lengths = {still: lead_sec / STEP_SEC, frozen: 4.0 / STEP_SEC}
    video = execution(order, seed=3, slot_stretch=lengths, quiet=[still])
    trainee = filmed(video, spans_of(order, lengths)[frozen])
    model = fit([execution(range(6), versions=2)], marked(6))
    assert compare_with(model, trainee).findings == ()


def test_three_clips_of_the_same_video_have_nothing_to_be_held_against() -> None:
    rows = {"part": unit_rows(np.random.default_rng(1).normal(size=(3, 9)).astype(np.float32))}
    clips = [StepClips(0, range(3))]
    found = float(step_distances(rows, clips, rows, clips, same_video=True)[0, 0])
    assert np.isnan(found) or found < 0.5  # log(2.02) = 0.70 is "opposite", for every row


@pytest.mark.parametrize("clips", [3, 4])
def test_a_step_of_few_clips_that_is_done_otherwise_deviates(clips: int) -> None:
    lengths = {3: clips * 0.6 / STEP_SEC}
    steps = [Step(k, span=span) for k, span in enumerate(spans_of(range(6), lengths))]
    model = fit([execution(range(6), versions=2, slot_stretch=lengths)], steps)
    trainee = execution(range(6), seed=5, slot_stretch=lengths, strange=2.0, strange_step=3)
    told = [(f.type, f.step_index) for f in compare_with(model, trainee).findings]
    assert told == [(EventType.STEP_DEVIATION, 3)]


@pytest.mark.parametrize(("staged_sec", "cyclic_sec"), [(27.0, 2.4), (30.0, 1.8)])
def test_short_cyclic_steps_beside_a_long_staged_one_fit_into_their_own_gold(
    staged_sec: float, cyclic_sec: float
) -> None:
    lengths = {0: staged_sec / STEP_SEC} | {k: cyclic_sec / STEP_SEC for k in range(1, 6)}
    gold = execution(range(6), versions=1, slot_stretch=lengths, cyclic=range(1, 6))
    kinds = [StepKind.STAGED] + [StepKind.CYCLIC] * 5
    steps = [
        Step(k, span=span, kind=kinds[k]) for k, span in enumerate(spans_of(range(6), lengths))
    ]
    assert compare_with(fit([gold], steps), gold).findings == ()


def test_every_gold_of_a_calibrated_task_is_a_hundred() -> None:
    golds = [execution(range(6), seed=seed, versions=1) for seed in (1, 2)]
    golds.append(execution(range(6), seed=3, versions=1, strange=0.8, strange_step=2))
    model = fit(golds, marked(6))
    assert model.calibration.unlike_factor > 1.0
    for gold in golds:
        assert compare_with(model, gold).findings == ()


def test_without_leaving_one_out_nothing_is_calibrated() -> None:
    golds = [execution(range(4), seed=seed, versions=1) for seed in (1, 2, 3)]
    assert not fit(golds, marked(4), Method(calibrate=False)).calibration.is_calibrated


@pytest.mark.parametrize(
    ("order", "stretch", "told"),
    [
        ([0, 1, 1, 2, 3, 4, 5], {}, EventType.REPEATED_STEP),
        (range(6), {1: 2.0}, EventType.OVER_TIME),
        (range(6), {1: 2.6}, EventType.OVER_TIME),
    ],
)
def test_a_step_done_again_at_once_is_told_from_a_slow_one(
    order: list[int], stretch: dict[int, float], told: EventType
) -> None:
    model = fit([execution(range(6), versions=2)], marked(6))
    found = compare_with(model, execution(order, seed=4, stretch=stretch)).findings
    assert [(f.type, f.step_index) for f in found] == [(told, 1)]


@pytest.mark.parametrize(
    ("kind", "stretch", "is_told"),
    [
        (StepKind.STAGED, 1.75, True),
        (StepKind.STAGED, 1.6, True),
        (StepKind.STAGED, 1.5, False),
        (StepKind.CYCLIC, 1.6, False),
        (StepKind.CYCLIC, 1.75, True),
    ],
)
def test_a_staged_step_takes_too_long_sooner_than_a_cyclic_one(
    kind: StepKind, stretch: float, is_told: bool
) -> None:
    cyclic = range(6) if kind is StepKind.CYCLIC else ()
    steps = [replace(step, kind=kind) for step in marked(6)]
    model = fit([execution(range(6), versions=2, cyclic=cyclic)], steps)
    trainee = execution(range(6), seed=4, stretch={2: stretch}, cyclic=cyclic)
    told = [(f.type, f.step_index) for f in compare_with(model, trainee).findings]
    assert told == ([(EventType.OVER_TIME, 2)] if is_told else [])


@pytest.mark.parametrize("at", [1, 3])
def test_a_pause_that_looks_like_a_step_is_no_repetition_of_it(at: int) -> None:
    model = fit([execution(range(6), versions=2)], marked(6))
    order = [*range(at), 5, *range(at, 6)]
    moving, still = (execution(order, seed=4, quiet=quiet) for quiet in ([], [at]))
    again = compare_with(model, moving).findings
    assert [(f.type, f.step_index) for f in again] == [(EventType.REPEATED_STEP, 5)]
    [pause] = compare_with(model, still).findings
    assert (pause.type, pause.step_index, pause.detail) == (EventType.OVER_TIME, at - 1, "idle")
    assert pause.evidence == pytest.approx(STEP_SEC, abs=1.3)
    assert pause.gold_span == model.step_span(at - 1)
    assert pause.trainee_span.start_sec == pytest.approx(at * STEP_SEC, abs=1.3)


@pytest.mark.parametrize("at_start", [True, False])
@pytest.mark.parametrize(("lost_clips", "missing_count"), [(12, 1), (16, 1), (18, 2), (20, 2)])
def test_a_recording_that_cuts_into_a_step_lacks_it_where_half_is_gone(
    at_start: bool, lost_clips: int, missing_count: int
) -> None:
    model = fit([execution(range(6), versions=2)], marked(6))
    video = execution(range(6), seed=4)
    lost = (0, lost_clips) if at_start else (72 - lost_clips, 72)
    found = compare_with(model, without(video, *lost)).findings
    steps = range(missing_count) if at_start else range(6 - missing_count, 6)
    assert {f.type for f in found} == {EventType.MISSING_STEP}
    assert sorted(f.step_index or 0 for f in found) == list(steps)
    assert {f.detail for f in found} == {"start" if at_start else "tail"}


@pytest.mark.parametrize(("strange_step", "told"), [(1, False), (3, True)])
def test_what_a_late_start_hides_of_a_step_is_no_other_way_of_working(
    strange_step: int, told: bool
) -> None:
    model = fit([execution(range(6), versions=2)], marked(6))
    video = execution(range(6), seed=4, strange=1.2, strange_step=strange_step)
    found = compare_with(model, without(video, 0, 14)).findings
    expected = {(EventType.MISSING_STEP, 0)}
    if told:
        expected.add((EventType.STEP_DEVIATION, strange_step))
    assert {(f.type, f.step_index) for f in found} == expected


def test_doubt_grows_up_to_the_threshold_and_takes_little() -> None:
    levels = [doubt(share, 0.0) for share in (0.0, 0.2, 0.6, 0.99, 1.0, 3.0)]
    assert levels[0] == 1.0
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == levels[-2] == pytest.approx(1.0 - UNLIKE_SHARE)
    assert doubt(0.0, 2.0) == pytest.approx(1.0 - SLOW_SHARE)
    assert doubt(0.5, 0.5) == pytest.approx(doubt(0.5, 0.0) * doubt(0.0, 0.5))


@pytest.mark.parametrize(("kind", "costs"), [(StepKind.CYCLIC, True), (StepKind.STAGED, False)])
def test_a_motion_that_goes_on_nearly_too_long_is_in_doubt(kind: StepKind, costs: bool) -> None:
    cyclic = tuple(range(6)) if kind is StepKind.CYCLIC else ()
    steps = tuple(replace(step, kind=kind) for step in marked(6))
    model = fit([execution(range(6), versions=2, cyclic=cyclic)], steps)
    compared = [
        compare_with(model, execution(range(6), seed=4, cyclic=cyclic, stretch={2: stretch}))
        for stretch in (1.0, 1.25, 1.45)
    ]
    assert not any(item.findings for item in compared)
    usual, longer, nearly = (item.conformity for item in compared)
    assert (usual - nearly > 0.01) == costs
    assert (usual > longer > nearly) or not costs


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("versions", [0, 1])
def test_a_gold_of_one_short_step_is_comparable_with_itself(seed: int, versions: int) -> None:
    gold = execution([0], seed=seed, slot_stretch={0: 2.4 / STEP_SEC}, versions=versions)
    model = fit([gold], [Step(0, span=TimeSpan(1.2, 2.4))])
    assert compare_with(model, gold).is_comparable


def test_the_interval_knows_that_unlikeness_varies_between_recordings() -> None:
    model = fit([execution(range(6), versions=2)], marked(6))
    steady, near = (execution(range(6), seed=5, strange=s, strange_step=3) for s in (0.0, 0.4))
    assert compare_with(model, near).findings == ()
    lows = [score_interval(model, video, total_score, seed=1)[0] for video in (steady, near)]
    assert lows[0] > 90.0
    assert lows[1] < 70.0
