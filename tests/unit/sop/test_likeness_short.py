"""Steps of few clips are less surely done otherwise, and proposed ones of very few not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compare_material import execution, marked, spans_of

from sopilot.core.records import Step
from sopilot.sop.judgement import judge
from sopilot.sop.learn import fit
from sopilot.sop.likeness import USUAL_CLIPS
from sopilot.sop.method import DEFAULT
from sopilot.sop.model import TaskModel, read


def _unlikeness(model: TaskModel, stretch: float) -> float:
    trainee = execution(range(5), seed=4, strange=1.2, strange_step=2, slot_stretch={2: stretch})
    return judge(model, trainee, read(model, trainee)).unlikeness


@pytest.fixture(scope="module")
def model() -> TaskModel:
    return fit([execution(range(5), versions=2)], marked(5), replace(DEFAULT, chunks=False))


def test_fewer_clips_are_less_unlike(model: TaskModel) -> None:
    usual, short = _unlikeness(model, 1.0), _unlikeness(model, 0.6)
    assert usual > 2.0
    assert short == pytest.approx(usual * (0.6 * 12 / USUAL_CLIPS) ** 0.5, rel=0.25)


def test_a_proposed_step_is_tested_unless_it_is_one_motion_or_very_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spans = spans_of(range(5), {2: 0.5})
    steps = [Step(index=k, span=span) for k, span in enumerate(spans)]
    gold = execution(range(5), versions=2, slot_stretch={2: 0.5})
    model = fit([gold], steps, replace(DEFAULT, chunks=False))
    proposed = replace(model, steps_are_marked=False)
    assert _unlikeness(proposed, 0.6) == 0.0  # the made-up steps change little: one motion
    monkeypatch.setattr("sopilot.sop.evidence.MOST_STEADY", 1.0)
    assert _unlikeness(proposed, 0.6) == _unlikeness(model, 0.6) > 1.0
    assert _unlikeness(model, 0.35) > 1.0
    assert _unlikeness(proposed, 0.35) < 0.5
