"""Adaptation keeps what proves to help on held-out golds, and the old model else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from compare_material import HOP_SEC, execution, marked

from sopilot.embed.base import VideoFeatures
from sopilot.sop.adapt import MOST_EXECUTIONS, Proof, adapt, arranged, is_better
from sopilot.sop.compare import compare_with
from sopilot.sop.method import Method

STEPS = 5
GOLDS = tuple(execution(range(STEPS), seed=k, versions=1) for k in (1, 2))


def shaky(seed: int) -> VideoFeatures:
    """A good execution of a person who does every step a little differently."""
    return execution(range(STEPS), seed=seed, noise=0.7, stretch={seed % STEPS: 1.3})


def reason(golds: Sequence[VideoFeatures], confirmed: Sequence[VideoFeatures]) -> str:
    return adapt(golds, confirmed, marked(STEPS)).reason


def test_without_anything_new_or_to_hold_out_the_golds_model_stays() -> None:
    assert reason(GOLDS, []) == "nothing_new"
    assert reason(GOLDS[:1], [shaky(7)]) == "too_few_golds"
    kept = adapt(GOLDS, [], marked(STEPS), version=4)
    assert (kept.version, kept.execution_count, kept.is_adopted) == (4, 2, False)


def test_executions_that_take_doubt_away_are_adopted_and_find_as_much() -> None:
    far = tuple(execution(range(STEPS), seed=k, versions=1, noise=0.6) for k in (1, 2))
    found = adapt(far, [shaky(k) for k in (11, 12, 13)], marked(STEPS), version=4)
    assert found.before is not None
    assert found.after is not None
    assert found.after.found_count >= found.before.found_count
    assert found.is_adopted == (found.reason == "helps")
    assert (found.version, found.execution_count) == ((5, 5) if found.is_adopted else (4, 2))
    assert compare_with(found.model, far[0]).findings == ()


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [
        (Proof(0.5, 0, 9, 9), Proof(0.4, 0, 9, 9), True),
        (Proof(0.5, 0, 9, 9), Proof(0.49, 0, 9, 9), False),
        (Proof(0.0, 0, 9, 9), Proof(0.0, 0, 9, 9), False),
        (Proof(0.5, 1, 9, 9), Proof(0.6, 0, 9, 9), True),
        (Proof(0.5, 0, 9, 9), Proof(0.1, 1, 9, 9), False),
    ],
)
def test_fewer_alarms_count_first_then_less_doubt(
    before: Proof, after: Proof, better: bool
) -> None:
    assert is_better(before, after) is better


@pytest.mark.parametrize("order", [[0, 1, 3, 4], [0, 2, 1, 3, 4]])
def test_executions_with_a_step_missing_or_elsewhere_teach_nothing(order: list[int]) -> None:
    broken = [execution(order, seed=k) for k in (11, 12, 13)]
    assert reason(GOLDS, broken) == "nothing_new"


def test_the_same_executions_give_the_same_key_and_no_more_than_ten_take_part() -> None:
    many = [shaky(k) for k in range(20, 32)]
    first, again = (
        adapt(GOLDS, many[:n], marked(STEPS), method=Method(calibrate=False)) for n in (12, 8)
    )
    assert first.key == again.key
    assert first.execution_count <= MOST_EXECUTIONS


def test_what_is_in_use_is_kept_unless_more_is_better() -> None:
    far = tuple(execution(range(STEPS), seed=k, versions=1, noise=0.6) for k in (1, 2))
    more = [shaky(k) for k in (11, 12, 13)]
    kept = adapt(far, more, marked(STEPS), version=4, adopted_count=3)
    assert (kept.reason, kept.version, kept.execution_count) == ("nothing_new", 4, 5)


def test_arranged_clips_lie_on_a_time_line_of_their_own() -> None:
    video = GOLDS[0]
    made = arranged(video, [5, 6, 7, 0, 1])
    assert np.array_equal(made.block("crop"), video.block("crop")[[5, 6, 7, 0, 1]])
    assert made.clip_spans[:, 0] == pytest.approx(np.arange(5) * HOP_SEC)
    assert made.duration_sec == pytest.approx(made.clip_spans[-1, 1])
