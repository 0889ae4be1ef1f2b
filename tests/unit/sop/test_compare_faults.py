"""Cases in which the comparison once was wrong: freezes beside still ends, short and cyclic steps,
thresholds that golds raise."""

from __future__ import annotations

import numpy as np
import pytest
from compare_material import STEP_SEC, execution, filmed, marked, spans_of

from sopilot.align.evidence import unit_rows
from sopilot.core.records import Step, StepKind
from sopilot.sop.compare import compare_with
from sopilot.sop.comparison import EventType
from sopilot.sop.learn import fit
from sopilot.sop.method import Method
from sopilot.sop.residual import StepClips, step_distances


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
