"""A video of something else gets no verdict and its record says so; other good work gets one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from compare_material import WIDTH, execution, marked
from record_examples import IDS, ORIGIN, PROFILE

from sopilot.core.records import Step
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.sop.compare import (
    LEAST_COMPARABILITY,
    LEAST_LIKENESS,
    compare_with,
    is_comparable,
)
from sopilot.sop.comparison import Comparison
from sopilot.sop.learn import fit
from sopilot.sop.model import TaskModel
from sopilot.sop.result import build_result
from sopilot.sop.schemas import ScoreResult

STEPS = 6


@pytest.fixture(scope="module", params=[marked(STEPS), None], ids=["marked", "proposed"])
def model(request: pytest.FixtureRequest) -> TaskModel:
    steps: tuple[Step, ...] | None = request.param
    return fit([execution(range(STEPS), versions=2)], steps)


def _record(found: Comparison) -> ScoreResult:
    return build_result(found, PROFILE, ids=IDS, origin=ORIGIN)


def _unlike(kind: str) -> VideoFeatures:
    """Videos that show nothing of the task: other steps, noise, hardly a change."""
    if kind == "other task":
        return execution(range(STEPS), seed=5, task=9)
    if kind == "noise":
        return execution(range(STEPS), seed=5, noise=30.0)
    steps = execution(range(STEPS), seed=5)
    rng = np.random.default_rng(5)
    still = 0.5 + 0.001 * rng.normal(size=(steps.clip_count, WIDTH))
    return VideoFeatures(
        steps.producer,
        steps.clip_spans,
        Blocks({"crop": still}),
        steps.energy,
        (),
        steps.duration_sec,
    )


@pytest.mark.parametrize("kind", ["other task", "noise", "still"])
def test_another_video_is_not_comparable_and_gets_no_verdict(model: TaskModel, kind: str) -> None:
    found = compare_with(model, _unlike(kind))
    assert not found.is_comparable
    summary = _record(found).summary
    assert (summary.decision, summary.decision_basis) == ("needs_review", "not_comparable")
    assert summary.score_band == "needs_review"


@pytest.mark.parametrize("kind", ["other task", "noise", "still"])
def test_the_summary_of_another_video_tells_no_score(model: TaskModel, kind: str) -> None:
    summary = _record(compare_with(model, _unlike(kind))).summary
    assert summary.comment_en.startswith("No verdict: the video cannot be compared")
    assert summary.comment_ja.startswith("判定できません")


@pytest.mark.parametrize("kind", ["other task", "noise", "still"])
def test_the_record_of_another_video_carries_what_was_measured(model: TaskModel, kind: str) -> None:
    found = compare_with(model, _unlike(kind))
    record = _record(found)
    assert record.is_comparable is False
    assert record.likeness == pytest.approx(found.likeness, abs=1e-4)
    assert record.comparability == pytest.approx(found.comparability, abs=1e-4)
    assert not (record.comparability >= LEAST_COMPARABILITY and record.likeness >= LEAST_LIKENESS)


@pytest.mark.parametrize("seed", [2, 3, 4])
@pytest.mark.parametrize("noise", [0.25, 0.6, 1.0])
def test_a_good_execution_is_comparable_and_passes(
    model: TaskModel, seed: int, noise: float
) -> None:
    found = compare_with(model, execution(range(STEPS), seed=seed, noise=noise, place=3.0))
    assert found.is_comparable
    summary = _record(found).summary
    assert (summary.decision, summary.decision_basis) == ("pass", "score_above_threshold")


@pytest.mark.parametrize(
    "order", [[0, 1, 3, 4, 5], [0, 2, 1, 3, 4, 5], [0, 1, 5, 3, 4, 5], [3, 4, 5], [0, 1, 2]]
)
def test_defective_work_is_comparable_and_judged(model: TaskModel, order: list[int]) -> None:
    found = compare_with(model, execution(order, seed=3))
    assert found.is_comparable
    assert _record(found).summary.decision in ("needs_review", "retrain", "fail")
    assert _record(found).summary.decision_basis != "not_comparable"


@pytest.mark.parametrize(
    ("comparability", "likeness", "expected"),
    [
        (LEAST_COMPARABILITY, LEAST_LIKENESS, True),
        (1.1, 1.2, True),
        (math.nextafter(LEAST_COMPARABILITY, 0), 1.0, False),
        (1.0, math.nextafter(LEAST_LIKENESS, 0), False),
        (0.0, 0.0, False),
    ],
)
def test_both_levels_must_be_reached(comparability: float, likeness: float, expected: bool) -> None:
    assert is_comparable(comparability, likeness) is expected
