"""The interval: contains the score, narrow for the gold itself, the same at every call."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from compare_material import execution, marked

from sopilot.align.edits import EditKind
from sopilot.sop.compare import compare_with
from sopilot.sop.interval import score_interval, smooth_noise
from sopilot.sop.learn import fit
from sopilot.sop.model import TaskModel
from sopilot.sop.order import nats_strength
from sopilot.sop.score import total_score


@pytest.fixture(scope="module")
def model() -> TaskModel:
    return fit([execution(range(4), versions=2)], marked(4))


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [0, 2, 1, 3], [0, 1, 3]])
def test_interval_contains_the_score(model: TaskModel, order: list[int]) -> None:
    trainee = execution(order, seed=3)
    low, high = score_interval(model, trainee, total_score, seed=5)
    assert 0.0 <= low <= total_score(compare_with(model, trainee)) <= high <= 100.0


def test_gold_against_itself_is_narrow(model: TaskModel) -> None:
    low, high = score_interval(model, model.golds[0].features, total_score, seed=5)
    assert high == 100.0
    assert low >= 90.0


def test_same_seed_same_interval(model: TaskModel) -> None:
    trainee = execution([0, 2, 1, 3], seed=3, noise=1.0)
    first = score_interval(model, trainee, total_score, seed=5)
    assert score_interval(model, trainee, total_score, 5, compare_with(model, trainee)) == first


def test_noise_is_smooth_and_standard() -> None:
    noise = smooth_noise((4001, 3), np.random.default_rng(0))
    assert noise[::4].std() == pytest.approx(1.0, abs=0.05)
    assert np.abs(np.diff(noise, n=2, axis=0)[::4]).max() < 1e-9


@pytest.mark.parametrize("kind", get_args(EditKind))
def test_more_evidence_never_weakens(kind: EditKind) -> None:
    strengths = [nats_strength(kind, nats) for nats in range(0, 120, 3)]
    assert strengths == sorted(strengths)
    assert strengths[-1] == 1.0
