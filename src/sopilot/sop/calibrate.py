"""The operating point of a task with three golds or more: what good executions need there.

Every gold in turn is compared with the others, as if it were a trainee. The largest evidence that
it gives against itself, and the largest unlikeness, are what an evidence of a defect has to exceed
in this task. With fewer golds the fixed thresholds hold: what one gold's own re-recordings predict
is no better (docs/scoring.md 4). Called by `sop.learn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_GOLDS = 3
MOST_FACTOR = 2.0
"""A task whose golds differ more than this is not for a machine to judge: the remarks remain."""
SPREADS = 2.0
"""Standard deviations above the mean of the golds that a good execution may reach; beyond it lie
2.3 % of a normal distribution. A prediction bound for a sample of three would be 3.4 and hide a
third of the defects that are found otherwise (benchmarks/verdicts)."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One gold compared with the others. nats: largest evidence of any edit, prices not taken off,
    scaled to a trainee of no special likeness. unlikeness: of its most unlike step."""

    nats: float
    unlikeness: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Factors >= 1 on the method's prices and unlikeness thresholds.

    held_out_count: golds that were compared with the others; 0 = the fixed thresholds hold.
    """

    gold_count: int
    held_out_count: int = 0
    price_factor: float = 1.0
    unlike_factor: float = 1.0

    @property
    def is_calibrated(self) -> bool:
        """Whether the operating point comes from leaving one gold out."""
        return self.held_out_count >= LEAST_GOLDS

    @property
    def golds_missing(self) -> int:
        """How many more golds a calibration needs, >= 0."""
        return max(0, LEAST_GOLDS - self.gold_count)


UNCALIBRATED = Calibration(1)


def calibration(
    gold_count: int, held_out: Sequence[HeldOut], price: float, unlike: float
) -> Calibration:
    """From every gold left out to the task's factors.

    price: nats an edit costs; unlike: unlikeness from which a step deviates. Thresholds only ever
    rise, since golds are recorded with more care than trainees.
    """
    if len(held_out) < LEAST_GOLDS:
        return Calibration(gold_count)
    nats = _bound([item.nats for item in held_out]) / price
    unlikeness = _bound([item.unlikeness for item in held_out]) / unlike
    factors = np.clip([nats, unlikeness], 1.0, MOST_FACTOR).tolist()
    return Calibration(gold_count, len(held_out), *factors)


def _bound(values: Sequence[float]) -> float:
    return float(np.mean(values) + SPREADS * np.std(values, ddof=1))
