"""Several rankings of the same things -> one, whatever scales their scores had."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sopilot.core.errors import InputError
from sopilot.text.rank import Key


def fuse(
    rankings: Sequence[Sequence[Key]], k: float = 60, weights: Sequence[float] | None = None
) -> list[tuple[Key, float]]:
    """Reciprocal rank fusion: each key scores the sum of weight / (k + rank), ranks from 1.

    Best first, ties by key. A key that stands twice in one ranking counts at its better place; a
    ranking of weight 0 takes no part. weights: one number >= 0 per ranking; None weighs all by 1.
    Raises InputError for k < 0, or for weights that are too few, too many, negative or not finite.
    Source: Cormack, Clarke & Büttcher 2009, also for k.
    """
    given = [1.0] * len(rankings) if weights is None else list(weights)
    if len(given) != len(rankings):
        raise InputError(f"{len(rankings)} rankings need as many weights, got {len(given)}")
    if not (0 <= k < math.inf and all(0 <= weight < math.inf for weight in given)):
        raise InputError(f"rank fusion takes finite k and weights >= 0, got k={k} and {given}")
    shares: dict[Key, list[float]] = {}
    for ranking, weight in zip(rankings, given, strict=True):
        if weight > 0:
            for place, key in enumerate(dict.fromkeys(ranking), start=1):
                shares.setdefault(key, []).append(weight / (k + place))
    # fsum rounds once, so that the order of the rankings changes no bit.
    fused = [(key, math.fsum(share)) for key, share in shares.items()]
    return sorted(fused, key=lambda pair: (-pair[1], pair[0]))
