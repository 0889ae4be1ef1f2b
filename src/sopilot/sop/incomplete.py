"""Steps that stand in the found order but are hardly there: cut short, or nothing of the task.

Called by `sop.findings`.
"""

from __future__ import annotations

from sopilot.core.records import StepKind
from sopilot.sop.evidence import LEAST_MOVING_SEC, Absence, Evidence, paces
from sopilot.sop.execution import Execution

LEAST_SHORT_PACE = 0.75
"""How far a trainee's own pace may excuse a short dwell (docs/scoring.md 4)."""
SHORT_RATIO = 0.9
SHORT_NATS = {True: 5.0, False: 15.0}
VERY_SHORT_RATIO = 0.6
GONE_RATIO = 0.2
"""A step counts as missing when it has less than its usual time and leaving it out explains the
clips better; without any evidence only when next to nothing of it is left. Keys: steps marked by
a person. A proposed step may be half of one, and then a short showing proves less."""
HALF_RATIO = 0.58
"""What half a step lasts at most, beside a missing start or tail: a clip of 1.6 s that the cut goes
through counts whole. Generated: steps of which less than half is shown reach 0.56, others 0.63."""
SURE_MISSING_NATS = 25.0
CLEAR_SHORT_NATS = 10.0
"""Below this a short showing is a remark to review, never critical."""
FOREIGN_COMPARABILITY, FOREIGN_SIMILARITY = 0.45, 0.25
"""Below both, a step's clips show nothing of the task: other videos reach 0.1-0.4 and 0.0-0.25,
other people's executions 0.6-1.1 and 0.3-0.9."""


def cut_short(evidence: Evidence, absent: set[int]) -> dict[int, Absence]:
    """Units that stand in the order but have too little time and evidence; their nats.

    absent: units that the order leaves out.
    """
    ratios = []
    for item, pace in zip(evidence.found, paces(evidence.found), strict=True):
        usual_sec = item.gold_moving_sec * max(pace, LEAST_SHORT_PACE)
        has_usual = item.gold_moving_sec >= LEAST_MOVING_SEC
        ratios.append(item.moving_sec / usual_sec if has_usual else 1.0)
    marked = evidence.model.steps_are_marked
    doubt = [_is_doubtful(e, r) for e, r in zip(evidence.found, ratios, strict=True)]
    least_nats = SHORT_NATS[marked] * evidence.price_scale
    gone = [_is_gone(e, r, marked, least_nats) for e, r in zip(evidence.found, ratios, strict=True)]
    for number, beyond in ((0, -1), (len(gone) - 1, 1)):
        # A recording that begins late or ends early cuts into the step beside what it lacks.
        cut = evidence.found[number].unit + beyond in absent and ratios[number] < HALF_RATIO
        gone[number] = gone[number] or (cut and evidence.found[number].edit is None)
    # Steps go missing in runs: what is doubtful beside a missing one is missing as well.
    for number in (*range(1, len(gone)), *range(len(gone) - 2, -1, -1)):
        beside = gone[max(0, number - 1) : number + 2]
        gone[number] = gone[number] or (doubt[number] and any(beside))
    short = {}
    for number, item in enumerate(evidence.found):
        if is_foreign(evidence, item):
            # The less of the task is recognised, the surer; nats of the same strength.
            unknown = 1.0 - evidence.reading.comparability / FOREIGN_COMPARABILITY
            short[item.unit] = Absence(SURE_MISSING_NATS * unknown, "clear")
        elif gone[number] and evidence.model.kinds[item.unit] is not StepKind.CYCLIC:
            lack = (SHORT_RATIO - ratios[number]) / (SHORT_RATIO - GONE_RATIO)
            nats = max(item.deletion_gain, SURE_MISSING_NATS * lack)
            short[item.unit] = Absence(nats, "clear" if nats >= CLEAR_SHORT_NATS else "review")
    return short


def _is_doubtful(item: Execution, ratio: float) -> bool:
    """No more than the shortest showing, and the clips are explained better without the step."""
    return item.edit is None and ratio < VERY_SHORT_RATIO and item.deletion_gain > 0.0


def _is_gone(item: Execution, ratio: float, marked: bool, least_nats: float) -> bool:
    """Whether so little of a step is left that it counts as missing."""
    if item.edit is not None:
        return False
    unexplained = ratio < SHORT_RATIO and item.deletion_gain > least_nats
    doubtful = _is_doubtful(item, ratio) and (marked or item.similarity < FOREIGN_SIMILARITY)
    return unexplained or doubtful or ratio < GONE_RATIO


def is_foreign(evidence: Evidence, item: Execution) -> bool:
    """Whether a slot shows nothing of the task at all."""
    unknown = evidence.reading.comparability < FOREIGN_COMPARABILITY
    return unknown and item.similarity < FOREIGN_SIMILARITY
