"""Score of a comparison: 100 x product of (1 - loss of each finding) x conformity.

Pure. Called by `sop.result`, and by `sop.interval` through `total_score` for every replicate.
A finding more, a stronger one, or less conformity never raises the score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.profile import Weights

WeightName = Literal["w_miss", "w_swap", "w_dev", "w_time"]

FULL_LOSS: Mapping[EventType, float] = MappingProxyType(
    {
        EventType.MISSING_STEP: 0.45,
        EventType.FREEZE: 0.45,
        EventType.REPEATED_STEP: 0.45,
        EventType.ORDER_SWAP: 0.42,
        EventType.STEP_DEVIATION: 0.42,
        EventType.OVER_TIME: 0.20,
        EventType.EXTRA_ACTION: 0.20,
    }
)
"""P0: share of the score that a finding of strength 1 takes at default weights.
Source: docs/scoring.md 5; efficiency types 0.20 likewise."""

WEIGHT_OF: Mapping[EventType, WeightName] = MappingProxyType(
    {
        EventType.MISSING_STEP: "w_miss",
        EventType.FREEZE: "w_miss",
        EventType.ORDER_SWAP: "w_swap",
        EventType.STEP_DEVIATION: "w_dev",
        EventType.REPEATED_STEP: "w_dev",
        EventType.EXTRA_ACTION: "w_dev",
        EventType.OVER_TIME: "w_time",
    }
)
"""The weight that scales the loss of a type; source: docs/scoring.md 5."""

LEAST_CONFORMITY = 1e-4
"""What conformity 0 counts as: the score is then below 0.01 and the shares stay finite."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score with its loss shared out, all in points rounded to hundredths.

    finding_points: one per finding of the comparison, in its order. The finding points and
    conformity_points sum to 100 - total exactly (in hundredths).
    """

    total: float
    finding_points: tuple[float, ...]
    conformity_points: float
    weight_points: Mapping[WeightName, float]

    @property
    def loss_points(self) -> float:
        """100 - total."""
        return round(100.0 - self.total, 2)


def finding_loss_nats(finding: Finding, weights: Weights) -> float:
    """-ln(1 - p_e) >= 0 with p_e = 1 - (1 - P0 x strength)^(w / w0).

    weights need not be normalised. Source: docs/scoring.md 5.
    """
    name = WEIGHT_OF[finding.type]
    share: float = getattr(weights.normalised(), name)
    default: float = getattr(Weights(), name)
    strength = min(1.0, max(0.0, finding.strength))
    return -math.log1p(-FULL_LOSS[finding.type] * strength) * share / default


def conformity_loss_nats(conformity: float) -> float:
    """-ln(conformity) >= 0; conformity is held to LEAST_CONFORMITY-1."""
    return -math.log(min(1.0, max(LEAST_CONFORMITY, conformity)))


class Judged(Protocol):
    """What a score is made of: a `Comparison`, or what is stored of one."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What went differently."""
        ...

    @property
    def conformity(self) -> float:
        """0-1."""
        ...


def total_score(comparison: Judged, weights: Weights | None = None) -> float:
    """The score alone, 0-100, not rounded; what the interval's replicates need."""
    used = weights or Weights()
    nats = math.fsum(finding_loss_nats(finding, used) for finding in comparison.findings)
    return 100.0 * math.exp(-nats - conformity_loss_nats(comparison.conformity))


def score_comparison(comparison: Judged, weights: Weights | None = None) -> Score:
    """The score and who lost how much of it.

    The total loss is shared in proportion to the -ln(1 - p_e) of the findings and of conformity,
    since in a product the losses themselves do not add up. Source: docs/scoring.md 5.
    """
    used = weights or Weights()
    nats = [finding_loss_nats(finding, used) for finding in comparison.findings]
    total = round(total_score(comparison, used), 2)
    cents = share_out(
        round((100.0 - total) * 100), [*nats, conformity_loss_nats(comparison.conformity)]
    )
    by_weight: dict[WeightName, int] = {"w_miss": 0, "w_swap": 0, "w_dev": 0, "w_time": 0}
    for finding, amount in zip(comparison.findings, cents, strict=False):
        by_weight[WEIGHT_OF[finding.type]] += amount
    return Score(
        total=total,
        finding_points=tuple(amount / 100 for amount in cents[:-1]),
        conformity_points=cents[-1] / 100,
        weight_points={name: amount / 100 for name, amount in by_weight.items()},
    )


def share_out(total: int, parts: Sequence[float]) -> list[int]:
    """total as integers in proportion to parts (>= 0) that sum to total exactly.

    Largest remainders get the units that rounding down leaves; ties go to the earlier part. All 0
    when every part is 0 (then total is 0 up to rounding as well).
    """
    whole = math.fsum(parts)
    if whole <= 0 or total <= 0:
        return [0] * len(parts)
    exact = [total * part / whole for part in parts]
    shares = [math.floor(value) for value in exact]
    order = sorted(range(len(parts)), key=lambda i: (shares[i] - exact[i], i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares
