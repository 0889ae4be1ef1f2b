"""Step proposals cover the gold and follow its changes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from compare_material import STEP_SEC, execution

from sopilot.sop.segment import propose_steps


@pytest.mark.parametrize("count", [3, 5, 8])
def test_changes_become_steps(count: int) -> None:
    steps = propose_steps(execution(range(count), seed=4))
    starts = [s.span.start_sec for s in steps if s.span]
    assert len(steps) == count
    assert np.allclose(starts, [STEP_SEC * k for k in range(count)], atol=1.0)


@pytest.mark.parametrize("order", [[0], [0, 0, 0, 0], [0, 1], list(range(12))])
def test_proposals_cover_the_gold(order: list[int]) -> None:
    gold = execution(order, seed=4)
    spans = [s.span for s in propose_steps(gold) if s.span]
    assert spans[0].start_sec == 0.0
    assert spans[-1].end_sec == gold.duration_sec
    assert all(a.end_sec == b.start_sec for a, b in pairwise(spans))
    assert all(span.duration_sec > 1.0 for span in spans)


def test_long_gold_gets_longer_steps() -> None:
    gold = execution([k % 7 for k in range(60)], seed=4)
    assert len(propose_steps(gold)) <= 75
