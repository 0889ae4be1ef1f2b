"""What became of each step in a completed score, one row per step, for analytics in SQL.

Made from the stored result, so that earlier results can be read again. Called by `sop.jobs`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sopilot.sop.comparison import EventType
from sopilot.sop.schemas import ScoreResult


@dataclass(frozen=True, slots=True)
class StepFate:
    """One step of one score; actual_sec: how long the trainee took, None = it was not done."""

    step_index: int
    is_missing: bool
    is_deviating: bool
    is_swapped: bool
    is_over_time: bool
    actual_sec: float | None


def step_fates(result: ScoreResult) -> tuple[StepFate, ...]:
    """Every step of the result in its order. An exchange counts for both steps."""
    found: dict[EventType, set[int]] = {kind: set() for kind in EventType}
    for item in result.deviations:
        kind = EventType(item.type)
        touched = [item.step_index]
        if kind is EventType.ORDER_SWAP:
            touched.append(item.other_step_index)
        found[kind] |= {index for index in touched if index is not None}
    return tuple(
        StepFate(
            step_index=row.step_index,
            is_missing=row.step_index in found[EventType.MISSING_STEP],
            is_deviating=row.step_index in found[EventType.STEP_DEVIATION],
            is_swapped=row.step_index in found[EventType.ORDER_SWAP],
            is_over_time=row.step_index in found[EventType.OVER_TIME],
            actual_sec=row.actual_duration_sec,
        )
        for row in result.time_compliance
    )
